from __future__ import annotations

from pathlib import Path

import pytest

from moo_bnas.cli.needs import needs_of, needs_warning
from moo_bnas.data import Digits, Folder, image_tree
from tests.data.trees import plant

FOLDER = Folder(path="set", image_size=4, classes=2, train_per_class=3)
# Of 2 x 10 images in train/, a search reads 2 x 3 and, for validation, a tenth of 20; final
# training reads all of them, and the 2 in test/. Each takes 4 x 4 x 3 bytes.
MISSING = 48 * ((6 + 2) + 20 + 2)


def test_room_for_final_training_is_asked_for_before_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path / "set" / "train")
    plant(tmp_path / "set" / "test", images=1)

    def warning(free: int) -> str | None:
        monkeypatch.setattr(image_tree, "free_bytes", lambda folder: free)
        return needs_warning(needs_of(FOLDER, tmp_path, 0), tmp_path)

    assert warning(MISSING) is None
    assert warning(MISSING - 1) is not None
    assert warning(1000) == (
        f"warning: search and final training need 1.4 kB more in {tmp_path}/cache, and 1.0 kB are "
        "free; free space there before `moo-bnas train`, give another --data-root, or, where "
        'images are stored as pixels, set data.stored_as = "jpeg"'
    )
    FOLDER.load(tmp_path, 0, "search")
    FOLDER.load(tmp_path, 0, "final")
    assert warning(0) is None  # all of it is there


def test_small_data_sets_ask_for_nothing(tmp_path: Path) -> None:
    assert needs_of(Digits(), tmp_path, 0) is None
    assert needs_warning(None, tmp_path) is None
