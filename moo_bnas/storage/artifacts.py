"""The artifact store: files that belong to trials (weights), in a folder or a bucket.

The storage holds their names and hashes; the bytes of a bucket go through Optuna's artifact stores.

Whoever can write to the storage could name any place and any file there. Therefore ids must be
UUIDs, a place counts as a store only if it contains a file of constant content (its marker), and a
place that only the storage names is never opened, unless it is the folder beside an SQLite file.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import string
import uuid
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from optuna.artifacts import Backoff, Boto3ArtifactStore, GCSArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.exceptions import ExperimentalWarning
from sqlalchemy import make_url

from moo_bnas.errors import ArtifactsError, ArtifactsFullError, DefinitionError
from moo_bnas.evaluation import Artifact
from moo_bnas.extras import not_installed
from moo_bnas.output import write_whole
from moo_bnas.passwords import hide_password
from moo_bnas.reading import read_file
from moo_bnas.storage.outages import waiting_for_disk

_EXPECTED = "expected a folder, s3://bucket or gs://bucket; give one of these"
_IN_BUCKET = frozenset(string.ascii_letters + string.digits + "._-")
_MARKER = b"This belongs to a study of moo-bnas.\n"
_MOST_BYTES = 2**34  # of one artifact; the weights of the largest shipped network take 2**30


class Artifacts:
    """An artifact store.

    Args:
        url: A folder, `s3://bucket` or `gs://bucket`.
        create: Whether to make the folder if it is missing.

    Attributes:
        url: The URL.
        shown: The URL without credentials.

    Raises:
        ArtifactsError: If it does not exist, or if the package that reads it is not installed.
        DefinitionError: If the URL has another form.
    """

    def __init__(self, url: str, *, create: bool = False) -> None:
        self.url = url
        self.shown = hide_password(url)
        store = _store(url, create)
        # Requests to buckets are repeated; except removals: Backoff.remove repeats them even after
        # success (Optuna 5.0).
        self._store = Backoff(store) if "://" in url else store
        self._remove = store.remove

    @waiting_for_disk
    def put(self, content: bytes) -> Artifact:
        """Keeps bytes in the store; waits while its disk is full.

        Raises:
            ArtifactsError: If they cannot be written.
        """
        return self.put_now(content)

    def put_now(self, content: bytes) -> Artifact:
        """Keeps bytes in the store; a full disk is an error at once."""
        artifact = Artifact(str(uuid.uuid4()), hashlib.sha256(content).hexdigest())
        try:
            self._store.write(artifact.id, io.BytesIO(content))
        except Exception as error:  # of three libraries, which have no common base
            kind = ArtifactsFullError if _is_full(error) else ArtifactsError
            raise kind(
                f"could not write {len(content):,} bytes to the artifact store {self.shown}: "
                f"{error}; make room, or check that it is reachable and writable"
            ) from error
        return artifact

    @property
    def optuna(self) -> Any:
        """The same store as an object of Optuna."""
        return self._store

    def get(self, artifact: Artifact) -> bytes:
        """The bytes of an artifact.

        Raises:
            ArtifactsError: If it does not exist, or is not what was kept.
        """
        name = _file_name(artifact)
        try:
            with self._store.open_reader(name) as reader:
                content: bytes = reader.read()
        except ArtifactNotFound as error:
            raise ArtifactsError(
                f"the artifact store {self.shown} has no {name}; mount the store that the run "
                "began with, or give its place as --artifacts"
            ) from error
        except Exception as error:
            raise ArtifactsError(
                f"could not read {name} from the artifact store {self.shown}: {error}; check "
                "that it is reachable"
            ) from error
        if hashlib.sha256(content).hexdigest() != artifact.sha256:
            raise ArtifactsError(
                f"{name} in the artifact store {self.shown} is damaged ({len(content):,} "
                "bytes of another hash); restore it from a copy"
            )
        return content

    def remove(self, artifact: Artifact) -> None:
        """Removes an artifact that nothing refers to any more, unless it is removed already."""
        name = _file_name(artifact)
        try:
            self._remove(name)
        except ArtifactNotFound:
            pass
        except Exception as error:
            raise ArtifactsError(
                f"could not remove {name} from the artifact store {self.shown}: {error}; "
                "check that it is reachable and writable"
            ) from error


def agree_on_artifacts(known: Any, url: str | None, storage_url: str) -> dict[str, Any]:
    """What a study records of its artifact store, for the workers that join.

    Beside the URL that is a marker, a file that only this store contains: whoever finds it has the
    right store, also under another URL (a folder that is mounted elsewhere).

    Args:
        known: What the study has recorded; None: the study is new.
        url: URL as given by the user; None: the default of the storage.
        storage_url: URL of the storage.

    Raises:
        DefinitionError: If none is given and the storage has no default.
        ArtifactsError: If the store cannot be used, or is not the recorded one.
    """
    if known is not None:
        url = join_artifacts(known, url, storage_url).url
        return {"url": url, "marker": known["marker"]}
    url = default_url(storage_url) if url is None else _absolute(url)
    marker = Artifacts(url, create=True).put_now(_MARKER)  # who begins a run is told
    return {"url": url, "marker": asdict(marker)}


def join_artifacts(known: Any, url: str | None, storage_url: str) -> Artifacts:
    """The artifact store of a study that was begun.

    Args:
        known: What the study has recorded of it.
        url: Where the store is on this machine, as given by the user; None: the default of the
            storage, also if the project was copied or renamed as a whole.
        storage_url: URL of the storage.

    Raises:
        ArtifactsError: If the store is not there, or if only the storage says where it is.
    """
    known = known if isinstance(known, dict) else {}
    marker = Artifact(artifact_of(known.get("marker")).id, hashlib.sha256(_MARKER).hexdigest())
    if url is not None:
        return _marked(_absolute(url), marker)
    recorded = known.get("url")
    try:
        beside = default_url(storage_url)
        return _marked(beside, marker)
    except (ArtifactsError, DefinitionError) as error:
        if isinstance(error, ArtifactsError) and recorded == beside:
            raise
        shown = hide_password(str(recorded))
        raise ArtifactsError(
            f"the storage says that the artifact store is {shown}, and a store that only the "
            f"storage names is not opened; if that is yours, give --artifacts {shown}, or where it "
            "is on this machine"
        ) from error


def must_be_named(known: Any, storage_url: str) -> str | None:
    """What workers must give as --artifacts, without credentials; None: nothing.

    Args:
        known: What the study has recorded of its artifact store; None: it has none.
        storage_url: URL of the storage.
    """
    if known is None:
        return None
    try:
        beside = default_url(storage_url)
    except DefinitionError:
        beside = None
    return None if known["url"] == beside else hide_password(known["url"])


def artifact_of(stored: Any) -> Artifact:
    """An artifact as an attribute of a study holds it: an object with `id` and `sha256`.

    Raises:
        ArtifactsError: If it is something else.
    """
    try:
        artifact = Artifact(stored["id"], stored["sha256"])
    except (KeyError, TypeError) as error:
        raise ArtifactsError(
            f"got {stored!r:.100} in the storage, expected id and sha256 of an artifact; this row "
            "is damaged: restore the storage from a copy, or begin another run"
        ) from error
    _file_name(artifact)
    return artifact


def _marked(url: str, marker: Artifact) -> Artifacts:
    artifacts = Artifacts(url)
    artifacts.get(marker)
    return artifacts


def default_url(storage_url: str) -> str:
    """The default artifact store of a storage: a folder beside an SQLite file.

    Raises:
        DefinitionError: If the storage is a server, whose workers need not share any folder.
    """
    url = make_url(storage_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise DefinitionError(
            "weights must be where all workers can read them, and the workers of a database server "
            "may have no folder in common; give --artifacts: a folder that all machines mount, "
            "s3://bucket or gs://bucket"
        )
    path = Path(url.database).absolute()
    return str(path.with_name(f"{path.stem}-artifacts"))


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _absolute(url: str) -> str:
    return url if "://" in url else str(_path(url))


def _path(url: str) -> Path:
    # Somebody who mistypes s3://bucket wants no folder of that name.
    if not url or not url.isprintable() or url.startswith(("s3:", "gs:")):
        raise DefinitionError(f"got --artifacts {url!r}, {_EXPECTED}")
    return Path(os.path.expanduser(url)).absolute()


def _file_name(artifact: Artifact) -> str:
    """The name of the file of an artifact.

    Raises:
        ArtifactsError: If its id, which comes from the storage, could be another file's name.
    """
    try:
        if str(uuid.UUID(artifact.id)) == artifact.id:
            return artifact.id
    except (ValueError, AttributeError, TypeError):
        pass
    raise ArtifactsError(
        f"got {artifact.id!r:.100} in the storage as the id of an artifact, expected a UUID; this "
        "row is damaged: restore the storage from a copy, or begin another run"
    )


def _store(url: str, create: bool) -> Any:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _Folder(url, create)
    bucket = rest.rstrip("/")
    if scheme not in ("s3", "gs") or not bucket or not set(bucket) <= _IN_BUCKET:
        raise DefinitionError(f"got --artifacts {hide_password(url)!r}, {_EXPECTED}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return Boto3ArtifactStore(bucket) if scheme == "s3" else GCSArtifactStore(bucket)
    except ImportError as error:
        package = {"s3": "boto3", "gs": "google-cloud-storage"}[scheme]
        raise ArtifactsError(f"the artifact store {url} needs {not_installed(package)}") from error
    except Exception as error:
        raise ArtifactsError(
            f"could not open the artifact store {url}: {error}; check the URL and the credentials"
        ) from error


class _Folder:
    """A folder as an artifact store of Optuna, which does not wait for pipes.

    A write that fails leaves nothing behind.
    """

    def __init__(self, url: str, create: bool) -> None:
        self._folder = folder = _path(url)
        if create:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ArtifactsError(
                    f"could not create the artifact folder {folder}: {error.strerror}; give "
                    "another --artifacts"
                ) from error
        if not os.path.isdir(folder):  # Path.is_dir raises if a name is too long
            raise ArtifactsError(
                f"there is no artifact folder {folder} on this machine; mount the run's folder "
                "there, or give its path on this machine as --artifacts"
            )

    def open_reader(self, name: str) -> BinaryIO:
        try:
            return io.BytesIO(read_file(self._folder / name, _MOST_BYTES))
        except FileNotFoundError as error:
            raise ArtifactNotFound(name) from error

    def write(self, name: str, content: BinaryIO) -> None:
        write_whole(self._folder / name, content.read())

    def remove(self, name: str) -> None:
        try:
            (self._folder / name).unlink()
        except FileNotFoundError as error:
            raise ArtifactNotFound(name) from error
