"""How fast photographs reach training, beside torchvision's ImageFolder and DataLoader.

Both read the same files and cut random parts of the whole photograph, resized to 224 pixels and
mirrored at random. moo-bnas reads its cache of them, which is made before; what that takes is
measured, too. One thread decodes for each; rounds are interleaved, and medians are printed.

    python benchmarks/loading.py --images 2000 --kinds 40
    python benchmarks/loading.py --scale 2000 20000 100000       # memory and time of opening

The photographs are parts of the two that scikit-learn brings, at the size that ImageNet has in the
mean; a file system link makes many files of few.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from moo_bnas.data import ImageData, ImageNet
from moo_bnas.training.augmentation import Augmentation
from moo_bnas.training.device_data import to_device

CPU = torch.device("cpu")
CLASSES = 10
SIZE = 224
BATCH = 64


def grow(root: Path, images: int, kinds: int, size: tuple[int, int]) -> None:
    """Makes a tree of photographs: `imagenet/train` of so many images, and a small `val`.

    Args:
        root: Data root.
        images: Number of training images.
        kinds: Number of different ones.
        size: Width and height of each.
    """
    originals = [Image.fromarray(each) for each in load_sample_images().images]
    random = np.random.default_rng(0)
    store = root / "kinds"
    store.mkdir(parents=True)
    for i in range(kinds):
        share = random.uniform(0.5, 0.9)
        original = originals[i % 2]
        width, height = (round(share * each) for each in original.size)
        left = random.integers(0, original.width - width)
        top = random.integers(0, original.height - height)
        part = original.crop((left, top, left + width, top + height))
        part.resize(size, Image.Resampling.LANCZOS).save(store / f"{i}.jpg", quality=95)
    for part_name, count in (("train", images), ("val", 2 * CLASSES)):
        for name in range(CLASSES):
            (root / "imagenet" / part_name / f"n{name}").mkdir(parents=True)
        for i in range(count):
            folder = root / "imagenet" / part_name / f"n{i % CLASSES}"
            os.link(store / f"{i % kinds}.jpg", folder / f"{i}.jpg")


def options(size: int, side: int) -> ImageNet:
    """The data set of such a tree, stored as JPEG."""
    return ImageNet(
        image_size=size,
        stored_size=side,
        stored_as="jpeg",
        classes=CLASSES,
        train_per_class=None,
        validation=1,
    )


def seconds_used() -> float:
    """Processor time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(batches: Iterator[Any], count: int) -> float:
    """Images per second of processor time, over some batches."""
    next(batches)
    began = seconds_used()
    for _ in range(count):
        next(batches)
    return count * BATCH / (seconds_used() - began)


