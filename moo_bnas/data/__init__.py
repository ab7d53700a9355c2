"""Data sets. Each is a section of a definition and loads the images it describes, without torch.

A data set's `shape` and `needs` (where its images come from) are known without reading a file.
`load(root, seed, purpose)` reads the images. For a search it returns images to train on and images
to score on, none of which is a test image; for a final training it returns all images but the test
images to train on, and the test images to score on.
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
