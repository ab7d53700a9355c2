"""Data sets. Each is a section of a definition, and loads what it describes; none imports torch.

A data set has a `shape` and tells in `needs` where its images come from; neither costs any
reading. `load(root, seed, purpose)` reads: for a search, images to train on and images to score
on, none of them a test image; for a final training, all but the test images, and the test images.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from moo_bnas.data.cifar10 import Cifar10
from moo_bnas.data.digits import Digits
from moo_bnas.data.folder import Folder
from moo_bnas.data.image_data import ImageData, Purpose, Split
from moo_bnas.data.imagenet import ImageNet

DataSet = Annotated[Digits | Cifar10 | Folder | ImageNet, Field(discriminator="name")]

__all__ = ["Cifar10", "DataSet", "Digits", "Folder", "ImageData", "ImageNet", "Purpose", "Split"]
