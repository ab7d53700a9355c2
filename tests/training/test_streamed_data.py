"""Streamed data: the same batches whatever decodes them, and the same training after a break."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional

from moo_bnas.data import Folder, ImageData
from moo_bnas.data.pictures import Pictures
from moo_bnas.errors import DataError, Interrupted
from moo_bnas.networks.module import build
from moo_bnas.networks.vgg_small import vgg_small
from moo_bnas.recipe import Recipe
from moo_bnas.training.augmentation import Augmentation, draw_boxes
from moo_bnas.training.device_data import DeviceData, to_device
from moo_bnas.training.loop import Training, score
from moo_bnas.training.process_group import Group
from moo_bnas.training.recalibration import recalibrate
from moo_bnas.training.streamed_data import StreamedSplit
from tests.data.trees import plant

CPU = torch.device("cpu")
RECIPE = Recipe(
    epochs=3, batch_size=8, learning_rate=0.1, flip=True, random_resized_crop=True, shift=1
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageData:
    root = tmp_path_factory.mktemp("pictures")
    plant(root / "set" / "train", images=20, size=(18, 14))
    plant(root / "set" / "test", images=3, size=(18, 14))
    options = Folder(
        path="set", image_size=8, classes=2, stored_size=12, stored_as="jpeg", validation=3
    )
    return options.load(root, 0, "search")


@pytest.fixture
def data(images: ImageData) -> DeviceData:
    return to_device(images, 8, CPU)


def _threads(data: DeviceData, threads: int) -> DeviceData:
    assert isinstance(data.train, StreamedSplit)
    return replace(data, train=replace(data.train, threads=threads))


def _epoch(data: DeviceData, parts: list[slice], seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    augmentation = Augmentation(8, shift=1, flip=True, random_resized_crop=True)
    random = torch.Generator().manual_seed(seed)
    return list(data.train.augmented(augmentation, random, parts, CPU))


def _training(data: DeviceData, group: Group | None = None) -> Training:
    network = vgg_small(base_width=4, image=Folder(path="s", image_size=8, classes=2).shape)
    torch.manual_seed(0)
    made = build(network.layers(network.base_widths, "binary"), "dorefa")
    return Training(made, data, RECIPE, 1, group=group)


def test_batches_do_not_depend_on_who_decodes_them(data: DeviceData) -> None:
    parts = [slice(0, 16), slice(16, 32)]
    whole = _epoch(data, parts)
    assert [images.shape for images, _ in whole] == [(16, 3, 8, 8)] * 2
    for threads in (1, 2, 5):
        for mine, theirs in zip(_epoch(_threads(data, threads), parts), whole, strict=True):
            assert torch.equal(mine[0], theirs[0])
            assert torch.equal(mine[1], theirs[1])
    # The second of two processes gets the second half of each batch.
    shares = _epoch(data, [slice(8, 16), slice(24, 32)])
    for mine, theirs in zip(shares, whole, strict=True):
        assert torch.equal(mine[0], theirs[0][8:])
        assert torch.equal(mine[1], theirs[1][8:])
    assert not torch.equal(_epoch(data, parts, seed=1)[0][0], whole[0][0])


def test_images_and_labels_belong_together(data: DeviceData, images: ImageData) -> None:
    assert isinstance(images.train.images, Pictures)
    augmentation = Augmentation(8, shift=0, flip=False, random_resized_crop=False)
    random = torch.Generator().manual_seed(0)
    (batch, labels) = next(data.train.augmented(augmentation, random, [slice(0, 34)], CPU))
    known = {
        images.train.images.middle(row, 8).tobytes(): images.train.labels[row]
        for row in images.train.rows.tolist()
    }
    found = [known[image.permute(1, 2, 0).contiguous().numpy().tobytes()] for image in batch]
    assert found == labels.tolist()
    assert len(set(map(bytes, known))) == 34


def test_parts_are_resized_as_torchvision_does(data: DeviceData, images: ImageData) -> None:
    assert isinstance(images.train.images, Pictures)
    augmentation = Augmentation(8, shift=0, flip=False, random_resized_crop=True)
    random = torch.Generator().manual_seed(3)
    (batch, _) = next(data.train.augmented(augmentation, random, [slice(0, 34)], CPU))
    random = torch.Generator().manual_seed(3)
    order = data.train.rows[torch.randperm(34, generator=random)]
    sizes = torch.from_numpy(images.train.images.sizes.astype(int))[order]
    for found, row, box in zip(batch, order.tolist(), draw_boxes(sizes, random), strict=True):
        whole = functional.pil_to_tensor(images.train.images._open(row))
        left, top, width, height = box.tolist()
        expected = functional.resized_crop(whole, top, left, height, width, [8, 8])
        # torch rounds otherwise for another layout in memory.
        assert (found.int() - expected.int()).abs().max() <= 1


def test_about_half_of_the_images_are_mirrored(data: DeviceData) -> None:
    plain, mirrored = (Augmentation(8, 0, flip=f, random_resized_crop=True) for f in (False, True))
    parts = [slice(0, 34)]
    ((one, _),) = data.train.augmented(plain, torch.Generator().manual_seed(0), parts, CPU)
    ((other, _),) = data.train.augmented(mirrored, torch.Generator().manual_seed(0), parts, CPU)
    same = [bool((a.int() - b.int()).abs().max() <= 1) for a, b in zip(one, other, strict=True)]
    turned = [
        bool((a.flip(2).int() - b.int()).abs().max() <= 1) for a, b in zip(one, other, strict=True)
    ]
    assert all(a or b for a, b in zip(same, turned, strict=True))
    assert 5 < sum(turned) < 29  # 4 standard deviations around 17


def test_scoring_sees_the_middles_in_order(data: DeviceData, images: ImageData) -> None:
    rows = data.scoring.rows
    parts = torch.split(rows, 4)
    batches = list(data.scoring.plain(parts, 8, CPU))
    assert [len(labels) for _, labels in batches] == [4, 2]
    middles = torch.cat([batch for batch, _ in batches])
    stored = torch.from_numpy(images.scoring.images[rows.numpy()])
    # torchvision's evaluation: the centre of the stored picture.
    assert torch.equal(middles, functional.center_crop(stored, [8, 8]))
    assert torch.equal(torch.cat([each for _, each in batches]), data.scoring.labels[rows])


def test_statistics_are_of_all_pixels_of_the_training_pictures(
    data: DeviceData, images: ImageData
) -> None:
    pictures = images.train.images
    assert isinstance(pictures, Pictures)
    decoded = [functional.pil_to_tensor(pictures._open(row)) for row in images.train.rows.tolist()]
    pixels = torch.cat([each.flatten(1) for each in decoded], dim=1).double()
    # Of the pixels before they were encoded: noise is what JPEG keeps worst.
    torch.testing.assert_close(data.mean.flatten().double(), pixels.mean(dim=1), rtol=0.1, atol=0)
    torch.testing.assert_close(data.std.flatten().double(), pixels.std(dim=1), rtol=0.5, atol=0)


def test_a_training_resumes_to_equal_bits(data: DeviceData) -> None:
    whole = _training(data)
    whole.run()
    first, kept = _training(data), []
    first.run_epoch()
    kept.append({k: v.clone() for k, v in first.state().items()})
    second = _training(_threads(data, 3))
    second.restore(kept[0])
    second.run()
    assert second.losses == whole.losses
    assert second.accuracies == whole.accuracies
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name])
    assert score(whole.network, data) == whole.accuracies[-1]
    assert recalibrate(whole.network, data, 0) == 34


def test_threads_end_when_a_training_is_interrupted(data: DeviceData) -> None:
    asked = iter([False, True])
    with pytest.raises(Interrupted):
        _training(data).run_epoch(lambda: next(asked))
    assert not [t for t in threading.enumerate() if t.name.startswith("decode")]


def test_a_damaged_picture_ends_the_epoch_with_its_error(
    data: DeviceData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DataError("picture 3 is damaged")

    monkeypatch.setattr(Pictures, "part", fail)
    with pytest.raises(DataError, match="picture 3 is damaged"):
        _training(data).run_epoch()
    assert not [t for t in threading.enumerate() if t.name.startswith("decode")]


def test_pictures_smaller_than_the_result_are_enlarged(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for name in "ab":
            (tmp_path / "set" / part / name).mkdir(parents=True)
            for i in range(4):
                Image.new("RGB", (5, 7), (200, 10 * i, 0)).save(
                    tmp_path / "set" / part / name / f"{i}.png"
                )
    options = Folder(
        path="set", image_size=8, classes=2, stored_size=12, stored_as="jpeg", validation=1
    )
    data = to_device(options.load(tmp_path, 0, "search"), 8, CPU)
    (batch, _) = next(data.scoring.plain([data.scoring.rows], 8, CPU))
    assert batch.shape == (2, 3, 8, 8)
    assert (batch[:, 0].int() - 200).abs().max() <= 6  # one colour everywhere
