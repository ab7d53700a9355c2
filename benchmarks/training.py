"""Measures how fast candidates are trained, beside the usual PyTorch loop, in one run.

    python benchmarks/training.py --network vgg_small --base-width 32 --batch-size 128 --device cpu

Two systems train the same network on the same images, in turns:

- moo-bnas: its training engine, in bf16 if the processor supports it in hardware, else in fp32
- usual: the loop of PyTorch tutorials (benchmarks/usual_loop.py)

`images_per_second` counts training steps only, without scoring. `peak_share` is the arithmetic of
moo-bnas (3 times the forward pass) as a share of the fastest convolution or matrix product measured
on the device. `--epochs 10` also measures whole candidates (45,000 images to train on, 5,000 to
score on); `--processes 1 2 4` trains several at once on one device.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from usual_loop import SHIFT, usual_loop

from moo_bnas.data import ImageData, Split
from moo_bnas.networks import make_network
from moo_bnas.networks.cost import macs
from moo_bnas.networks.layers import ImageShape, LayerSpec
from moo_bnas.networks.module import build
from moo_bnas.recipe import Recipe
from moo_bnas.training.device_data import to_device
from moo_bnas.training.loop import Training

ROUNDS = 5


@dataclass(frozen=True)
class Task:
    """The network that both systems train, and on how many images."""

    specs: list[LayerSpec]
    image: ImageShape
    batch_size: int
    steps: int  # per round
    device: torch.device

    @property
    def forward_flops(self) -> float:
        """Floating point operations per image, two for each multiply-accumulate."""
        return 2.0 * sum(float(macs(spec)) for spec in self.specs)


def random_images(image: ImageShape, train: int, scoring: int) -> ImageData:
    """Images of noise, as the content of images does not change how fast they are trained on."""
    random = np.random.default_rng(0)
    n = train + scoring
    shape = (n, image.channels, image.size, image.size)
    images = random.integers(0, 256, shape, dtype=np.uint8)
    labels = random.integers(0, image.classes, n)
    rows = np.arange(n)
    return ImageData(
        train=Split(images, labels, rows[:train]),
        scoring=Split(images, labels, rows[train:]),
        test_images=0,
        classes=tuple(str(i) for i in range(image.classes)),
        content_hash="",
    )


def recipe_of(task: Task, dtype: str, epochs: int = 1000) -> Recipe:
    """A recipe like those of the CIFAR-10 definitions: crops, flips, SGD."""
    return Recipe(
        epochs=epochs,
        batch_size=task.batch_size,
        learning_rate=1e-4,
        weight_decay=1e-4,
        shift=SHIFT,
        flip=True,
        dtype=dtype,  # type: ignore[arg-type]
    )


def engine(task: Task, dtype: str) -> Callable[[], None]:
    """A function that trains one round with moo-bnas."""
    data = random_images(task.image, task.steps * task.batch_size, 2)
    on_device = to_device(data, task.image.size, task.device)
    training = Training(build(task.specs), on_device, recipe_of(task, dtype), seed=0)
    return training.run_epoch


def seconds(run: Callable[[], Any], device: torch.device) -> float:
    """Seconds that `run` takes, including the work that it starts on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of the fastest among three large convolutions and a matrix product."""
    scale = 16 if device.type == "cuda" else 1  # a GPU needs larger ones to be fully used
    best = 0.0
    with torch.inference_mode():
        # The shapes of VGG-small's most expensive convolutions.
        for channels, size, n in ((128, 32, 8), (256, 16, 16), (512, 8, 32)):
            x = torch.randn(n * scale, channels, size, size, device=device, dtype=dtype)
            w = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
            x = x.contiguous(memory_format=torch.channels_last)
            w = w.contiguous(memory_format=torch.channels_last)
            flops = 2.0 * x.numel() * channels * 9
            best = max(
                best, flops / _fastest(lambda x=x, w=w: functional.conv2d(x, w, padding=1), device)
            )  # type: ignore[misc]
        a = torch.randn(1024 * scale, 1024, device=device, dtype=dtype)
        b = torch.randn(1024, 1024, device=device, dtype=dtype)
        return max(best, 2.0 * a.numel() * 1024 / _fastest(lambda: a @ b, device))


def _fastest(run: Callable[[], Any], device: torch.device) -> float:
    def often() -> None:
        for _ in range(10):  # so that starting a kernel and reading the clock hardly count
            run()

    often()  # warms up: chooses algorithms and fills caches
    return min(seconds(often, device) for _ in range(ROUNDS)) / 10


def has_bf16(device: torch.device) -> bool:
    """Whether the processor multiplies bf16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def candidate(task: Task, dtype: str, epochs: int) -> Callable[[], Any]:
    """A function that trains one candidate on as many images as CIFAR-10 has.

    The images, which all candidates of a process share, are made before.
    """
    data = to_device(random_images(task.image, 45_000, 5_000), task.image.size, task.device)
    recipe = recipe_of(task, dtype, epochs)
    return lambda: Training(build(task.specs), data, recipe, 0).run()


