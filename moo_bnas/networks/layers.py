"""Layer specs: a network as a list of steps, each of which names the steps that it reads.

Specs are made once, without torch. The cost model adds them up, the builder makes torch modules of
them, and the exporters write them, so these cannot disagree. Channel counts are integers, or
integer arrays of shape (n,): then one list of specs describes n networks at once, and one numpy
call computes the cost of a whole search space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from moo_bnas.evaluation import PRECISIONS, Precision
from moo_bnas.evolution.space import IntArray

__all__ = [
    "INPUT",
    "PRECISIONS",
    "Channels",
    "ImageShape",
    "Kind",
    "LayerList",
    "LayerSpec",
    "Nonlinearity",
    "Precision",
    "check_widths",
]

Channels = int | IntArray
Kind = Literal[
    "conv",
    "linear",
    "batch_norm",
    "binarize",
    "relu",
    "hardtanh",
    "prelu",
    "max_pool",
    "global_average_pool",
    "flatten",
    "add",
    "bias",
    "mean_magnitude",
    "scale",
]
Nonlinearity = Literal["relu", "hardtanh", "prelu"]

INPUT = "input"
"""Name by which steps read the image."""


@dataclass(frozen=True)
class ImageShape:
    """Shape of a network's input images, and the number of classes that it distinguishes."""

    size: int
    channels: int
    classes: int


@dataclass(frozen=True, eq=False)
class LayerSpec:
    """One step of a network.

    Attributes:
        name: Name of the step and of its torch module, unique in its network.
        kind: What the step does.
        inputs: Names of the steps that it reads.
        in_channels: Channels (of a linear layer: features) of its input.
        out_channels: Channels or features of its output.
        out_size: Height and width of its output; 1 where the output is flat.
        kernel: Height and width of the window of a conv or pool.
        stride: Distance between neighbouring windows.
        padding: Width of the border around the input: zeros for a conv, left out by a max-pool.
        precision: Precision of the weights of a conv or linear layer; full for all other steps.
        extra_ops: Operations that are counted per output element in addition to the products: the
            bias of a conv in VGG-small, the batch norm in ResNet-18, a PReLU (see `networks.cost`).
        bits: Bits per activation: of a binarizer, those of its output; of a binary conv, those of
            its input. Integers or arrays, as channel counts; 1 for all other steps.
        bases: Of how many bases the weights of a binary conv are the sum, and its activations: it
            is counted as so many convs as there are pairs of them.
        window_sums: Sums of all inputs of a window that a binary conv takes besides, and that are
            counted.
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    in_channels: Channels
    out_channels: Channels
    out_size: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    precision: Precision = "full"
    extra_ops: int = 0
    bits: Channels = 1
    bases: tuple[int, int] = (1, 1)
    window_sums: int = 0

    def described(self) -> dict[str, Any]:
        """All attributes by name, without `ADDED` ones that have their default."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in ADDED or type(value) is not type(ADDED[name]) or value != ADDED[name]
        }


ADDED = {"bits": 1, "bases": (1, 1), "window_sums": 0}
"""Attributes that the specs of version 0.1 have not, with their defaults.

Descriptions leave these out, so that they stay equal to those of version 0.1, which refuses files
with keys that it does not know.
"""


