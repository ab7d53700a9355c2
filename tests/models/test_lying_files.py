"""Files that were damaged, or made by somebody who lies: one clear line, no memory, no time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.numpy
from onnx import helper

import moo_bnas
from moo_bnas.errors import ModelFileError
from moo_bnas.models.prediction import Predictor
from tests.models.forging import FILES, Forge, blank_arrays, contents, forged, forged_graph
from tests.models.test_encoding import _by_hand, unsealed
from tests.models.trained import digits_images, trained

FEW = digits_images()[:3]


def _predicted(path: Path) -> np.ndarray:
    return np.stack([one.probabilities for one in moo_bnas.predict(path, FEW)])


def _refused(path: Path) -> str:
    with pytest.raises(ModelFileError) as told:
        moo_bnas.predict(path, FEW)
    message = str(told.value)
    assert message.startswith(str(path))
    assert len(message) < 1000 + len(str(path))
    return message


@pytest.mark.parametrize("name", FILES)
def test_no_bit_flips_unnoticed(tmp_path: Path, name: str) -> None:
    content, path = contents(_by_hand("dorefa"))[name], tmp_path / name
    for bit in range(0, 8 * len(content), 43):  # 43 and 8 have no divisor: each bit of a byte
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(ModelFileError):
            Predictor(path)


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_the_seal_that_0_1_did_not_write_can_be_read(
    tmp_path: Path, name: str
) -> None:
    content, path = contents(trained("vgg_small sign"))[name], tmp_path / name
    path.write_bytes(content)
    expected = _predicted(path)
    path.write_bytes(_as_0_1(content) if name.endswith("onnx") else unsealed(content))
    assert np.array_equal(_predicted(path), expected)


def _as_0_1(content: bytes) -> bytes:
    """An ONNX file as 0.1 wrote it: without a seal, and with another name for the thresholds."""
    model = onnx.load_model_from_string(content)
    (kept,) = (each.value for each in model.metadata_props if each.key == "moo_bnas")
    del model.metadata_props[:]
    helper.set_model_props(model, {"moo_bnas": kept})
    for node in model.graph.node:
        node.input[:] = [value.replace(".threshold", ".zero") for value in node.input]
    for constant in model.graph.initializer:
        constant.name = constant.name.replace(".threshold", ".zero")
    old: bytes = model.SerializeToString()
    return old


def _set(*where: Any, to: Any) -> Forge:
    """Sets what is at a place of a card."""

    def forge(card: dict[str, Any]) -> None:
        target: Any = card
        for key in where[:-1]:
            target = target[key]
        target[where[-1]] = to

    return forge


def _all(*where: Any, to: Any) -> Forge:
    def forge(card: dict[str, Any]) -> None:
        for i in range(len(card["layers"])):
            _set("layers", i, *where, to=to)(card)

    return forge


_HUGE: tuple[Any, ...] = (0, -1, 10**6, 10**400, 1e300, None, "7")
LIES = {
    **{
        f"layer {i} {key} {value!r:.12}": _set("layers", i, key, to=value)
        for i in (0, 1, -1)
        for key in ("in_channels", "out_channels", "out_size", "kernel", "stride", "padding")
        for value in _HUGE
        if not (key == "padding" and value == 0 and i != 0)  # it has none there
    },
    **{
        f"image {key} {value!r:.12}": _set("image", key, to=value)
        for key in ("size", "stored_size", "channels")
        for value in _HUGE
    },
    **{f"every kind {kind}": _all("kind", to=kind) for kind in ("relu", "add", "linear", "conv")},
    **{f"mean {v!r:.30}": _set("image", "mean", to=v) for v in ([], [1.0] * 2, [1e400], ["x"])},
    **{f"std {v!r:.30}": _set("image", "std", to=v) for v in ([], [0.0], [-1.0], [float("nan")])},
    "no layers": _set("layers", to=[]),
    "a layer twice": lambda card: card["layers"].insert(1, card["layers"][0]),
    "a layer that reads itself": _set("layers", 2, "inputs", to=["act1"]),
    "a layer that reads a later one": _set("layers", 1, "inputs", to=["linear"]),
    "a layer that reads none": _set("layers", 1, "inputs", to=[]),
    "a layer that reads two": _set("layers", 1, "inputs", to=["conv1", "conv1"]),
    "a layer called input": _set("layers", 0, "name", to="input"),
    "a layer without a name": _set("layers", 0, "name", to=""),
    "a layer with a dot": _set("layers", 0, "name", to="a.b"),
    "a layer with a long name": _set("layers", 0, "name", to="a" * 10**6),
    "too many layers": lambda card: card.update(layers=card["layers"] * 1_000),
    "a great card": _set("made", to={"a": "b" * 10**7}),
    "fewer classes": lambda card: card.update(classes=card["classes"][:-1]),
    "more classes": lambda card: card.update(classes=card["classes"] * 2),
    "no classes": _set("classes", to=[]),
    "a module of a package": _set("own_module", to=True),
    "another kind": _set("kind", to="final"),
    "another version": _set("version", to=2),
    "an unknown key": _set("\x1b[2J" * 1000, to=1),
    "another binarizer": _set("binarizer", to="x" * 10**5),
    "deep nesting": _set("made", to={"a": json.loads("[" * 900 + "]" * 900)}),
    "a wide network": _all("out_channels", to=2**25),
}


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    return contents(trained("vgg_small dorefa"))


@pytest.mark.parametrize("name", FILES)
def test_a_card_that_lies_is_refused_in_one_line(
    tmp_path: Path, name: str, whole: dict[str, bytes]
) -> None:
    path, failures = tmp_path / name, []
    for lie, forge in LIES.items():
        path.write_bytes(forged(whole[name], forge))
        try:
            moo_bnas.predict(path, FEW)
        except ModelFileError as error:
            if len(str(error)) > 1000 or "\n" in str(error).replace(str(path), "")[:200]:
                failures.append((lie, str(error)[:200]))
        except Exception as error:
            failures.append((lie, repr(error)[:200]))
        else:
            failures.append((lie, "taken"))
    assert failures == []


def _wide(width: int, size: int) -> Callable[[dict[str, Any]], None]:
    """A card of a few weights that asks for many activations."""

    def forge(card: dict[str, Any]) -> None:
        conv = card["layers"][0] | {"kernel": 1, "stride": 1, "padding": 0, "precision": "full"}
        conv |= {"in_channels": 1, "out_channels": width, "out_size": size}
        pool = conv | {"name": "pool", "kind": "global_average_pool", "inputs": [conv["name"]]}
        pool |= {"in_channels": width, "out_size": 1}
        last = card["layers"][-1] | {"inputs": ["pool"], "in_channels": width}
        card["layers"] = [conv, pool, last]
        card["image"] |= {"size": size, "stored_size": size}

    return forge


@pytest.mark.parametrize(
    ("width", "size", "told"),
    [(600, 4096, "activations per image"), (8, 10_000, "image.*less than or equal to 4096")],
)
def test_a_small_file_gets_no_great_memory(
    tmp_path: Path, whole: dict[str, bytes], width: int, size: int, told: str
) -> None:
    card: dict[str, Any] = {}
    forged(whole["model.safetensors"], card.update)
    _wide(width, size)(card)
    path = tmp_path / "model.safetensors"
    path.write_bytes(forged(whole["model.safetensors"], _wide(width, size), blank_arrays(card)))
    assert path.stat().st_size < 40_000
    with pytest.raises(ModelFileError, match=told):
        Predictor(path)


def test_what_a_network_needs_bounds_how_many_images_run_at_once(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(whole["model.safetensors"])
    assert Predictor(path).batch == 64
    card: dict[str, Any] = {}
    forged(whole["model.safetensors"], card.update)
    _wide(20, 2048)(card)  # 84 million activations
    content = forged(whole["model.safetensors"], _wide(20, 2048), blank_arrays(card))
    path.write_bytes(content)
    assert Predictor(path).batch == 12


def test_a_layer_that_is_called_like_a_method_of_torch_is_refused(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    arrays = safetensors.numpy.load(whole["model.safetensors"])
    arrays["layers.keys.weight"] = arrays.pop("layers.linear.weight")
    path = tmp_path / "model.safetensors"
    forge = _set("layers", -1, "name", to="keys")
    path.write_bytes(forged(whole["model.safetensors"], forge, arrays))
    assert "a card that torch makes no network of: \"attribute 'keys' already" in _refused(path)


@pytest.mark.timeout(60)
def test_sums_of_sums_are_not_walked_through_exponentially_often(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    def forge(card: dict[str, Any]) -> None:
        relu = card["layers"][0] | {"kind": "relu", "in_channels": 1, "out_channels": 1}
        relu |= {"out_size": 8, "kernel": 1, "stride": 1, "padding": 0, "precision": "full"}
        layers = [relu | {"name": "add0", "inputs": ["input"]}]
        for i in range(1, 1500):
            before = [f"add{i - 1}"] * 2
            layers.append(relu | {"name": f"add{i}", "kind": "add", "inputs": before})
        layers.append(relu | {"name": "bits", "kind": "binarize", "inputs": ["add1499"]})
        flat = {"name": "flatten", "kind": "flatten", "inputs": ["bits"]}
        layers.append(relu | flat | {"out_channels": 64, "out_size": 1})
        last = {"kind": "linear", "name": "last", "inputs": ["flatten"], "in_channels": 64}
        layers.append(relu | last | {"out_channels": 10, "out_size": 1})
        card["layers"] = layers

    arrays = {"layers.last.weight": np.zeros((10, 64), np.float32)}
    path = tmp_path / "model.safetensors"
    path.write_bytes(forged(whole["model.safetensors"], forge, arrays))
    assert _predicted(path).shape == (3, 10)


def test_a_file_of_absurd_size_a_pipe_and_a_device_are_refused(tmp_path: Path) -> None:
    for name in FILES:
        path = tmp_path / name
        with path.open("wb") as file:
            file.truncate(2**40)
        assert "it has 1,099,511,627,776 bytes" in _refused_reading(path)
        path.unlink()
        os.mkfifo(path)
        assert "it is a pipe or a device" in _refused_reading(path)
        path.unlink()
        path.symlink_to("/dev/zero")
        assert "it is a pipe or a device" in _refused_reading(path)


def _refused_reading(path: Path) -> str:
    with pytest.raises(ModelFileError, match="cannot read") as told:
        moo_bnas.predict(path, FEW)
    return str(told.value)


def test_a_header_that_lies_takes_no_memory(tmp_path: Path) -> None:
    bare = safetensors.numpy.save({"a": np.zeros(3, np.float32)}, {"moo_bnas": "{}"})
    path = tmp_path / "model.safetensors"
    for lie in (
        b"\xff" * 8 + bare[8:],
        (2**40).to_bytes(8, "little") + bare[8:],
        bare.replace(b'"shape":[3]', b'"shape":[9]'),
        bare.replace(b'"F32"', b'"F99"'),
        bare.replace(b'"F32","shape":[3]', b'"BF16","shape":[6]'),
        bare.replace(b"[0,12]", b"[0,99]"),
        bare[:8] + b"[" * (len(bare) - 8),
        b"",
        b"{",
    ):
        path.write_bytes(lie)
        assert "is not a safetensors file" in _refused(path)


def _external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="victim")


def _never_ends(model: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    node = helper.make_node("Loop", ["", ""], [], body=body)
    model.graph.node.insert(0, node)


def _great(model: onnx.ModelProto) -> None:
    shape = helper.make_tensor("shape", onnx.TensorProto.INT64, [1], [2**40])
    model.graph.initializer.append(shape)
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["shape"], ["zeros"]))


def _lying_size(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [2**40]


GRAPHS: dict[str, Callable[[onnx.ModelProto], None]] = {
    "external": _external,
    "never ends": _never_ends,
    "takes memory": _great,
    "lies about a size": _lying_size,
    "another operator": lambda model: setattr(model.graph.node[0], "op_type", "ConvTranspose"),
    "another domain": lambda model: setattr(model.graph.node[0], "domain", "com.example"),
    "a function": lambda model: model.functions.add(name="Conv", domain=""),
    "another opset": lambda model: setattr(model.opset_import[0], "version", 9),
    "a domain more": lambda model: model.opset_import.add(domain="x", version=1),
    "a constant twice": lambda model: model.graph.initializer.append(model.graph.initializer[0]),
    "a constant less": lambda model: model.graph.initializer.pop(),
    "a sparse constant": lambda model: model.graph.sparse_initializer.add(),
    "another input": lambda model: setattr(model.graph.input[0], "name", "x"),
    "an output more": lambda model: model.graph.output.append(model.graph.output[0]),
    "an order of its own": lambda model: model.graph.node.reverse(),
    "no nodes": lambda model: model.graph.node.__delitem__(slice(None)),
}


@pytest.mark.parametrize("lie", GRAPHS)
def test_no_graph_runs_but_the_one_that_the_card_describes(
    tmp_path: Path, lie: str, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "victim").write_bytes(b"\0" * 10**6)
    path = tmp_path / "model.onnx"
    path.write_bytes(forged_graph(whole["model.onnx"], change=GRAPHS[lie]))
    assert "does not hold the network that its card describes" in _refused(path)


def test_no_lie_takes_memory(tmp_path: Path, whole: dict[str, bytes]) -> None:
    """All of the lies again, in a process that may take 500 MB beside torch."""
    for i, forge in enumerate(LIES.values()):
        (tmp_path / f"{i}.safetensors").write_bytes(forged(whole["model.safetensors"], forge))
        (tmp_path / f"{i}.packed").write_bytes(forged(whole["model.packed.safetensors"], forge))
    code = (
        "import resource, sys, pathlib, moo_bnas, torch, numpy\n"
        "from moo_bnas.errors import ModelFileError\n"
        "images = numpy.zeros((3, 1, 8, 8), numpy.uint8)\n"
        "for path in sys.argv[2:]: moo_bnas.predict(path, images)\n"  # imports all that it needs
        "pages = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (pages + 500_000_000,) * 2)\n"
        "for path in pathlib.Path(sys.argv[1]).iterdir():\n"
        "    try: moo_bnas.predict(path, images)\n"
        "    except ModelFileError: pass\n"
    )
    right = [tmp_path / "right.safetensors", tmp_path / "right.packed.safetensors"]
    for path, name in zip(right, ("model.safetensors", "model.packed.safetensors"), strict=True):
        path.write_bytes(whole[name])
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path, *right], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr[-2000:]) == (0, "")
