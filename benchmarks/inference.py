"""Measures how fast a packed network runs, beside the usual runtimes, in one run on one thread.

    python benchmarks/inference.py --network vgg_small
    python benchmarks/inference.py --network resnet18

All systems run one network, in turns. Weights are random: they do not matter for the time.

- numba: the packed network with compiled kernels (`pip install 'moo-bnas[fast]'`)
- c: the C export, compiled by gcc -O3 -march=native; left out where there is no gcc
- onnxruntime fp32, torch fp32, torch bf16: the full-precision twin (the same widths)
- onnxruntime int8: the twin after static quantization (QDQ, int8 weights per channel)

`ms_per_image` is at each batch size. `times_as_fast` is the time of a system over that of numba, or
of c, in the same round. `peak_share` are the words of 64 bits that the binary convs AND and count,
per second of the whole network's time, as a share of what the processor does in registers.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from popcount_peak import words_per_second
from training import machine, row

from moo_bnas.evaluation import Precision
from moo_bnas.models.arrays import is_binary
from moo_bnas.models.c_file import to_c
from moo_bnas.models.fast.network import FastNetwork
from moo_bnas.models.folding import fold
from moo_bnas.models.model_file import Card, Image, Layer, Model
from moo_bnas.models.onnx_file import to_onnx
from moo_bnas.models.packed import pack
from moo_bnas.networks import make_network
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.module import build

Images = NDArray[np.float32]
Run = Callable[[Images], Any]

OURS = ("numba", "c")


def network(options: argparse.Namespace, precision: Precision) -> tuple[torch.nn.Module, Model]:
    """A network of random weights, with batch norm statistics of random images."""
    torch.manual_seed(0)
    shape = ImageShape(options.size, 3, options.classes)
    made = make_network(options.network, shape, base_width=options.base_width, stem=options.stem)
    specs = made.layers(made.base_widths, precision)
    module = build(specs)
    with torch.no_grad():
        module(torch.randn(8, 3, options.size, options.size))
    module.eval()
    card = Card(
        network=options.network,
        binarizer="dorefa",
        precision=precision,
        ratios=(1.0,) * len(made.genes),
        widths=made.base_widths,
        layers=tuple(Layer.of(spec) for spec in specs),
        own_module=False,
        image=Image(
            size=options.size,
            stored_size=options.size,
            channels=3,
            mean=(125.0,) * 3,
            std=(60.0,) * 3,
        ),
        classes=tuple(map(str, range(options.classes))),
        flops=0.0,
        memory_bits=0,
        speedup=1.0,
        accuracy=0.0,
        top5=0.0,
        made={},
    )
    return module, Model(card, {k: v.numpy() for k, v in module.state_dict().items()})


def systems(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Run]]:
    """Names of all systems, and what runs a batch on each."""
    _module, model = network(options, "binary")
    packed = pack(fold(model, "model"))
    yield "numba", FastNetwork(packed, "model")
    if (compiler := shutil.which("gcc")) is None:
        print("inference.py: c is left out: gcc is not installed", file=sys.stderr)
    else:
        yield "c", compiled(packed, compiler, folder)
    module, twin = network(options, "full")
    content = to_onnx(fold(twin, "model"))
    (folder / "twin.onnx").write_bytes(content)
    yield "onnxruntime fp32", session(folder / "twin.onnx")
    quantized(folder, options.size)
    yield "onnxruntime int8", session(folder / "int8.onnx")
    yield "torch fp32", on_torch(module, torch.float32)
    if torch.cpu._is_avx512_bf16_supported():
        yield "torch bf16", on_torch(module, torch.bfloat16)


def compiled(packed: Model, compiler: str, folder: Path) -> Run:
    """The C export."""
    for suffix, content in zip((".c", ".h"), to_c(packed, "model", "net"), strict=True):
        (folder / f"net{suffix}").write_bytes(content)
    options = ["-std=c99", "-O3", "-march=native", "-shared", "-fPIC", "net.c", "-o", "net.so"]
    subprocess.run([compiler, *options, "-lm"], cwd=folder, check=True)
    function = ctypes.CDLL(str(folder / "net.so")).net_run
    function.argtypes = [ctypes.c_void_p] * 3
    header = (folder / "net.h").read_text()
    size = int(header.partition("NET_WORKSPACE ")[2].split()[0])
    workspace = np.empty(size, np.uint64)
    logits = np.empty(len(packed.card.classes), np.float32)

    def run(images: Images) -> None:
        start, each = images.ctypes.data, images[0].nbytes
        for i in range(len(images)):
            function(start + i * each, logits.ctypes.data, workspace.ctypes.data)

    return run


def session(path: Path) -> Run:
    """A session of onnxruntime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    made = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: made.run(None, {"images": images})


