"""Data sets. Each is a section of a definition and loads the images it describes, without torch.

A data set's `shape` and `needs` (where its images come from) are known without reading a file.
`load(root, seed, purpose)` reads the images. For a search it returns images to train on and images
to score on, none of which is a test image; for a final training it returns all images but the test
images to train on, and the test images to score on. Other packages offer data sets, too: see `own`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from moo_bnas.data.cifar10 import Cifar10
from moo_bnas.data.digits import Digits
from moo_bnas.data.folder import Folder
from moo_bnas.data.image_data import ImageData, Purpose, Split
from moo_bnas.data.imagenet import ImageNet
from moo_bnas.data.own import OWN, Own, OwnDataSet

_Shipped = Annotated[Digits | Cifar10 | Folder | ImageNet, Field(discriminator="name")]


def _tag(values: Any) -> str:
    """Whether [data] names a data set of moo-bnas or, where it has none such, of a package."""
    name = values.get("name") if isinstance(values, dict) else getattr(values, "name", None)
    shipped = [each.model_fields["name"].default for each in (Digits, Cifar10, Folder, ImageNet)]
    return "own" if name not in shipped and name in OWN.names() else "shipped"


DataSet = Annotated[
    Annotated[_Shipped, Tag("shipped")] | Annotated[Own, Tag("own")], Discriminator(_tag)
]

__all__ = [
    "Cifar10",
    "DataSet",
    "Digits",
    "Folder",
    "ImageData",
    "ImageNet",
    "Own",
    "OwnDataSet",
    "Purpose",
    "Split",
]
