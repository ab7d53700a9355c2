from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from moo_bnas.errors import ArtifactsError
from moo_bnas.storage import Storage, Study, pareto_metrics
from moo_bnas.storage.artifacts import Artifacts
from moo_bnas.storage.checkpoints import Checkpoints


@pytest.fixture
def study(tmp_path: Path) -> tuple[Storage, Study]:
    storage = Storage(f"sqlite:///{tmp_path}/s.db", create=True)
    return storage, storage.studies.ensure("s", pareto_metrics("flops"), {"definition": {}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def checkpoints(study: tuple[Storage, Study], folder: Path) -> Checkpoints:
    return Checkpoints(*study, Artifacts(str(folder), create=True), "training 3")


def test_the_last_checkpoint_is_kept_and_no_other(checkpoints: Checkpoints, folder: Path) -> None:
    assert checkpoints.load() == (None, None)
    for epoch in (1, 2, 3):
        checkpoints.save(b"%d" % epoch, epoch)
        assert checkpoints.load() == (epoch, b"%d" % epoch)
        assert len(list(folder.iterdir())) == 1
    checkpoints.report(4)  # how far it is, but for what a kill would undo
    assert checkpoints.load() == (4, b"3")
    checkpoints.forget()
    assert checkpoints.load() == (None, None)
    assert list(folder.iterdir()) == []
    checkpoints.forget()


def test_a_failed_write_leaves_the_last_checkpoint(
    checkpoints: Checkpoints, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(b"1", 1)

    def full(self: Artifacts, content: bytes) -> None:
        raise ArtifactsError("no room")

    monkeypatch.setattr(Artifacts, "put", full)
    with pytest.raises(ArtifactsError):
        checkpoints.save(b"2", 2)
    assert checkpoints.load() == (1, b"1")


def test_a_checkpoint_cut_short_is_told_and_can_be_dropped(
    checkpoints: Checkpoints, folder: Path
) -> None:
    checkpoints.save(b"whole", 1)
    (file,) = folder.iterdir()
    file.write_bytes(b"who")
    with pytest.raises(ArtifactsError, match="is damaged"):
        checkpoints.load()
    file.unlink()
    with pytest.raises(ArtifactsError, match="has no"):
        checkpoints.load()
    checkpoints.forget()
    assert checkpoints.load() == (None, None)


@pytest.mark.parametrize(
    "row",
    [
        {"checkpoint": {"id": "../victim", "sha256": hashlib.sha256(b"precious").hexdigest()}},
        {"checkpoint": {"id": 7, "sha256": 8}},
        {"checkpoint": ["id"]},
        {"checkpoint": None},
        {"checkpoint": {}},
    ],
    ids=str,
)
def test_a_forged_row_removes_and_reads_no_file(
    study: tuple[Storage, Study], checkpoints: Checkpoints, tmp_path: Path, row: Any
) -> None:
    storage, its = study
    (tmp_path / "victim").write_bytes(b"precious")
    storage.studies.set_attributes(its, {"training 3": row})
    for use in (checkpoints.load, lambda: checkpoints.save(b"1", 1)):
        with pytest.raises(ArtifactsError, match="this row is damaged"):
            use()
    checkpoints.forget()  # which is the remedy
    assert checkpoints.load() == (None, None)
    assert (tmp_path / "victim").read_bytes() == b"precious"
