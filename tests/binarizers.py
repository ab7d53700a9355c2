"""Binarizers for tests only; they use the parts of the seam that the shipped ones do not use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from torch import Tensor

from moo_bnas.networks.binarizers import BINARIZERS, Binarizer, Encoding
from moo_bnas.networks.binarizers.binarizer import SIGNS, mean_magnitude


def _centred(w: Tensor) -> tuple[Tensor, Tensor]:
    """Subtracts the mean of each filter from its weights; one scale per filter."""
    latent = w - w.mean(dim=(1, 2, 3), keepdim=True)
    return latent, latent.abs().mean(dim=(1, 2, 3))


def _narrowing(gradient: Tensor, x: Tensor, progress: Tensor) -> Tensor:
    """Passes gradient where |x| < 1 - progress."""
    return gradient * (x.abs() < 1 - progress)


def _growing(gradient: Tensor, w: Tensor, progress: Tensor) -> Tensor:
    return gradient * (1 + progress)


PER_CHANNEL = Binarizer(
    "per_channel",
    Encoding((-1.0, 1.0), (0.25,), inclusive=True, scales="channel"),
    window=(-0.75, 1.25),
    weights=_centred,
)
"""One scale per output channel, signs of transformed weights, and another threshold."""

BY_PROGRESS = Binarizer(
    "by_progress", SIGNS, (-1.0, 1.0), mean_magnitude, _narrowing, weight_gradient=_growing
)
"""Gradients that depend on the share of training that is done."""

UNEVEN = Binarizer(
    "uneven", Encoding((-0.5, 1.5), (0.5,), inclusive=False), (-0.5, 1.5), mean_magnitude
)
"""Levels that are neither 0 and 1 nor opposites."""

QUARTERS = Binarizer(
    "quarters",
    Encoding((0.0, 0.75), (0.375,), inclusive=False),
    (0.0, 0.75),
    mean_magnitude,
    has_more_bits=True,
)
"""With 2 bits its levels are 0 to 3 quarters."""

SHIPPED = tuple(BINARIZERS)
"""Names of the binarizers of the package, without those of this module."""

ONE_BIT = {b.name: b for b in (*BINARIZERS.values(), PER_CHANNEL, BY_PROGRESS, UNEVEN, QUARTERS)}
"""All binarizers, the shipped ones included, with 1 bit."""


@contextmanager
def registered() -> Iterator[None]:
    """Registers the binarizers of this module for as long as the context lasts."""
    with patch.dict(BINARIZERS, ONE_BIT):
        yield
