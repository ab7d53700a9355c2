"""Formats quantities for people to read."""

from __future__ import annotations


def quantity(value: float, digits: int = 2) -> str:
    """A number with a decimal prefix, such as `13.19 M`; without one below 1000."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.{digits}f} {prefix}"
    return f"{value:g} "


def duration(seconds: float) -> str:
    """A time such as `45 s`, `3 min 20 s` or `2 h 05 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02d} min" if hours else f"{minutes} min {rest:02d} s"
