"""Two processes on the CPU that train as several GPUs would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from moo_bnas.data import Folder, ImageData, Split
from moo_bnas.evaluation import Precision
from moo_bnas.networks import make_network
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.module import build
from moo_bnas.recipe import Recipe
from moo_bnas.training.device_data import to_device
from moo_bnas.training.loop import Training
from moo_bnas.training.process_group import Group
from tests.data.trees import plant

STEP = Recipe(epochs=1, batch_size=600, learning_rate=0.01, shift=1, flip=True)
"""One step, on all training images."""


def noise() -> ImageData:
    """Images without equal neighbours: of equal ones, rounding would decide which is greatest."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (600, 1, 8, 8), dtype=np.uint8)
    split = Split(images, random.integers(0, 10, 600), np.arange(600))
    return ImageData(split, split, 0, tuple("0123456789"), "")


def train(
    precision: Precision, recipe: Recipe, group: Group | None, images: ImageData | None = None
) -> Training:
    torch.set_num_threads(1)
    images = images or noise()
    data = to_device(images, 8, torch.device("cpu"))
    shape = ImageShape(8, images.train.images.shape[1], len(images.classes))
    network = make_network("vgg_small", shape, base_width=4)
    torch.manual_seed(0)
    module = build(network.layers(network.base_widths, precision))
    training = Training(module, data, recipe, seed=1, scores=False, group=group)
    training.run()
    return training


def train_on_pictures(folder: Path, group: Group | None) -> Training:
    """A step on 34 pictures that stay on disk, each at random parts of its own."""
    images = Folder(
        path="set", image_size=8, classes=2, stored_size=12, stored_as="jpeg", validation=3
    ).load(folder, 0, "search")
    recipe = STEP.model_copy(update={"batch_size": 34, "random_resized_crop": True})
    return train("full", recipe, group, images)


def state_of(training: Training) -> dict[str, Tensor]:
    gradients = {f"gradient.{k}": p.grad for k, p in training.network.named_parameters()}
    return {
        **training.state(),
        **{k: g.contiguous() for k, g in gradients.items() if g is not None},
    }


TOGETHER = """
import sys
from pathlib import Path
import safetensors.torch
from moo_bnas.training.process_group import join_group
from tests.training.test_process_group import *
group = join_group(Path(sys.argv[1], "meeting"), int(sys.argv[2]), 2)
for message in (b"", b"task" * 1000):
    if group.rank == 0:
        group.send(message)
    else:
        assert group.receive() == message
for precision in ("full", "binary"):
    state = state_of(train(precision, STEP, group))
    safetensors.torch.save_file(state, f"{sys.argv[1]}/{precision}-{group.rank}")
state = state_of(train_on_pictures(Path(sys.argv[1]), group))
safetensors.torch.save_file(state, f"{sys.argv[1]}/pictures-{group.rank}")
"""


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    plant(folder / "set" / "train", images=20, size=(18, 14))
    plant(folder / "set" / "test", images=3, size=(18, 14))
    script = folder / "train.py"
    script.write_text(TOGETHER)
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(folder), str(rank)],
            env={"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    return folder


def _distance(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


# In full precision only the order of sums differs. In a binary network an activation that lies
# within rounding of its threshold may become the other bit, which moves gradients a little.
@pytest.mark.slow
@pytest.mark.parametrize(("precision", "tolerance"), [("full", 1e-4), ("binary", 1e-2)])
def test_two_processes_find_the_gradients_of_one(
    together: Path, precision: Precision, tolerance: float
) -> None:
    _check_same(together, precision, train(precision, STEP, None), tolerance)


@pytest.mark.slow
def test_two_processes_share_pictures_that_stay_on_disk(together: Path) -> None:
    _check_same(together, "pictures", train_on_pictures(together, None), 1e-4)


def _check_same(together: Path, name: str, trained_alone: Training, tolerance: float) -> None:
    alone = state_of(trained_alone)
    first, second = (safetensors.torch.load_file(together / f"{name}-{rank}") for rank in (0, 1))
    assert first.keys() == second.keys() == alone.keys()
    assert len([k for k in alone if k.startswith("gradient.")]) == 19  # 7 weights, 6 batch norms
    for key, expected in alone.items():
        assert torch.equal(first[key], second[key])
        if expected.is_floating_point() and expected.norm() > 0:
            assert _distance(first[key], expected) < tolerance, key
        elif key != "random":
            assert torch.equal(first[key], expected), key
    assert torch.equal(first["random"], alone["random"])
