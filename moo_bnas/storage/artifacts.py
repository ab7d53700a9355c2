"""The artifact store: files that belong to trials (weights), in a folder or a bucket.

The storage holds their names and hashes; their bytes go through Optuna's artifact stores.
"""

from __future__ import annotations

import hashlib
import io
import uuid
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from optuna.artifacts import Backoff, Boto3ArtifactStore, FileSystemArtifactStore, GCSArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.exceptions import ExperimentalWarning
from sqlalchemy import make_url

from moo_bnas.errors import ArtifactsError, DefinitionError
from moo_bnas.evaluation import Artifact


class Artifacts:
    """An artifact store.

    Args:
        url: A folder, `s3://bucket` or `gs://bucket`.
        create: Whether to make the folder if it is missing.

    Raises:
        ArtifactsError: If it does not exist, or if the package that reads it is not installed.
        DefinitionError: If the URL has another form.
    """

    def __init__(self, url: str, *, create: bool = False) -> None:
        self.url = url
        store = _store(url, create)
        # Requests to buckets are repeated; except removals: Backoff.remove repeats them even after
        # success (Optuna 5.0).
        self._store = Backoff(store) if "://" in url else store
        self._remove = store.remove

    def put(self, content: bytes) -> Artifact:
        """Keeps bytes in the store.

        Raises:
            ArtifactsError: If they cannot be written.
        """
        artifact = Artifact(str(uuid.uuid4()), hashlib.sha256(content).hexdigest())
        try:
            self._store.write(artifact.id, io.BytesIO(content))
        except Exception as error:  # of three libraries, which have no common base
            raise ArtifactsError(
                f"could not write {len(content):,} bytes to the artifact store {self.url}: "
                f"{error}; make room, or check that it is reachable and writable"
            ) from error
        return artifact

    def get(self, artifact: Artifact) -> bytes:
        """The bytes of an artifact.

        Raises:
            ArtifactsError: If it does not exist, or is not what was kept.
        """
        try:
            with self._store.open_reader(artifact.id) as reader:
                content: bytes = reader.read()
        except ArtifactNotFound as error:
            raise ArtifactsError(
                f"the artifact store {self.url} has no {artifact.id}; mount the store that the run "
                "began with, or give its place as --artifacts"
            ) from error
        except Exception as error:
            raise ArtifactsError(
                f"could not read {artifact.id} from the artifact store {self.url}: {error}; check "
                "that it is reachable"
            ) from error
        if hashlib.sha256(content).hexdigest() != artifact.sha256:
            raise ArtifactsError(
                f"{artifact.id} in the artifact store {self.url} is damaged ({len(content):,} "
                "bytes of another hash); restore it from a copy"
            )
        return content

    def remove(self, artifact: Artifact) -> None:
        """Removes an artifact that nothing refers to any more, unless it is removed already."""
        try:
            self._remove(artifact.id)
        except ArtifactNotFound:
            pass
        except Exception as error:
            raise ArtifactsError(
                f"could not remove {artifact.id} from the artifact store {self.url}: {error}; "
                "check that it is reachable and writable"
            ) from error


def agree_on_artifacts(
    known: Mapping[str, Any] | None, url: str | None, storage_url: str
) -> dict[str, Any]:
    """What a study records of its artifact store, for the workers that join.

    Beside the URL that is a marker, a file that only this store contains: whoever finds it has the
    right store, also under another URL (a folder that is mounted elsewhere).

    Args:
        known: What the study has recorded; None: the study is new.
        url: URL as given by the user; None: as recorded, at first the default of the storage.
        storage_url: URL of the storage.

    Raises:
        DefinitionError: If none is given and the storage has no default.
        ArtifactsError: If the store cannot be used, or is not the recorded one.
    """
    if known is None:
        url = default_url(storage_url) if url is None else _absolute(url)
        marker = Artifacts(url, create=True).put(b"This belongs to a study of moo-bnas.\n")
        return {"url": url, "marker": asdict(marker)}
    marker = Artifact(**known["marker"])
    url = _moved(known["url"], marker, storage_url) if url is None else _absolute(url)
    Artifacts(url).get(marker)
    return {"url": url, "marker": known["marker"]}


def join_artifacts(known: Mapping[str, Any], url: str | None) -> Artifacts:
    """The artifact store of a study that was begun, opened by a worker.

    Args:
        known: What the study has recorded of it.
        url: Where the store is on this machine; None: as recorded.

    Raises:
        ArtifactsError: If it does not exist there.
    """
    artifacts = Artifacts(known["url"] if url is None else url)
    artifacts.get(Artifact(**known["marker"]))
    return artifacts


def _moved(url: str, marker: Artifact, storage_url: str) -> str:
    """Where a store is now that was at `url`: a project may be copied or renamed as a whole."""
    try:
        beside = default_url(storage_url)
        Artifacts(beside).get(marker)
    except (ArtifactsError, DefinitionError):
        return url
    return beside


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


def _absolute(url: str) -> str:
    return url if "://" in url else str(Path(url).expanduser().absolute())


def _store(url: str, create: bool) -> Any:
    scheme, _, rest = url.partition("://")
    if not rest:
        return FileSystemArtifactStore(_folder(url, create))
    bucket = rest.rstrip("/")
    if scheme not in ("s3", "gs") or "/" in bucket:
        raise DefinitionError(
            f"got --artifacts {url}, expected a folder, s3://bucket or gs://bucket"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return Boto3ArtifactStore(bucket) if scheme == "s3" else GCSArtifactStore(bucket)
    except ImportError as error:
        package, extra = {"s3": ("boto3", "s3"), "gs": ("google-cloud-storage", "gcs")}[scheme]
        raise ArtifactsError(
            f"the artifact store {url} needs the Python package {package}, which is not installed; "
            f"pip install 'moo-bnas[{extra}]'"
        ) from error
    except Exception as error:
        raise ArtifactsError(
            f"could not open the artifact store {url}: {error}; check the URL and the credentials"
        ) from error


def _folder(url: str, create: bool) -> Path:
    folder = Path(url).expanduser().absolute()
    if create:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArtifactsError(
                f"could not create the artifact folder {folder}: {error.strerror}; give another "
                "--artifacts"
            ) from error
    if not folder.is_dir():
        raise ArtifactsError(
            f"there is no artifact folder {folder} on this machine; mount the run's folder "
            "there, or give its path on this machine as --artifacts"
        )
    return folder
