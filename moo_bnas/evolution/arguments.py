"""Checks of the arguments of functions that people call from Python."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from numbers import Integral, Real

from moo_bnas.errors import DefinitionError

_EXPECTED = {
    "accuracy": "a function of a genotype",
    "cost": "a function of a genotype",
    "choices": "one integer of at least 1 per gene, as in [6] * 12",
    "mode": "'scalar' or 'pareto'",
    "population": "an integer of at least 2",
    "generations": "an integer of at least 1",
    "evaluations": "an integer of at least 1, or None",
    "seed": "an integer of at least 0",
    "reference_cost": "a number above 0",
    "model": "'gp', 'none', or an object with a method choose",
    "trade_off": "a number of at least 0",
    "start": "genotypes, each a tuple of integers, or a mapping from such to accuracies",
    "max_cost": "a number above 0, or None",
    "callback": "a function, or None",
    "map": "a function such as the map of a pool, or None",
    "workers": "an integer of at least 0, or None",
    "name": "the name of a run, or None",
    "storage": "the URL of a storage",
}


def check(*arguments: tuple[str, object, bool]) -> None:
    """Refuses arguments, all at once.

    Args:
        arguments: Name, value, and whether it makes sense, of each.

    Raises:
        DefinitionError: Naming each that makes no sense.
    """
    faults = [
        f"{name} is {got!r}, expected {_EXPECTED[name]}" for name, got, ok in arguments if not ok
    ]
    if faults:
        raise DefinitionError("; ".join(faults))


def is_whole(value: object, least: int) -> bool:
    """Whether it is an integer, also one of numpy, that is not below `least`."""
    return isinstance(value, Integral) and int(value) >= least


def are_wholes(values: object, least: int) -> bool:
    """Whether they are one or more such integers."""
    return (
        isinstance(values, Iterable)
        and bool(found := [*values])
        and all(is_whole(v, least) for v in found)
    )


def are_genotypes(values: object) -> bool:
    """Whether they are genotypes, of any number of genes."""
    return isinstance(values, Collection) and all(are_wholes(v, 0) for v in values)


def is_real(value: object) -> bool:
    """Whether it is a number that is not complex."""
    return isinstance(value, Real)
