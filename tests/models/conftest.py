from __future__ import annotations

from pathlib import Path

import pytest

from moo_bnas.models.model_file import Model, to_bytes
from tests.models.trained import CASES, trained


@pytest.fixture(params=CASES)
def model(request: pytest.FixtureRequest) -> Model:
    """Each kind of network, trained."""
    return trained(request.param)


@pytest.fixture
def trained_path(tmp_path: Path) -> Path:
    """The file of a trained network."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(to_bytes(trained("vgg_small dorefa")))
    return path
