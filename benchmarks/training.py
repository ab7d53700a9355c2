"""How fast candidates are trained, beside the usual PyTorch loop, in one run.

    python benchmarks/training.py --network vgg_small --base-width 32 --batch-size 128 --device cpu

Two systems train the same network on the same images, in turns:

- moo-bnas: its training engine, in bf16 where the processor has it in hardware, else fp32
- usual: a DataLoader with torchvision's transforms for each sample, fp32, a binarizer written with
  clamp, round and detach, torch's SGD as it comes

`images_per_second` is of the training alone. `peak_share` is the engine's arithmetic (3 times the
forward pass) as a share of the fastest convolution or matrix product measured on the device.
`--epochs 10` measures whole candidates too (45,000 images to train on, 5,000 to score on), with
`--processes 1 2 4` several at once on one device.
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
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from moo_bnas.data import ImageData, Split
from moo_bnas.networks import make_network
from moo_bnas.networks.cost import macs
from moo_bnas.networks.layers import ImageShape, LayerSpec
from moo_bnas.networks.module import Activation, BinaryConv2d, SpecModule, build
from moo_bnas.recipe import Recipe
from moo_bnas.training.device_data import to_device
from moo_bnas.training.loop import Training

ROUNDS = 5
SHIFT = 4


@dataclass(frozen=True)
class Task:
    """What both systems train."""

    specs: list[LayerSpec]
    image: ImageShape
    batch_size: int
    steps: int  # a round
    device: torch.device

    @property
    def forward_flops(self) -> float:
        """Floating point operations of one image, two a multiply-accumulate."""
        return 2.0 * sum(float(macs(spec)) for spec in self.specs)


def random_images(image: ImageShape, train: int, scoring: int) -> ImageData:
    """Noise: what is in the images takes no time."""
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
    """A recipe as those of CIFAR-10: crops, flips, SGD."""
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
    """A round of moo-bnas."""
    data = random_images(task.image, task.steps * task.batch_size, 2)
    on_device = to_device(data, task.image.size, task.device)
    training = Training(build(task.specs), on_device, recipe_of(task, dtype), seed=0)
    return training.run_epoch


class UsualConv2d(BinaryConv2d):
    """A binary convolution as tutorials write it."""

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight
        binary = torch.sign(w) * w.abs().mean()
        return functional.conv2d(x, (binary - w).detach() + w, None, self.stride, self.padding)


class UsualActivation(nn.Module):
    """An activation as tutorials write it."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.clamp(0, 1)
        return (x.round() - x).detach() + x


def usual_network(specs: list[LayerSpec]) -> SpecModule:
    """The same network with the usual binarizers."""
    network = build(specs)
    for name, layer in network.layers.items():
        if isinstance(layer, BinaryConv2d):
            layer.__class__ = UsualConv2d
        elif isinstance(layer, Activation):
            network.layers[name] = UsualActivation()
    return network


class UsualDataset(Dataset[tuple[Tensor, int]]):
    """As torchvision's CIFAR10: an array, a PIL image of each sample, transforms."""

    def __init__(self, data: ImageData, size: int) -> None:
        images = data.train.images[data.train.rows].transpose(0, 2, 3, 1)
        self._images = images.squeeze(3) if images.shape[3] == 1 else images
        self._labels = data.train.labels
        channels = data.train.images.shape[1]
        self._transform = transforms.Compose(
            [
                transforms.RandomCrop(size, padding=SHIFT),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.5,) * channels, (0.25,) * channels),
            ]
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self._images[index])
        return self._transform(image), int(self._labels[index])


def usual(task: Task, loader_workers: int) -> Callable[[], None]:
    """A round of the usual loop."""
    data = random_images(task.image, task.steps * task.batch_size, 0)
    on_gpu = task.device.type == "cuda"
    loader = DataLoader(
        UsualDataset(data, task.image.size),
        batch_size=task.batch_size,
        shuffle=True,
        num_workers=loader_workers,
        pin_memory=on_gpu,
        persistent_workers=loader_workers > 0,
    )
    network = usual_network(task.specs).to(task.device).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)

    def run() -> None:
        loss_sum = 0.0
        for images, labels in loader:
            x = images.to(task.device, non_blocking=True)
            y = labels.to(task.device, non_blocking=True)
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(x), y)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item()

    return run


def seconds(run: Callable[[], Any], device: torch.device) -> float:
    """How long something takes, with all that it started on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """The fastest of some large convolutions and a matrix product, in operations a second."""
    scale = 16 if device.type == "cuda" else 1
    best = 0.0
    with torch.inference_mode():
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
        for _ in range(10):
            run()

    often()
    return min(seconds(often, device) for _ in range(ROUNDS)) / 10


def has_bf16(device: torch.device) -> bool:
    """Whether the processor multiplies bf16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def candidate(task: Task, dtype: str, epochs: int) -> Callable[[], Any]:
    """One whole candidate of CIFAR-10's size; what all share is made before."""
    data = to_device(random_images(task.image, 45_000, 5_000), task.image.size, task.device)
    recipe = recipe_of(task, dtype, epochs)
    return lambda: Training(build(task.specs), data, recipe, 0).run()


@contextlib.contextmanager
def beside(count: int, arguments: list[str]) -> Iterator[None]:
    """Other processes that train candidates without end, all past their first."""
    others = [
        subprocess.Popen(
            [sys.executable, __file__, *arguments, "--endless"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    try:
        for other in others:
            if other.stdout is not None:
                other.stdout.readline()
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def machine(device: torch.device) -> dict[str, Any]:
    """What was measured on."""
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
    """A row of the report: the median and the range of what was measured."""
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
        "--base-width", type=int, help="channels of the first layer; None: the paper's"
    )
    parser.add_argument("--ratios", default="1", help="one for all layers, or one a gene")
    parser.add_argument("--stem", choices=["imagenet", "small"], help="of resnet18")
    parser.add_argument("--image", default="32,3,10", help="size, channels, classes")
    parser.add_argument("--batch-size", type=int, default=128, help="images a step")
    parser.add_argument("--steps", type=int, default=10, help="of a round")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    parser.add_argument(
        "--dtype", choices=["fp32", "bf16"], help="None: bf16 where the hardware has it"
    )
    parser.add_argument("--loader-workers", type=int, help="None: 0 on a CPU, 8 on a GPU")
    parser.add_argument("--epochs", type=int, help="measure whole candidates of so many epochs")
    parser.add_argument("--processes", type=int, nargs="+", default=[1], help="that train them")
    parser.add_argument("--endless", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


def task_of(options: argparse.Namespace) -> Task:
    """What the options name."""
    image = ImageShape(*(int(n) for n in options.image.split(",")))
    network = make_network(options.network, image, base_width=options.base_width, stem=options.stem)
    ratios = [float(r) for r in options.ratios.split(",")]
    ratios = ratios * len(network.genes) if len(ratios) == 1 else ratios
    widths = [int(b * r) for b, r in zip(network.base_widths, ratios, strict=True)]
    specs = network.layers(widths, "binary")
    return Task(specs, image, options.batch_size, options.steps, torch.device(options.device))


def side_by_side(task: Task, dtype: str, loader_workers: int) -> list[dict[str, Any]]:
    """Both systems in turns."""
    systems = {"moo-bnas": engine(task, dtype), "usual": usual(task, loader_workers)}
    speeds: dict[str, list[float]] = {name: [] for name in systems}
    for run in systems.values():
        run()
    for _ in range(ROUNDS):
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
    """Whole candidates, in so many processes at once."""
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