def ours(data: ImageData, size: int, seed: int) -> Iterator[Any]:
    """Batches of moo-bnas, without end."""
    split = to_device(data, size, CPU).train
    augmentation = Augmentation(size, shift=0, flip=True, random_resized_crop=True)
    parts = [slice(i * BATCH, (i + 1) * BATCH) for i in range(len(split.rows) // BATCH)]
    random = torch.Generator().manual_seed(seed)
    while True:
        yield from split.augmented(augmentation, random, parts, CPU)


def theirs(root: Path, seed: int) -> Iterator[Any]:
    """Batches of torchvision, as its reference training makes them."""
    transform = v2.Compose(
        [v2.RandomResizedCrop(SIZE), v2.RandomHorizontalFlip(), v2.PILToTensor()]
    )
    images = ImageFolder(root / "imagenet" / "train", transform)
    torch.manual_seed(seed)
    return iter(DataLoader(images, BATCH, shuffle=True))


def measure_speed(root: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Images per second of both, interleaved; and what writing the cache takes."""
    began = seconds_used()
    data = options(SIZE, 256).load(root, 0, "search")
    written = len(data.train.labels) / (seconds_used() - began)
    per_image = data.train.images.nbytes / len(data.train.labels)
    mine, peers, ratios = [], [], []
    for turn in range(arguments.rounds):
        mine.append(timed(ours(data, SIZE, turn), arguments.batches))
        peers.append(timed(theirs(root, turn), arguments.batches))
        ratios.append(mine[-1] / peers[-1])
    return [
        row("moo-bnas", "images_per_core_second", mine),
        row("torchvision", "images_per_core_second", peers),
        row("moo-bnas", "times_torchvision", ratios),
        row("moo-bnas", "images_per_core_second_written", [written]),
        row("moo-bnas", "bytes_per_image", [per_image]),
    ]


def measure_waits(root: Path, milliseconds: float) -> list[dict[str, Any]]:
    """Share of the time that steps of a given length wait for their batch."""
    data = options(SIZE, 256).load(root, 0, "search")
    shares = []
    for turn in range(3):
        batches = ours(data, SIZE, turn)
        next(batches)
        waited, began = 0.0, time.perf_counter()
        for _ in range(12):
            asked = time.perf_counter()
            next(batches)
            waited += time.perf_counter() - asked
            time.sleep(milliseconds / 1000)  # what a GPU does meanwhile
        shares.append(100 * waited / (time.perf_counter() - began))
    return [row("moo-bnas", f"percent_waited_at_{milliseconds:g}_ms_per_step", shares)]


_LOAD = """
import resource, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from loading import ours, options
import torch
def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1])
before = peak()
began = time.perf_counter()
data = options(64, 64).load(Path(sys.argv[1]), 0, "search")
opened = time.perf_counter() - began
after = peak()
batches = ours(data, 64, 0)
for _ in range(20):
    next(batches)
print(before, after, peak(), opened, data.train.images.nbytes)
"""


def measure_scale(images: int, kinds: int) -> list[dict[str, Any]]:
    """Memory and time of opening a cache of small photographs that was made before."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        grow(root, images, kinds, (100, 75))
        command = [sys.executable, "-c", _LOAD, folder, str(Path(__file__).parent)]

        def run() -> list[float]:
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            return [float(each) for each in done.stdout.split()]

        made = run()
        runs = [run() for _ in range(3)]
    megabytes = [[run[i] / 1000 for run in runs] for i in range(3)]
    return [
        row("moo-bnas", f"MB_imported@{images}", megabytes[0]),
        row("moo-bnas", f"MB_making@{images}", [made[1] / 1000]),
        row("moo-bnas", f"MB_opened@{images}", megabytes[1]),
        row("moo-bnas", f"MB_training@{images}", megabytes[2]),
        row("moo-bnas", f"seconds_to_open@{images}", [run[3] for run in runs]),
    ]


def row(system: str, metric: str, values: list[float]) -> dict[str, Any]:
    """One line of results: the median, and the extremes."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return {
        "system": system,
        "metric": metric,
        "value": round(middle, 3),
        "spread": [round(low, 3), round(high, 3)],
    }


def main() -> None:
    """Measures, and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--kinds", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--step-ms", type=float, default=200.0)
    parser.add_argument("--scale", type=int, nargs="*", default=[])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    if arguments.images:
        folder = Path(tempfile.mkdtemp())
        try:
            grow(folder, arguments.images, arguments.kinds, (500, 375))
            rows += measure_speed(folder, arguments)
            rows += measure_waits(folder, arguments.step_ms)
        finally:
            shutil.rmtree(folder)
    for images in arguments.scale:
        rows += measure_scale(images, arguments.kinds)
    if arguments.json:
        machine = {"processor": platform.machine(), "cores": os.cpu_count()}
        settings = {k: v for k, v in vars(arguments).items() if k != "json"}
        document = {"benchmark": "loading", "settings": settings, "machine": machine, "rows": rows}
        print(json.dumps(document, indent=1))
        return
    for each in rows:
        low, high = each["spread"]
        print(
            f"{each['system']:<12} {each['metric']:<36} {each['value']:>10g}  {low:g} to {high:g}"
        )


if __name__ == "__main__":
    main()
