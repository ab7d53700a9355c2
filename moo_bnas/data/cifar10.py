"""CIFAR-10: 50,000 training and 10,000 test images, 32x32 RGB (Krizhevsky, 2009)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moo_bnas.data.cache import Entry, Source, open_entry
from moo_bnas.data.cache_folder import identity
from moo_bnas.data.image_data import ImageData, Purpose, Split, share_out
from moo_bnas.data.options import AmountOption, PathOption
from moo_bnas.errors import DataError
from moo_bnas.extras import need
from moo_bnas.networks.layers import ImageShape
from moo_bnas.section import AtLeastOne, Section

_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_TEST_IMAGES = 10_000


class Cifar10(Section):
    """CIFAR-10 from the archive that torchvision downloads.

    Attributes:
        path: Folder that holds `cifar-10-batches-py`, relative to the data root.
        validation: Training images of each class that a search scores on: a number, or a share.
        train_per_class: Images of each class that a search trains on; None: all.
    """

    name: Literal["cifar10"] = "cifar10"
    path: PathOption = "cifar10"
    validation: AmountOption = 500
    train_per_class: AtLeastOne | None = None

    @property
    def shape(self) -> ImageShape:
        """32x32, RGB, 10 classes."""
        return ImageShape(size=32, channels=3, classes=10)

    @property
    def needs(self) -> str:
        """Where the images come from."""
        return "170 MB, which `moo-bnas data DEFINITION --download` fetches"

    def load(self, root: Path, seed: int, purpose: Purpose) -> ImageData:
        """The images for a purpose.

        Args:
            root: Data root.
            seed: Seed that chooses the validation images.
            purpose: Search or final training.

        Raises:
            DataError: If the archive is missing or damaged.
        """
        seen = self._entry(root, train=True)
        validation, train = share_out(
            seen.labels, _CLASSES, [self.validation, self.train_per_class], seed
        )
        if purpose == "search":
            return ImageData(
                train=Split(seen.images, seen.labels, train, seen.sums),
                scoring=Split(seen.images, seen.labels, validation, seen.sums),
                test_images=_TEST_IMAGES,
                classes=_CLASSES,
                content_hash=seen.content_hash,
            )
        unseen = self._entry(root, train=False)
        both = seen.content_hash + unseen.content_hash
        return ImageData(
            train=Split(seen.images, seen.labels, np.arange(len(seen.labels)), seen.sums),
            scoring=Split(unseen.images, unseen.labels, np.arange(len(unseen.labels)), unseen.sums),
            test_images=_TEST_IMAGES,
            classes=_CLASSES,
            content_hash=hashlib.sha256(both.encode()).hexdigest(),
        )

    def download(self, root: Path) -> None:
        """Downloads and unpacks the archive, unless it is there already.

        Raises:
            DataError: If the download fails.
            MissingPackageError: If torchvision is not installed.
        """
        need("torchvision", "CIFAR-10")
        from torchvision.datasets import CIFAR10

        folder = root / self.path
        try:
            folder.mkdir(parents=True, exist_ok=True)
            CIFAR10(folder, download=True)
        except (OSError, RuntimeError) as error:  # URLError is an OSError
            raise DataError(
                f"cannot download {CIFAR10.url} to {folder}: {error}; try again, or put the "
                f"unpacked archive there as {CIFAR10.base_folder}"
            ) from error

    def _entry(self, root: Path, train: bool) -> Entry:
        folder = root / self.path
        batches = [f"data_batch_{i}" for i in range(1, 6)] if train else ["test_batch"]
        listing = []
        for name in batches:
            file = folder / "cifar-10-batches-py" / name
            try:
                status = file.stat()
            except OSError as error:
                raise DataError(
                    f"looked for CIFAR-10 in {file.parent}; {name}: {error.strerror}; run "
                    "`moo-bnas data DEFINITION --download`, or give another --data-root"
                ) from error
            listing.append([name, *identity(status)])
        source = Source(
            what=f"{folder / 'cifar-10-batches-py'} ({'training' if train else 'test'} images)",
            key=hashlib.sha256(json.dumps(["cifar10", listing]).encode()).hexdigest(),
            classes=_CLASSES,
            shape=(3, 32, 32),
            read=lambda: _read(folder, train),
        )
        return open_entry(root, source)


def _read(folder: Path, train: bool) -> tuple[NDArray[np.int64], list[NDArray[np.uint8]]]:
    """Reads the archive after checking its files against torchvision's MD5 sums.

    Raises:
        DataError: If a file is missing, cannot be read, or has another MD5 sum.
    """
    need("torchvision", "CIFAR-10")
    from torchvision.datasets import CIFAR10  # slow to import, needed only to fill the cache
    from torchvision.datasets.utils import check_integrity

    meta = [CIFAR10.meta["filename"], CIFAR10.meta["md5"]]
    for name, md5 in [*CIFAR10.train_list, *CIFAR10.test_list, meta]:
        file = folder / CIFAR10.base_folder / name
        try:
            intact = check_integrity(file, md5)
        except OSError as error:
            raise DataError(
                f"cannot read {file}: {error.strerror}; check that the file is readable"
            ) from error
        if not intact:
            raise DataError(
                f"{file} is missing or damaged: expected a file of MD5 {md5}; run "
                "`moo-bnas data DEFINITION --download`"
            )
    archive = CIFAR10(folder, train=train)
    labels = np.array(archive.targets, np.int64)
    return labels, [archive.data.transpose(0, 3, 1, 2)]
