"""Measures how long each layer of a network takes at the widths of a space, on this machine.

The kernels of `fast` are timed where numba is installed, and else the numpy reference. Networks run
image by image on one thread, with random weights: no kernel's time depends on them. Other work on
the machine only adds to a time, so the lower quartile of many is what counts.
"""

from __future__ import annotations

import logging
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from moo_bnas.evaluation import Precision
from moo_bnas.evolution.space import SearchSpace
from moo_bnas.models.arrays import run_shapes
from moo_bnas.models.encoding import encoding_of
from moo_bnas.models.model_file import Card, Image, Layer, Model
from moo_bnas.models.packed import pack, reference
from moo_bnas.networks.latency import (
    LatencyTable,
    LayerTimes,
    by_bits,
    check_timed,
    table_of,
)
from moo_bnas.networks.latency_file import check_size
from moo_bnas.networks.layers import INPUT, LayerSpec
from moo_bnas.networks.network import Network

log = logging.getLogger(__name__)

Images = NDArray[np.float32]
Nanoseconds = NDArray[np.int64]
Widths = tuple[int, ...]

_VISITS = 3  # to each network, far apart: the pace of a machine changes
_LEAST, _MOST = 5, 4000  # images per visit
_LARGEST = 2**22  # numbers in all images of a visit
_SECONDS = 0.1  # per visit, of the processor's time
_LOG_EVERY = 15.0
_LETTERS = 5  # of a number in the table, at least


class Timed(Protocol):
    """A network that can be timed."""

    @property
    def layers(self) -> Sequence[str]:
        """Names of the layers of the columns of `times`; a layer may have several."""

    def times(self, images: Images) -> Nanoseconds:
        """Nanoseconds of each of these layers for each image, n x layers."""

    def run(self, images: Images) -> None:
        """Runs the network without timing anything, image by image."""


@dataclass(frozen=True)
class Runtime:
    """What runs networks here.

    Attributes:
        name: Its name, with its kernels.
        make: Makes a network that can be timed.
    """

    name: str
    make: Callable[[Model], Timed]


@dataclass(frozen=True)
class Checked:
    """A whole network beside what the table says of it, in milliseconds."""

    widths: Widths
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return self.predicted / self.measured - 1


def runtime() -> Runtime:
    """Compiled kernels, or the numpy reference where numba is missing or does not start."""
    try:
        from moo_bnas.models.fast.processor import PATH
        from moo_bnas.models.fast.timing import TimedProgram
    except (ImportError, RuntimeError):  # RuntimeError: no folder for compiled code
        return Runtime("numpy only", _Reference)
    return Runtime(f"numba kernels for {PATH.name}", TimedProgram)


def measure(network: Network, space: SearchSpace, binarizer: str, run_by: Runtime) -> LatencyTable:
    """Measures the layers of all networks of a space, and of the full-precision twin at 1x.

    Args:
        network: Network; only its layer specs are run, not a module of its own.
        space: Widths and bits of the binary networks; those of the uniform 1x one are measured,
            too.
        binarizer: Name of the binarizer.
        run_by: What runs them.

    Raises:
        DefinitionError: If the table would be too large, or what runs has other layers than the
            network has.
        ModelFileError: If the runtime does not run such networks.
    """
    check_timed(binarizer)
    convs = sum(s.kind == "conv" for s in network.layers(network.base_widths, "binary"))
    # Of 1 bit is the network that Eq. 4 divides by, and what no gene gives more bits.
    each = sorted({1, *space.bits})
    # Before anything is measured for nothing.
    check_size(_LETTERS * convs * len(space.ratios) ** 2 * len(each))
    own = len(space.genes) - space.bit_genes
    covering = space.widths(by_bits(space)[0], network.base_widths)[:, :own].tolist()
    networks = dict.fromkeys((network.base_widths[:own], *map(tuple, covering)))
    binary = {
        bits: _tables(
            network, [w + (bits,) * space.bit_genes for w in networks], "binary", binarizer, run_by
        )
        for bits in each
    }
    for fewer, more in pairwise(binary):  # more bits are not faster, but noise may say so
        binary[more] = {n: times.at_least(binary[fewer][n]) for n, times in binary[more].items()}
    full = _tables(network, [network.base_widths], "full", binarizer, run_by)
    packages = ("moo-bnas", "numpy", *(["numba"] if "numba" in run_by.name else []))
    return LatencyTable(
        network=network.name,
        processor=processor(),
        runtime=run_by.name,
        versions={"python": platform.python_version(), **{p: version(p) for p in packages}},
        binary=binary.pop(1),
        bits={str(bits): layers for bits, layers in binary.items()},
        full=full,
    )


