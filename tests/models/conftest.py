from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from moo_bnas.models.model_file import Model, to_bytes
from tests.binarizers import registered
from tests.models.trained import CASES, trained


@pytest.fixture(autouse=True)
def _binarizers_of_tests() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture(params=CASES)
def model(request: pytest.FixtureRequest) -> Model:
    """The trained network of each case."""
    return trained(request.param)


@pytest.fixture
def trained_path(tmp_path: Path) -> Path:
    """The file of a trained network."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(to_bytes(trained("vgg_small dorefa")))
    return path