class Calibration(CalibrationDataReader):  # type: ignore[misc]  # it has no types
    """Random images."""

    def __init__(self, size: int) -> None:
        random = np.random.default_rng(1)
        self._left = [random.normal(size=(8, 3, size, size)).astype(np.float32) for _ in range(4)]

    def get_next(self) -> dict[str, Images] | None:
        """The next batch; None after the last."""
        return {"images": self._left.pop()} if self._left else None


def quantized(folder: Path, size: int) -> None:
    """Writes int8.onnx, from twin.onnx."""
    quant_pre_process(str(folder / "twin.onnx"), str(folder / "prepared.onnx"))
    quantize_static(
        folder / "prepared.onnx",
        folder / "int8.onnx",
        Calibration(size),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def on_torch(module: torch.nn.Module, dtype: torch.dtype) -> Run:
    """A torch module, channels last."""
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(images: Images) -> Any:
        with torch.inference_mode(), torch.autocast("cpu", dtype, dtype != torch.float32):
            return module(torch.from_numpy(images))

    return run


def rows(options: argparse.Namespace, measured: dict[str, Run]) -> Iterator[dict[str, Any]]:
    """All rows, system by system."""
    peak = words_per_second()
    random = np.random.default_rng(0)
    for batch in options.batches:
        images = random.normal(size=(batch, 3, options.size, options.size)).astype(np.float32)
        times = in_turns(measured, images, options.rounds)
        for name, values in times.items():
            yield row(name, "ms_per_image", [1e3 * t / batch for t in values], batch=batch)
        for ours in (name for name in OURS if name in times):
            for name in (name for name in times if name not in OURS):
                ratios = [a / b for a, b in zip(times[name], times[ours], strict=True)]
                yield row(ours, f"times_as_fast_as {name}", ratios, batch=batch)
            shares = [options.words * batch / t / peak for t in times[ours]]
            yield row(ours, "peak_share", shares, batch=batch, peak_gwords=round(peak / 1e9, 2))


def in_turns(measured: dict[str, Run], images: Images, rounds: int) -> dict[str, list[float]]:
    """Seconds per batch of each system in each round: the fastest of some runs.

    All of them run in this thread, whose own time is counted: not that of other processes that have
    the core meanwhile.
    """
    times: dict[str, list[float]] = {name: [] for name in measured}
    for run in measured.values():
        run(images)
    for _ in range(rounds):
        for name, run in measured.items():
            best, spent = float("inf"), 0.0
            while spent < 0.1:  # the caches are warm after the first runs
                start = time.thread_time()
                run(images)
                took = time.thread_time() - start
                best, spent = min(best, took), spent + took
            times[name].append(best)
    return times


def words_of(options: argparse.Namespace) -> float:
    """Words of 64 weights that the binary convs go through per image."""
    card = network(options, "binary")[1].card
    return sum(
        layer.kernel**2 * layer.in_channels / 64 * layer.out_channels * layer.out_size**2
        for layer in card.layers
        if is_binary(layer)
    )


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--network", default="vgg_small", choices=["vgg_small", "resnet18"])
    parser.add_argument(
        "--base-width", type=int, help="channels of the first layer (None: as in the paper)"
    )
    parser.add_argument("--stem", choices=["imagenet", "small"], help="stem of resnet18")
    parser.add_argument("--size", type=int, default=32, help="height and width of images")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--rounds", type=int, default=15, help="turns of all systems")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    if options.network == "resnet18" and options.stem is None:
        options.stem = "small"
    return options


def main() -> None:
    """Measures and prints."""
    options = parse()
    torch.set_num_threads(1)
    options.words = words_of(options)
    with tempfile.TemporaryDirectory() as folder:
        measured = dict(systems(options, Path(folder)))
        found = list(rows(options, measured))
    here = {**machine(torch.device("cpu")), "onnxruntime": onnxruntime.__version__}
    here["kernels"] = measured["numba"].path  # type: ignore[attr-defined]
    if options.json:
        settings = {k: v for k, v in vars(options).items() if k != "json"}
        document = {"benchmark": "inference", "settings": settings, "machine": here}
        print(json.dumps({**document, "rows": found}, indent=1))
        return
    print(f"{options.network}, one thread, {here['device']}, kernels: {here['kernels']}")
    for each in found:
        spread = "{:.3f} to {:.3f}".format(*each["spread"])
        print(
            f"batch {each['batch']:<3} {each['system']:17} {each['metric']:34} "
            f"{each['value']:9.3f}  {spread}"
        )


if __name__ == "__main__":
    main()
