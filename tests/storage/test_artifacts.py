from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from moo_bnas.errors import ArtifactsError, DefinitionError
from moo_bnas.storage.artifacts import (
    Artifacts,
    agree_on_artifacts,
    default_url,
    join_artifacts,
)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="weights")
        yield "s3://weights"


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "artifacts")
    found: str = request.getfixturevalue("s3")
    return found


def test_what_was_kept_comes_back_until_it_is_removed(url: str) -> None:
    artifacts = Artifacts(url, create=True)
    kept = artifacts.put(b"weights")
    assert kept.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert artifacts.get(kept) == b"weights"
    assert Artifacts(url).get(kept) == b"weights"
    artifacts.remove(kept)
    artifacts.remove(kept)  # as after a kill between two lines
    with pytest.raises(ArtifactsError, match=f"{url} has no {kept.id}; mount the store"):
        artifacts.get(kept)


def test_damage_is_told(tmp_path: Path) -> None:
    artifacts = Artifacts(str(tmp_path))
    kept = artifacts.put(b"weights")
    (tmp_path / kept.id).write_bytes(b"weigh")
    with pytest.raises(ArtifactsError, match=r"is damaged \(5 bytes of another hash\); restore"):
        artifacts.get(kept)


def test_a_folder_that_is_not_there_is_made_only_when_a_run_begins(tmp_path: Path) -> None:
    with pytest.raises(ArtifactsError, match="there is no artifact folder .* on this machine"):
        Artifacts(str(tmp_path / "new"))
    Artifacts(str(tmp_path / "new"), create=True)
    assert (tmp_path / "new").is_dir()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactsError, match="could not create the artifact folder .* another"):
        Artifacts(str(tmp_path / "file" / "below"), create=True)


@pytest.mark.parametrize("wrong", ["ftp://host", "s3://bucket/folder"])
def test_other_urls_are_refused(wrong: str) -> None:
    with pytest.raises(DefinitionError, match=f"got --artifacts {wrong}, expected a folder"):
        Artifacts(wrong)


def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(ArtifactsError, match="needs the Python package google-cloud-storage"):
        Artifacts("gs://bucket")


def test_an_sqlite_storage_has_a_folder_beside_it_and_a_server_has_none(tmp_path: Path) -> None:
    assert default_url(f"sqlite:///{tmp_path}/runs.db") == f"{tmp_path}/runs-artifacts"
    with pytest.raises(DefinitionError, match="give --artifacts: a folder that all machines mount"):
        default_url("postgresql+psycopg://host/name")


def test_workers_find_the_store_of_the_run_and_no_other(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/runs.db"
    known = agree_on_artifacts(None, None, storage)
    assert known["url"] == f"{tmp_path}/runs-artifacts"
    assert join_artifacts(known, None).url == known["url"]
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(ArtifactsError, match="elsewhere has no"):
        join_artifacts(known, str(tmp_path / "elsewhere"))
    # the same folder, mounted elsewhere
    (tmp_path / "runs-artifacts").rename(tmp_path / "moved")
    with pytest.raises(ArtifactsError, match="there is no artifact folder"):
        join_artifacts(known, None)
    assert join_artifacts(known, str(tmp_path / "moved")).url == str(tmp_path / "moved")
    assert agree_on_artifacts(known, str(tmp_path / "moved"), storage) == {
        "url": str(tmp_path / "moved"),
        "marker": known["marker"],
    }


def test_a_run_does_not_go_on_with_another_store(tmp_path: Path) -> None:
    known = agree_on_artifacts(None, str(tmp_path / "one"), "postgresql://host/name")
    (tmp_path / "other").mkdir()
    with pytest.raises(ArtifactsError, match="other has no"):
        agree_on_artifacts(known, str(tmp_path / "other"), "postgresql://host/name")


def test_a_full_store_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts = Artifacts(str(tmp_path))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifacts._store, "write", full)
    with pytest.raises(ArtifactsError, match="could not write 7 bytes .* No space left on device"):
        artifacts.put(b"weights")
