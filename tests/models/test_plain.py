from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from moo_bnas.models import plain
from moo_bnas.models.model_file import Model, to_bytes
from moo_bnas.models.writing import export
from tests.models.trained import assert_same, digits_images, inputs_of, trained

CODE = """
import sys
sys.modules["moo_bnas"] = None  # cannot be imported
sys.path.insert(0, sys.argv[1])
import numpy, torch
from moo_bnas_plain import load
network = load(sys.argv[1] + "/model.plain.safetensors")
pixels = torch.from_numpy(numpy.load(sys.argv[1] + "/pixels.npy"))
with torch.inference_mode():
    numpy.save(sys.argv[1] + "/logits.npy", network(network.normalise(pixels)).numpy())
"""


@pytest.fixture
def exported(model: Model, tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(to_bytes(model))
    done = export(tmp_path / "model.safetensors", "torch")
    assert [p.name for p in done.files] == ["model.plain.safetensors", "moo_bnas_plain.py"]
    return tmp_path / "model.plain.safetensors"


def test_it_says_what_the_trained_one_says(model: Model, exported: Path) -> None:
    network = plain.load(exported)
    assert not network.training
    with torch.inference_mode():
        assert_same(model, network(torch.from_numpy(inputs_of(model))).numpy())


def test_its_state_is_the_file(exported: Path) -> None:
    state, module = load_file(exported), plain.load(exported).state_dict()
    assert set(state) == set(module)
    assert all(torch.equal(state[name], module[name]) for name in state)


@pytest.mark.parametrize("name", ["resnet18 small sign", "vgg_small per_channel"])
def test_it_runs_where_moo_bnas_cannot_be_imported(name: str, tmp_path: Path) -> None:
    model = trained(name)
    (tmp_path / "model.safetensors").write_bytes(to_bytes(model))
    export(tmp_path / "model.safetensors", "torch")
    np.save(tmp_path / "pixels.npy", digits_images())
    subprocess.run([sys.executable, "-c", CODE, tmp_path], cwd="/", check=True)
    assert_same(model, np.load(tmp_path / "logits.npy"))


def test_other_files_are_refused(trained_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not a plain network \(trained\); make one with"):
        plain.load(trained_path)