@dataclass
class LayerList:
    """Collects the specs of a network; each method appends one step and returns its name.

    A step reads the step before it, unless `reads` names an earlier one.
    """

    image: ImageShape
    precision: Precision
    specs: list[LayerSpec] = field(default_factory=list)

    def conv(
        self,
        name: str,
        out_channels: Channels,
        *,
        kernel: int,
        stride: int = 1,
        precision: Precision | None = None,
        reads: str | None = None,
        extra_ops: int = 0,
    ) -> str:
        """A convolution with padding `kernel // 2`, at the network's precision by default."""
        channels, size = self._shape(reads)
        return self._append(
            reads,
            name=name,
            kind="conv",
            in_channels=channels,
            out_channels=out_channels,
            out_size=(size - 1) // stride + 1,
            kernel=kernel,
            stride=stride,
            padding=kernel // 2,
            precision=precision or self.precision,
            extra_ops=extra_ops,
        )

    def max_pool(
        self, name: str, *, kernel: int, stride: int, padding: int = 0, extra_ops: int = 0
    ) -> str:
        """The maximum over windows."""
        channels, size = self._shape(None)
        return self._append(
            None,
            name=name,
            kind="max_pool",
            in_channels=channels,
            out_channels=channels,
            out_size=(size + 2 * padding - kernel) // stride + 1,
            kernel=kernel,
            stride=stride,
            padding=padding,
            extra_ops=extra_ops,
        )

    def batch_norm(self, name: str, *, extra_ops: int = 0) -> str:
        """Batch norm of the last step."""
        return self._same_shape(name, "batch_norm", extra_ops=extra_ops)

    def activation(self, name: str) -> str:
        """A binarizer; in the full-precision twin a ReLU."""
        return self._same_shape(name, "binarize" if self.precision == "binary" else "relu")

    def relu(self, name: str) -> str:
        """A real-valued ReLU at either precision."""
        return self.nonlinearity(name, "relu")

    def nonlinearity(self, name: str, kind: Nonlinearity) -> str:
        """A real-valued nonlinearity at either precision; a PReLU has one slope per channel."""
        return self._same_shape(name, kind, extra_ops=int(kind == "prelu"))

    def add(self, name: str, one: str, other: str, *, extra_ops: int = 0) -> str:
        """The sum of two steps of equal shape."""
        channels, size = self._shape(one)
        inputs = (one, other)
        self.specs.append(
            LayerSpec(name, "add", inputs, channels, channels, size, extra_ops=extra_ops)
        )
        return name

    def global_average_pool(self, name: str) -> str:
        """The mean of each channel, as a flat output."""
        channels, _ = self._shape(None)
        return self._append(
            None,
            name=name,
            kind="global_average_pool",
            in_channels=channels,
            out_channels=channels,
            out_size=1,
        )

    def flatten(self, name: str) -> str:
        """All channels and positions as features of a flat output."""
        channels, size = self._shape(None)
        return self._append(
            None,
            name=name,
            kind="flatten",
            in_channels=channels,
            out_channels=channels * size * size,
            out_size=1,
        )

    def linear(self, name: str) -> str:
        """The full-precision classifier, without bias."""
        features, _ = self._shape(None)
        return self._append(
            None,
            name=name,
            kind="linear",
            in_channels=features,
            out_channels=self.image.classes,
            out_size=1,
        )

    def bias(self, name: str, *, extra_ops: int = 1) -> str:
        """A learned number that is added to each feature of a flat step, or to each channel."""
        return self._same_shape(name, "bias", extra_ops=extra_ops)

    def _same_shape(self, name: str, kind: Kind, extra_ops: int = 0) -> str:
        channels, size = self._shape(None)
        return self._append(
            None,
            name=name,
            kind=kind,
            in_channels=channels,
            out_channels=channels,
            out_size=size,
            extra_ops=extra_ops,
        )

    def _shape(self, reads: str | None) -> tuple[Channels, int]:
        if not self.specs:
            return self.image.channels, self.image.size
        last = self.specs[-1]
        if reads is not None:
            last = next(s for s in self.specs if s.name == reads)
        return last.out_channels, last.out_size

    def _append(self, reads: str | None, *, name: str, **values: object) -> str:
        if reads is None:
            reads = self.specs[-1].name if self.specs else INPUT
        self.specs.append(LayerSpec(name=name, inputs=(reads,), **values))  # type: ignore[arg-type]
        return name


def check_widths(widths: Sequence[Channels], genes: Sequence[str]) -> None:
    """Checks that there is one width per gene.

    Raises:
        ValueError: If there is not.
    """
    if len(widths) != len(genes):
        raise ValueError(f"got {len(widths)} widths, expected {len(genes)}: {', '.join(genes)}")