@contextlib.contextmanager
def beside(count: int, arguments: list[str]) -> Iterator[None]:
    """Keeps other processes training candidates; begins when each has finished its first."""
    others = [
        subprocess.Popen(
            [sys.executable, __file__, *arguments, "--endless"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    try:
        for other in others:
            if other.stdout is not None:
                other.stdout.readline()  # written after the first candidate
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def machine(device: torch.device) -> dict[str, Any]:
    """The machine that was measured on."""
    name = "cpu"
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            name = next((x.split(":")[1].strip() for x in lines if "model name" in x), name)
    return {
        "device": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def row(system: str, metric: str, values: list[float], **more: Any) -> dict[str, Any]:
    """A row of the report: median and range of the measured values."""
    return {
        "system": system,
        "metric": metric,
        "value": round(statistics.median(values), 4),
        "spread": [round(min(values), 4), round(max(values), 4)],
        **more,
    }


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
    parser.add_argument("--ratios", default="1", help="one for all genes, or one per gene")
    parser.add_argument("--stem", choices=["imagenet", "small"], help="stem of resnet18")
    parser.add_argument("--image", default="32,3,10", help="size, channels, classes")
    parser.add_argument("--batch-size", type=int, default=128, help="images per step")
    parser.add_argument("--steps", type=int, default=10, help="steps per round")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    parser.add_argument(
        "--dtype",
        choices=["fp32", "bf16"],
        help="number format (None: bf16 if the hardware supports it)",
    )
    parser.add_argument(
        "--loader-workers",
        type=int,
        help="processes of the usual loop that load images (None: 0 on a CPU, 8 on a GPU)",
    )
    parser.add_argument(
        "--epochs", type=int, help="also measure whole candidates of this many epochs"
    )
    parser.add_argument(
        "--processes",
        type=int,
        nargs="+",
        default=[1],
        help="processes that train candidates at once",
    )
    parser.add_argument("--endless", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


def task_of(options: argparse.Namespace) -> Task:
    """The task that the options describe."""
    image = ImageShape(*(int(n) for n in options.image.split(",")))
    network = make_network(options.network, image, base_width=options.base_width, stem=options.stem)
    ratios = [float(r) for r in options.ratios.split(",")]
    ratios = ratios * len(network.genes) if len(ratios) == 1 else ratios
    widths = [int(b * r) for b, r in zip(network.base_widths, ratios, strict=True)]
    specs = network.layers(widths, "binary")
    return Task(specs, image, options.batch_size, options.steps, torch.device(options.device))


def side_by_side(task: Task, dtype: str, loader_workers: int) -> list[dict[str, Any]]:
    """Rows of both systems, measured in turns."""
    data = random_images(task.image, task.steps * task.batch_size, 0)
    usual = usual_loop(data, task.specs, task.batch_size, task.device, loader_workers)
    systems = {"moo-bnas": engine(task, dtype), "usual": usual}
    speeds: dict[str, list[float]] = {name: [] for name in systems}
    for run in systems.values():  # warms up
        run()
    for _ in range(ROUNDS):  # in turns, so that a machine that slows down slows both
        for name, run in systems.items():
            speeds[name].append(task.steps * task.batch_size / seconds(run, task.device))
    peak = peak_flops(task.device, torch.bfloat16 if dtype == "bf16" else torch.float32)
    shares = [s * 3 * task.forward_flops / peak for s in speeds["moo-bnas"]]
    ratios = [a / b for a, b in zip(speeds["moo-bnas"], speeds["usual"], strict=True)]
    return [
        *(row(name, "images_per_second", values) for name, values in speeds.items()),
        row("moo-bnas", "times_the_usual_loop", ratios),
        row("moo-bnas", "peak_share", shares, peak_gflops=round(peak / 1e9, 1)),
    ]


def whole_candidates(
    task: Task, dtype: str, epochs: int, processes: list[int]
) -> Iterator[dict[str, Any]]:
    """Rows of whole candidates, trained by each number of processes at once."""
    run = candidate(task, dtype, epochs)
    run()
    for count in processes:
        with beside(count - 1, sys.argv[1:]):
            took = [seconds(run, task.device) for _ in range(2)]
        yield row("moo-bnas", "seconds_per_candidate", took, processes=count)
        hourly = [count * 3600 / t for t in took]
        yield row("moo-bnas", "candidates_per_hour", hourly, processes=count)


def main() -> None:
    """Measures and prints."""
    options = parse()
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True
    task = task_of(options)
    on_gpu = task.device.type == "cuda"
    dtype = options.dtype or ("bf16" if has_bf16(task.device) else "fp32")
    while options.endless:
        for _ in whole_candidates(task, dtype, options.epochs, [1]):
            print("trained", flush=True)
    loader_workers = options.loader_workers
    if loader_workers is None:
        loader_workers = 8 if on_gpu else 0
    rows = side_by_side(task, dtype, loader_workers)
    if options.epochs:
        rows += whole_candidates(task, dtype, options.epochs, options.processes)
    settings = {**vars(options), "dtype": dtype, "loader_workers": loader_workers}
    for name in ("endless", "json"):
        del settings[name]
    if options.json:
        found = {"benchmark": "training", "settings": settings, "machine": machine(task.device)}
        print(json.dumps({**found, "rows": rows}, indent=1))
        return
    print(f"{options.network}, {dtype}, {machine(task.device)['device']}")
    for each in rows:
        more = f" ({each['processes']} processes)" if "processes" in each else ""
        spread = "{:.3f} to {:.3f}".format(*each["spread"])
        print(f"{each['system']:9} {each['metric']:22} {each['value']:10.3f}  {spread}{more}")


if __name__ == "__main__":
    main()
