"""Formats quantities for people to read."""

from __future__ import annotations


def quantity(value: float, digits: int = 2) -> str:
    """A number with a decimal prefix, such as `13.19 M`; without one below 1000."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.{digits}f} {prefix}"
    return f"{value:g} "


def count(number: int, noun: str) -> str:
    """How many there are, such as `1 worker` or `2,000 images`.

    Args:
        number: How many.
        noun: What, in the singular; its plural has an s.
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time such as `45 s`, `3 min 20 s` or `2 h 05 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02d} min" if hours else f"{minutes} min {rest:02d} s"


def time_unit(seconds: float) -> tuple[str, float]:
    """The unit in which times up to this one are read well, and its seconds."""
    units = (("hours", 3600.0), ("minutes", 60.0))
    return next((u for u in units if seconds >= 2 * u[1]), ("seconds", 1.0))
