"""Evaluations: records that workers make, storages keep, and reports show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

Precision = Literal["binary", "full"]
"""Of a network's weights and activations: 1 bit, or full precision."""

PRECISIONS: tuple[Precision, ...] = ("binary", "full")

Keep = Callable[[Sequence[float], Callable[[], bytes]], None]
"""Called after an epoch: with the mean loss of each epoch so far, and what makes a checkpoint."""
