from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.transforms import RandomResizedCrop

from moo_bnas.training.augmentation import Augmentation, Moves, centre, draw_boxes

CPU = torch.device("cpu")


def _random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_shifting_moves_images_and_fills_with_zeros() -> None:
    images = torch.arange(1, 10, dtype=torch.uint8).reshape(1, 1, 3, 3).repeat(64, 1, 1, 1)
    augmentation = Augmentation(3, shift=1, flip=False, random_resized_crop=False)
    shifted = augmentation.apply(images, augmentation.draw(64, _random(), CPU))
    padded = nn.functional.pad(images[0, 0], (1, 1, 1, 1))
    windows = [padded[y : y + 3, x : x + 3] for y in range(3) for x in range(3)]
    seen = {i for image in shifted[:, 0] for i, w in enumerate(windows) if torch.equal(image, w)}
    assert all(any(torch.equal(image, w) for w in windows) for image in shifted[:, 0])
    assert len(seen) == 9


def test_about_half_of_the_images_are_mirrored() -> None:
    images = torch.arange(18, dtype=torch.uint8).reshape(1, 2, 3, 3).repeat(200, 1, 1, 1)
    augmentation = Augmentation(3, shift=0, flip=True, random_resized_crop=False)
    flipped = augmentation.apply(images, augmentation.draw(200, _random(), CPU))
    mirrored = [torch.equal(image, images[0].flip(2)) for image in flipped]
    assert all(
        m or torch.equal(image, images[0]) for m, image in zip(mirrored, flipped, strict=True)
    )
    assert 70 < sum(mirrored) < 130  # 4 standard deviations around 100


def test_without_augmentation_the_middle_stays() -> None:
    images = torch.arange(36, dtype=torch.uint8).reshape(1, 1, 6, 6)
    augmentation = Augmentation(4, shift=0, flip=False, random_resized_crop=False)
    moves = augmentation.draw(1, _random(), CPU)
    assert moves == Moves(None, None, None)
    assert torch.equal(augmentation.apply(images, moves), images[:, :, 1:5, 1:5])
    assert torch.equal(centre(images, 6), images)


def test_a_box_is_cut_out_and_resized() -> None:
    images = torch.randint(0, 256, (2, 3, 8, 8), generator=_random()).to(torch.uint8)
    augmentation = Augmentation(4, shift=0, flip=False, random_resized_crop=True)
    # the upper left quarter; and all, at half the size
    boxes = torch.tensor([[0.25, 0.25, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]])
    cut = augmentation.apply(images, Moves(None, None, boxes))
    torch.testing.assert_close(cut[0], images[0, :, :4, :4].float())
    halved = functional.interpolate(images[1:].float(), 4, mode="bilinear", align_corners=False)
    torch.testing.assert_close(cut[1:], halved)


def test_boxes_are_drawn_as_torchvision_draws_them() -> None:
    n = 4000
    augmentation = Augmentation(8, shift=0, flip=False, random_resized_crop=True)
    boxes = augmentation.draw(n, _random(), CPU).boxes
    assert boxes is not None
    x, y, width, height = boxes.T
    assert (x - width / 2 >= -1e-6).all()
    assert (y + height / 2 <= 1 + 1e-6).all()
    torch.manual_seed(0)
    picture = torch.zeros(3, 1000, 1000)
    theirs = torch.tensor(
        [RandomResizedCrop.get_params(picture, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(n)]
    ).float()
    for mine, their in (
        (width * height, theirs[:, 2] * theirs[:, 3] / 1e6),
        (width, theirs[:, 3] / 1e3),
    ):
        for share in (0.1, 0.5, 0.9):
            assert mine.quantile(share).item() == pytest.approx(
                their.quantile(share).item(), abs=0.03
            )


def test_moves_are_sliced_together() -> None:
    augmentation = Augmentation(8, shift=2, flip=True, random_resized_crop=True)
    moves = augmentation.draw(10, _random(), CPU)
    part = moves[3:7]
    assert part.shifts is not None
    assert part.flips is not None
    assert part.boxes is not None
    assert part.shifts.shape == (4, 2)
    assert part.flips.shape == (4,)
    assert part.boxes.shape == (4, 4)


def test_equal_seeds_move_equally() -> None:
    augmentation = Augmentation(8, shift=2, flip=True, random_resized_crop=True)
    images = torch.randint(0, 256, (16, 3, 8, 8), generator=_random()).to(torch.uint8)
    one, other = (augmentation.apply(images, augmentation.draw(16, _random(5), CPU)) for _ in "ab")
    assert torch.equal(one, other)


@pytest.mark.parametrize("size", [(375, 500), (256, 384), (500, 333), (100, 640)])
def test_parts_of_whole_pictures_are_drawn_as_torchvision_draws_them(size: tuple[int, int]) -> None:
    n = 10_000
    height, width = size
    boxes = draw_boxes(torch.tensor([size]).repeat(n, 1), _random())
    assert boxes.dtype == torch.int32
    left, top, w, h = boxes.double().T
    assert min(left.min(), top.min()) >= 0
    assert min(w.min(), h.min()) >= 1
    assert (left + w).max() <= width
    assert (top + h).max() <= height
    torch.manual_seed(0)
    picture = torch.zeros(1, height, width)
    theirs = torch.tensor(
        [RandomResizedCrop.get_params(picture, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(n)]
    ).double()
    their_top, their_left, their_h, their_w = theirs.T
    for mine, their in (
        (w * h, their_w * their_h),  # source pixels
        (w * h / (width * height), their_w * their_h / (width * height)),
        ((w / h).log(), (their_w / their_h).log()),
        (left + w / 2, their_left + their_w / 2),
        (top + h / 2, their_top + their_h / 2),
    ):
        # Means within 4 standard errors of the difference, and quantiles as close as those of
        # 10,000 draws are (1 % of the draws is 4 standard errors of a median).
        error = ((mine.var() + their.var()) / n).sqrt()
        assert abs(mine.mean() - their.mean()) <= 4 * error + 1e-9
        for share in (0.1, 0.5, 0.9):
            below = (mine <= their.quantile(share)).double().mean()
            ties = (mine == their.quantile(share)).double().mean()
            assert share - 0.03 <= below <= share + 0.03 + ties


def test_a_picture_in_which_no_part_fits_gives_its_middle() -> None:
    # Even the least area, 8 %, of a strip of 1 x 1000 has no aspect in the range.
    boxes = draw_boxes(torch.tensor([[10, 1000], [1000, 10], [10, 12]]), _random())
    assert boxes[0].tolist() == [(1000 - 13) // 2, 0, 13, 10]  # 10 * 4 / 3, rounded
    assert boxes[1].tolist() == [0, (1000 - 13) // 2, 10, 13]


def test_boxes_of_many_images_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moo_bnas.training.augmentation._FEW", 4)
    boxes = draw_boxes(torch.tensor([[30, 40]]).repeat(11, 1), _random())
    assert boxes.shape == (11, 4)