def check(
    network: Network,
    widths: Sequence[Widths],
    table: LatencyTable,
    binarizer: str,
    run_by: Runtime,
    rounds: int = 41,
) -> list[Checked]:
    """Measures whole networks, in turns, beside the sums of a table.

    Args:
        network: Network that the table was measured for.
        widths: Widths of the binary networks to measure.
        table: Latency table.
        binarizer: Name of the binarizer.
        run_by: What ran the layers of the table.
        rounds: Number of turns; the median counts.
    """
    made = [run_by.make(_model(network, each, "binary", binarizer)) for each in widths]
    images = [_images(network, timed, _SECONDS / 4) for timed in made]
    found: list[list[float]] = [[] for _ in made]
    for _ in range(rounds):
        for timed, batch, times in zip(made, images, found, strict=True):
            start = time.thread_time()  # without the time in which other processes have the core
            timed.run(batch)
            times.append(1e3 * (time.thread_time() - start) / len(batch))
    cost = table.cost()
    return [
        Checked(each, float(np.median(times)), cost.of(network, each))
        for each, times in zip(widths, found, strict=True)
    ]


def processor() -> str:
    """Name of this machine's processor."""
    lines = Path("/proc/cpuinfo")
    if lines.exists():
        for line in lines.read_text(errors="replace").splitlines():
            key, _, name = line.partition(":")
            if key.strip() == "model name" and name.strip():
                return name.strip()[:200]
    return (platform.processor() or platform.machine() or "unknown")[:200]


class _Reference:
    """The numpy reference, layer by layer."""

    def __init__(self, model: Model) -> None:
        self._network = reference(model, "the network to measure")
        self.layers = [layer.name for layer in self._network.layers]

    def times(self, images: Images) -> Nanoseconds:
        found = np.zeros((len(images), len(self.layers)), np.int64)
        for n, image in enumerate(images):
            values: dict[str, Any] = {INPUT: image[None]}
            for i, layer in enumerate(self._network.layers):
                start = time.perf_counter_ns()
                inputs = [values[name] for name in layer.inputs]
                values[layer.name] = self._network.step(layer, inputs)
                found[n, i] = time.perf_counter_ns() - start
        return found

    def run(self, images: Images) -> None:
        for image in images:
            self._network(image[None])


def _tables(
    network: Network,
    widths: Sequence[Widths],
    precision: Precision,
    binarizer: str,
    run_by: Runtime,
) -> dict[str, LayerTimes]:
    """Tables of all layers, from networks that have every pair of channels."""
    found: dict[str, dict[tuple[int, int], list[float]]] = defaultdict(lambda: defaultdict(list))
    for each in _in_visits(widths, precision):
        specs = network.layers(each, precision)
        timed = run_by.make(_model(network, each, precision, binarizer))
        times = np.quantile(timed.times(_images(network, timed)), 0.25, axis=0) / 1e6
        channels = {s.name: (int(s.in_channels), int(s.out_channels)) for s in specs}
        own: dict[str, float] = defaultdict(float)  # a layer may take several steps
        for name, milliseconds in zip(timed.layers, times.tolist(), strict=True):
            own[name] += max(milliseconds, 0.0)
        for name, milliseconds in own.items():
            found[name][channels[name]].append(milliseconds)
    return {spec.name: _table(found[spec.name], spec) for spec in specs}


def _table(times: dict[tuple[int, int], list[float]], spec: LayerSpec) -> LayerTimes:
    return table_of({pair: float(np.median(each)) for pair, each in times.items()}, spec)


def _in_visits(widths: Sequence[Widths], precision: Precision) -> Iterator[Widths]:
    said, total = time.monotonic(), _VISITS * len(widths)
    for i in range(total):
        if time.monotonic() - said > _LOG_EVERY:
            log.info("measuring %s networks: %d of %d", precision, i, total)
            said = time.monotonic()
        yield widths[i % len(widths)]


def _images(network: Network, timed: Timed, seconds: float = _SECONDS) -> Images:
    """As many copies of a random image as take so long; warms up the network."""
    shape = (network.image.channels, network.image.size, network.image.size)
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    timed.run(image)
    start = time.thread_time()
    timed.run(image)
    count = seconds / max(time.thread_time() - start, 1e-6)
    count = min(max(count, _LEAST), _MOST, max(_LARGEST / image.size, 1))
    return np.repeat(image, int(count), axis=0)


def _model(network: Network, widths: Widths, precision: Precision, binarizer: str) -> Model:
    """A packed network of random weights."""
    image = network.image
    card = Card(
        network=network.name,
        binarizer=binarizer,
        precision=precision,
        ratios=(),
        widths=widths[: len(widths) - network.bit_genes],
        layers=tuple(Layer.of(spec) for spec in network.layers(widths, precision)),
        own_module=False,
        image=Image(
            size=image.size,
            stored_size=image.size,
            channels=image.channels,
            mean=(0.0,) * image.channels,
            std=(1.0,) * image.channels,
        ),
        classes=tuple(map(str, range(image.classes))),
        flops=0.0,
        memory_bits=0,
        speedup=1.0,
        accuracy=0.0,
        top5=0.0,
        made={},
    )
    random = np.random.default_rng(0)
    arrays: dict[str, NDArray[Any]] = {}
    for name, (dtype, dims) in run_shapes(card, encoding_of(card, "the network")).items():
        if name.endswith(".signs"):
            arrays[name] = random.integers(0, 2, dims, np.int8) * np.int8(2) - np.int8(1)
        elif name.endswith(".weight"):
            arrays[name] = np.full(dims, 0.01, dtype)
        else:  # scales, multipliers and offsets
            arrays[name] = np.full(dims, 0.5, dtype)
    return pack(Model(card, arrays))
