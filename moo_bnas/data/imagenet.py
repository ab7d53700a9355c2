"""ImageNet (ILSVRC 2012): 1,281,167 training images and 50,000 test images of 1000 classes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from moo_bnas.data.image_data import ImageData, Purpose
from moo_bnas.data.image_tree import ImageTree
from moo_bnas.data.needs import Needs, room_of_pictures, room_of_pixels
from moo_bnas.data.options import AmountOption, PathOption, StoredAsOption
from moo_bnas.networks.layers import ImageShape
from moo_bnas.section import AtLeastOne, Section

_TRAIN, _TEST = 1281, 50  # images of a class, in the mean


class ImageNet(Section):
    """ImageNet as torchvision lays it out: `train/<class>/` and `val/<class>/`.

    The images of `val/`, whose labels are public, serve as test images, as is usual. The images
    that a search scores on are taken from `train/`.

    Attributes:
        path: Folder that holds `train/` and `val/`, relative to the data root.
        image_size: Height and width of the images that a network receives.
        classes: Number of classes; below 1000 for a subset.
        stored_size: Height and width at which images are stored, from which random crops are cut;
            of images that are stored as JPEG, the greatest shorter side.
        stored_as: `pixels`, of the middle square, which training holds in memory; or `jpeg`, of the
            whole image, which training decodes whenever it needs it.
        validation: Training images of each class that a search scores on: a number, or a share.
        train_per_class: Images of each class that a search trains on; None: all.
    """

    name: Literal["imagenet"] = "imagenet"
    path: PathOption = "imagenet"
    image_size: AtLeastOne = 224
    classes: Annotated[int, Field(ge=2, le=2**20)] = 1000
    stored_size: AtLeastOne = 256
    stored_as: StoredAsOption = "pixels"
    validation: AmountOption = 10
    train_per_class: AtLeastOne | None = 50

    @model_validator(mode="after")
    def _stored_is_enough(self) -> ImageNet:
        if self.stored_size < self.image_size:
            raise ValueError(
                f"got stored_size {self.stored_size}, expected image_size ({self.image_size}) or "
                "more; raise it"
            )
        return self

    @property
    def shape(self) -> ImageShape:
        """Size and classes as the definition says; RGB."""
        return ImageShape(self.image_size, 3, self.classes)

    @property
    def needs(self) -> str:
        """Where the images come from."""
        return (
            "ILSVRC 2012 from image-net.org (needs an account), as torchvision unpacks it: "
            f"{self.path}/train/<class>/ and {self.path}/val/<class>/ below --data-root"
        )

    @property
    def room(self) -> tuple[int, int]:
        """Bytes that the cache takes for a search and for a final training run, about."""
        searched = _TRAIN
        if self.train_per_class is not None:
            checked = self.validation
            checked = checked if isinstance(checked, int) else round(checked * _TRAIN)
            searched = min(self.train_per_class + checked, _TRAIN)
        images = (self.classes * searched, self.classes * (_TRAIN + _TEST))
        if self.stored_as == "jpeg":
            search, final = (room_of_pictures(n, self.stored_size) for n in images)
        else:
            search, final = (room_of_pixels(n, self.stored_size, 3) for n in images)
        return search, final

    def load(self, root: Path, seed: int, purpose: Purpose) -> ImageData:
        """The images for a purpose; see `ImageTree.load`."""
        return self._tree().load(root, self.path, seed, purpose)

    def needed(self, root: Path, seed: int) -> Needs:
        """What the images need of this machine; see `ImageTree.needs`."""
        return self._tree().needs(root, self.path, seed)

    def _tree(self) -> ImageTree:
        return ImageTree(
            train="train",
            validation=None,
            test="val",
            validation_amount=self.validation,
            test_amount=0,
            train_per_class=self.train_per_class,
            stored_as=self.stored_as,
            size=self.stored_size,
            channels=3,
            classes=self.classes,
            remedy=f"get {self.needs}",
        )
