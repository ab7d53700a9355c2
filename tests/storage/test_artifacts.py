from __future__ import annotations

import hashlib
import os
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from moo_bnas.errors import ArtifactsError, ArtifactsFullError, DefinitionError
from moo_bnas.evaluation import Artifact
from moo_bnas.storage import outages
from moo_bnas.storage.artifacts import (
    Artifacts,
    agree_on_artifacts,
    default_url,
    join_artifacts,
    must_be_named,
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


@pytest.mark.parametrize(
    "wrong",
    [
        *("ftp://host", "s3://bucket/folder", "s3://", "s3:/bucket", "gs:bucket", "gs:///"),
        *("", "a\\x1bb", "a\\0b"),
    ],
)
def test_other_urls_are_refused(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = wrong.encode().decode("unicode_escape")
    with pytest.raises(
        DefinitionError, match=re.escape(f"got --artifacts {wrong!r}, expected a folder")
    ):
        Artifacts(wrong, create=True)
    assert list(tmp_path.iterdir()) == []


def test_credentials_in_a_url_are_not_shown() -> None:
    with pytest.raises(DefinitionError, match=r"got --artifacts 's3://key:\*\*\*@weights'") as told:
        Artifacts("s3://key:secret@weights")
    assert "secret" not in str(told.value)


def test_a_path_that_is_too_long_is_told(tmp_path: Path) -> None:
    for create in (True, False):
        with pytest.raises(ArtifactsError, match="artifact folder .* another|no artifact folder"):
            Artifacts(f"{tmp_path}/{'x' * 5000}", create=create)


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
    assert join_artifacts(known, None, storage).url == known["url"]
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(ArtifactsError, match="elsewhere has no"):
        join_artifacts(known, str(tmp_path / "elsewhere"), storage)
    # the same folder, mounted elsewhere
    (tmp_path / "runs-artifacts").rename(tmp_path / "moved")
    with pytest.raises(ArtifactsError, match="there is no artifact folder"):
        join_artifacts(known, None, storage)
    assert join_artifacts(known, str(tmp_path / "moved"), storage).url == str(tmp_path / "moved")
    assert agree_on_artifacts(known, str(tmp_path / "moved"), storage) == {
        "url": str(tmp_path / "moved"),
        "marker": known["marker"],
    }


def test_a_run_does_not_go_on_with_another_store(tmp_path: Path) -> None:
    known = agree_on_artifacts(None, str(tmp_path / "one"), "postgresql://host/name")
    (tmp_path / "other").mkdir()
    with pytest.raises(ArtifactsError, match="other has no"):
        agree_on_artifacts(known, str(tmp_path / "other"), "postgresql://host/name")


def test_a_store_that_only_the_storage_names_is_not_opened(tmp_path: Path) -> None:
    for storage in ("postgresql://host/name", f"sqlite:///{tmp_path}/runs.db"):
        known = agree_on_artifacts(None, str(tmp_path / "elsewhere"), storage)
        for use in (join_artifacts, agree_on_artifacts):
            with pytest.raises(ArtifactsError, match=r"names is not opened; .* give --artifacts /"):
                use(known, None, storage)
        assert must_be_named(known, storage) == str(tmp_path / "elsewhere")
    beside = agree_on_artifacts(None, None, f"sqlite:///{tmp_path}/runs.db")
    assert must_be_named(beside, f"sqlite:///{tmp_path}/runs.db") is None


FORGED: list[Any] = [
    *(None, 7, "x", [], {}, {"url": "/"}, {"url": 7, "marker": []}),
    {"url": "/", "marker": {"id": "etc/passwd", "sha256": "0" * 64}},
]


@pytest.mark.parametrize("known", FORGED, ids=str)
@pytest.mark.parametrize("given", [True, False])
def test_a_forged_row_of_a_study_opens_no_store(tmp_path: Path, known: Any, given: bool) -> None:
    # A file whose hash is known to whoever forged the row counts for nothing.
    (tmp_path / "runs-artifacts").mkdir()
    url = str(tmp_path) if given else None
    with pytest.raises(ArtifactsError):
        join_artifacts(known, url, f"sqlite:///{tmp_path}/runs.db")


def test_another_file_of_a_known_hash_is_no_marker(tmp_path: Path) -> None:
    name, content = str(uuid.uuid4()), b"known to others"
    (tmp_path / name).write_bytes(content)
    marker = {"id": name, "sha256": hashlib.sha256(content).hexdigest()}
    with pytest.raises(ArtifactsError, match="bytes of another hash"):
        join_artifacts({"url": str(tmp_path), "marker": marker}, str(tmp_path), "sqlite:///x.db")


@pytest.mark.parametrize(
    "forged", ["../victim", "/etc/passwd", "victim", "", ".", "\0", "x" * 5000, None, 7, [], {}]
)
def test_an_id_that_is_no_uuid_touches_no_file(tmp_path: Path, forged: Any) -> None:
    store, content = tmp_path / "store", b"precious"
    artifacts = Artifacts(str(store), create=True)
    for victim in (store / "victim", tmp_path / "victim"):
        victim.write_bytes(content)
    artifact = Artifact(forged, hashlib.sha256(content).hexdigest())
    for use in (artifacts.get, artifacts.remove):
        with pytest.raises(ArtifactsError, match="as the id of an artifact, expected a UUID"):
            use(artifact)
    assert (store / "victim").read_bytes() == (tmp_path / "victim").read_bytes() == content


@pytest.mark.timeout(20)
def test_a_pipe_or_a_device_in_a_store_is_not_waited_for(tmp_path: Path) -> None:
    artifacts = Artifacts(str(tmp_path))
    pipe, zeros = str(uuid.uuid4()), str(uuid.uuid4())
    os.mkfifo(tmp_path / pipe)
    (tmp_path / zeros).symlink_to("/dev/zero")
    for name in (pipe, zeros):
        with pytest.raises(ArtifactsError, match="it is a pipe or a device, expected a file"):
            artifacts.get(Artifact(name, "0" * 64))


def test_a_file_of_absurd_size_is_not_read(tmp_path: Path) -> None:
    artifacts, name = Artifacts(str(tmp_path)), str(uuid.uuid4())
    with (tmp_path / name).open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ArtifactsError, match="it has 1,099,511,627,776 bytes, expected at most"):
        artifacts.get(Artifact(name, "0" * 64))


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts, write_bytes = Artifacts(str(tmp_path)), Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        write_bytes(self, content[:3])
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ArtifactsError, match="could not write 7 bytes .* Input/output error; make"):
        artifacts.put(b"weights")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_waited_for_unless_a_run_begins(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    artifacts, other = Artifacts(str(small_disk)), small_disk / "of somebody else"
    other.write_bytes(bytes(60_000))

    def make_room(seconds: float) -> None:
        assert [path.name for path in small_disk.iterdir()] == [other.name]  # no part is left
        other.unlink()

    clock = SimpleNamespace(monotonic=time.monotonic, sleep=make_room)
    monkeypatch.setattr(outages, "time", clock)
    weights = bytes(30_000)
    with pytest.raises(ArtifactsFullError, match="No space left on device; make room"):
        artifacts.put_now(weights)
    assert artifacts.get(artifacts.put(weights)) == weights
    assert "could not write 30,000 bytes to the artifact store" in caplog.text
    assert "the artifact store is back after" in caplog.text
