"""A user's own images, one folder per class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from moo_bnas.data.image_data import ImageData, Purpose
from moo_bnas.data.image_tree import ImageTree
from moo_bnas.data.needs import Needs
from moo_bnas.data.options import AmountOption, PathOption, StoredAsOption
from moo_bnas.networks.layers import ImageShape
from moo_bnas.section import AtLeastOne, Section


class Folder(Section):
    """Images in `train/<class>/` and, if these exist, `val/<class>/` and `test/<class>/`.

    Attributes:
        path: Folder that holds the images, relative to the data root.
        image_size: Height and width of the images that a network receives.
        channels: 1 for grey, 3 for RGB.
        classes: Number of classes.
        stored_size: Height and width at which images are stored, from which random crops are cut;
            None: `image_size`. Of images that are stored as JPEG, the greatest shorter side.
        stored_as: `pixels`, of the middle square, which training holds in memory; or `jpeg`, of the
            whole image, which training decodes whenever it needs it.
        validation: Images of each class taken from train/ if there is no val/: a number, or a
            share.
        test: Images of each class taken from train/ if there is no test/: a number, or a share.
        train_per_class: Images of each class that a search trains on; None: all.
    """

    name: Literal["folder"] = "folder"
    path: PathOption
    image_size: AtLeastOne
    channels: Literal[1, 3] = 3
    classes: Annotated[int, Field(ge=2, le=2**20)]
    stored_size: AtLeastOne | None = None
    stored_as: StoredAsOption = "pixels"
    validation: AmountOption = 0.1
    test: AmountOption = 0.1
    train_per_class: AtLeastOne | None = None

    @model_validator(mode="after")
    def _stored_is_enough(self) -> Folder:
        if self.stored_size is not None and self.stored_size < self.image_size:
            raise ValueError(
                f"got stored_size {self.stored_size}, expected image_size ({self.image_size}) or "
                "more; raise it or leave it out"
            )
        return self

    @property
    def shape(self) -> ImageShape:
        """Size, channels and classes, as the definition says."""
        return ImageShape(self.image_size, self.channels, self.classes)

    @property
    def needs(self) -> str:
        """Where the images come from."""
        return f"your images as {self.path}/train/<class>/<image> below --data-root"

    def load(self, root: Path, seed: int, purpose: Purpose) -> ImageData:
        """The images for a purpose; see `ImageTree.load`."""
        return self._tree().load(root, self.path, seed, purpose)

    def needed(self, root: Path, seed: int) -> Needs:
        """What the images need of this machine; see `ImageTree.needs`."""
        return self._tree().needs(root, self.path, seed)

    def _tree(self) -> ImageTree:
        return ImageTree(
            train="train",
            validation="val",
            test="test",
            validation_amount=self.validation,
            test_amount=self.test,
            train_per_class=self.train_per_class,
            stored_as=self.stored_as,
            size=self.stored_size or self.image_size,
            channels=self.channels,
            classes=self.classes,
            remedy="put a folder of images for each class there, or give another --data-root",
        )
