"""Latency tables without measuring anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from moo_bnas.evolution.space import SearchSpace
from moo_bnas.models.latency import Runtime, measure
from moo_bnas.models.model_file import Model
from moo_bnas.networks.latency import LatencyTable
from moo_bnas.networks.network import Network


class FakeTimed:
    """A network whose layers take 100 ns per channel that comes in and 1000 per one that goes out.

    With two bits they take twice as long. Only convs and linear layers have times of their own, as
    where all else is computed with them.
    """

    def __init__(self, model: Model) -> None:
        own = [layer for layer in model.card.layers if layer.kind in ("conv", "linear")]
        self.layers = [layer.name for layer in own]
        self._times = [
            layer.bits * (100 * layer.in_channels + 1000 * layer.out_channels) for layer in own
        ]

    def times(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        """The same for each image."""
        return np.repeat([self._times], len(images), axis=0)

    def run(self, images: NDArray[np.float32]) -> None:
        """Nothing."""


FAKE = Runtime("fake", FakeTimed)


def fake_table(network: Network, space: SearchSpace, out: int = 1000) -> LatencyTable:
    """The table of such networks; `out` are the nanoseconds per channel that goes out."""

    class Other(FakeTimed):
        def __init__(self, model: Model) -> None:
            super().__init__(model)
            own = [layer for layer in model.card.layers if layer.name in self.layers]
            self._times = [
                layer.bits * (100 * layer.in_channels + out * layer.out_channels) for layer in own
            ]

    return measure(network, space, "dorefa", Runtime("fake", Other))
