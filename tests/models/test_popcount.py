from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from moo_bnas.models.folding import fold
from moo_bnas.models.model_file import Image, Layer, Model, parse_model, to_bytes
from moo_bnas.models.packed import pack, reference
from moo_bnas.models.popcount import Bits, PopcountNetwork, binary_sums, load, words
from moo_bnas.models.writing import export
from moo_bnas.networks.binary_layers import BinaryConv2d
from moo_bnas.networks.layers import ImageShape, LayerList
from moo_bnas.networks.module import build
from tests.binarizers import ONE_BIT
from tests.models.trained import assert_same, digits_images, inputs_of, logits_of, restore, trained


def _packed(model: Model) -> PopcountNetwork:
    content = to_bytes(pack(fold(model, "model")))
    return reference(parse_model(content, "packed"), "packed")


def _conv(c_in: int, c_out: int, kernel: int, stride: int, padding: int) -> Layer:
    return Layer(
        name="conv",
        kind="conv",
        inputs=("input",),
        in_channels=c_in,
        out_channels=c_out,
        out_size=1,
        kernel=kernel,
        stride=stride,
        padding=padding,
        precision="binary",
        extra_ops=0,
    )


def test_sums_by_hand() -> None:
    # One channel; the input 1 0 / 1 1, the weights + - + / - + - / + - +, around the upper left.
    ones = np.array([[[[1, 0], [1, 1]]]], np.bool_)
    weights = words(np.array([[[[1, 0, 1], [0, 1, 0], [1, 0, 1]]]], np.bool_))
    layer = _conv(1, 1, kernel=3, stride=2, padding=1)
    # It sees +1 on 1, -1 on 0, -1 on 1, +1 on 1; where 0 is -1 that adds +1.
    assert binary_sums(Bits((ones,), (0, 1)), weights, layer).tolist() == [[[[1]]]]
    assert binary_sums(Bits((ones,), (-1, 1)), weights, layer).tolist() == [[[[2]]]]
    # 1.5 + 0.5 - 1.5 + 1.5
    assert binary_sums(Bits((ones,), (-0.5, 1.5)), weights, layer).tolist() == [[[[2]]]]


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 3),
    c_in=st.integers(1, 80),
    c_out=st.integers(1, 9),
    size=st.integers(3, 8),
    kernel=st.sampled_from([1, 3]),
    stride=st.sampled_from([1, 2]),
    padding=st.sampled_from([0, 1]),
    levels=st.sampled_from(
        [(0.0, 1.0), (-1.0, 1.0), (-0.5, 1.5), (0.0, 1.0, 2.0, 3.0), (-1.5, -0.5, 0.5, 1.5)]
    ),
)
def test_sums_of_any_convolution_are_the_exact_ones(
    seed: int,
    n: int,
    c_in: int,
    c_out: int,
    size: int,
    kernel: int,
    stride: int,
    padding: int,
    levels: tuple[float, ...],
) -> None:
    random = np.random.default_rng(seed)
    planes = len(levels).bit_length() - 1
    x = Bits(tuple(random.random((planes, n, c_in, size, size)) < random.random()), levels)
    positive = random.random((c_out, c_in, kernel, kernel)) < random.random()
    sums = binary_sums(x, words(positive), _conv(c_in, c_out, kernel, stride, padding))
    expected = functional.conv2d(
        torch.from_numpy(x.as_floats()).double(),
        torch.from_numpy(np.where(positive, 1.0, -1.0)),
        stride=stride,
        padding=padding,
    )
    assert np.array_equal(sums, expected.numpy())


def test_integer_layers_equal_the_networks_given_equal_bits(model: Model) -> None:
    network, packed = restore(model), _packed(model)
    layers = {layer.name: layer for layer in model.card.layers}
    low, high = ONE_BIT[model.card.binarizer].encoding.levels
    seen = []

    def compare(name: str, module: nn.Module, x: Tensor, out: Tensor) -> None:
        assert set(np.unique(x.numpy())) <= {low, high}
        bits = Bits((x.numpy() == high,), (low, high))
        sums = binary_sums(bits, packed._arrays[f"{name}.words"], layers[name])
        assert isinstance(module, BinaryConv2d)
        latent, scale = ONE_BIT[model.card.binarizer].weights(module.weight)
        signs = torch.where(latent >= 0, 1.0, -1.0)
        conv = layers[name]
        exact = functional.conv2d(
            x.double(), signs.double(), stride=conv.stride, padding=conv.padding
        )
        assert np.array_equal(sums, exact.numpy()), name
        # The scale is the same float, so what comes out is bitwise the same.
        assert np.array_equal(packed._arrays[f"{name}.scale"], scale.numpy())
        scaled = sums.astype(np.float32) * scale.numpy()[..., None, None]
        assert np.array_equal(scaled, out.numpy()), name
        seen.append(name)

    for name, module in network.layers.named_children():  # type: ignore[union-attr]
        if isinstance(module, BinaryConv2d):
            module.register_forward_hook(lambda m, x, out, name=name: compare(name, m, x[0], out))
    with torch.inference_mode():
        network(torch.from_numpy(inputs_of(model)))
    assert seen == [s.name for s in layers.values() if s.kind == "conv" and s.precision == "binary"]
    assert bool(seen) == (model.card.precision == "binary")


def test_the_packed_network_says_what_the_trained_one_says(model: Model) -> None:
    logits = _packed(model)(inputs_of(model))
    assert logits.shape == (360, 10)
    assert_same(model, logits)
    assert np.array_equal(logits.argmax(axis=1), logits_of(model).argmax(axis=1))


def test_how_many_images_go_in_at_once_changes_nothing() -> None:
    model = trained("resnet18 small sign")
    packed, images = _packed(model), inputs_of(model)[:300]
    one_by_one = np.concatenate([packed(images[i : i + 1]) for i in range(300)])
    np.testing.assert_allclose(packed(images), one_by_one, rtol=0, atol=1e-5)


@pytest.mark.parametrize("binarizer", ONE_BIT)
def test_a_binary_conv_of_what_is_no_longer_bits(binarizer: str) -> None:
    """Networks of other packages may have a pool between binarizer and conv."""
    net = LayerList(ImageShape(8, 3, 10), "binary")
    net.batch_norm("bn")
    net.activation("act")
    net.max_pool("pool", kernel=3, stride=2, padding=1)
    net.conv("conv", 5, kernel=3)
    net.relu("relu")
    net.global_average_pool("mean")
    net.linear("linear")
    module = build(net.specs, binarizer).eval()
    layers = tuple(Layer.of(spec) for spec in net.specs)
    card = trained("vgg_small dorefa").card.model_copy(
        update={
            "layers": layers,
            "binarizer": binarizer,
            "image": Image(size=8, stored_size=8, channels=3, mean=(0.0,) * 3, std=(1.0,) * 3),
        }
    )
    images = np.random.default_rng(0).normal(size=(9, 3, 8, 8)).astype(np.float32)
    model = Model(card, {k: v.numpy() for k, v in module.state_dict().items()})
    with torch.inference_mode():
        expected = module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(_packed(model)(images), expected, rtol=0, atol=1e-5)


ALONE = """
import sys
for name in ("moo_bnas", "torch", "safetensors", "numba"):
    sys.modules[name] = None  # cannot be imported
sys.path.insert(0, sys.argv[1])
import numpy
from moo_bnas_packed import load
network = load(sys.argv[1] + "/model.packed.safetensors")
pixels = numpy.load(sys.argv[1] + "/pixels.npy")
numpy.save(sys.argv[1] + "/logits.npy", network(network.normalise(pixels)))
"""


@pytest.mark.parametrize("name", ["resnet18 small sign", "vgg_small per_channel"])
def test_the_file_beside_it_runs_it_with_numpy_only(name: str, tmp_path: Path) -> None:
    model = trained(name)
    (tmp_path / "model.safetensors").write_bytes(to_bytes(model))
    export(tmp_path / "model.safetensors", "packed")
    np.save(tmp_path / "pixels.npy", digits_images())
    subprocess.run([sys.executable, "-c", ALONE, tmp_path], cwd="/", check=True)
    assert np.array_equal(np.load(tmp_path / "logits.npy"), _packed(model)(inputs_of(model)))


def test_files_that_it_refuses(trained_path: Path) -> None:
    with pytest.raises(ValueError, match=r"version 1 \(kind trained, version 1\); make one with"):
        load(trained_path)
    export(trained_path, "packed")
    path = trained_path.with_name("model.packed.safetensors")
    content = path.read_bytes()
    path.write_bytes(content.replace(b'\\"version\\":1', b'\\"version\\":2'))
    with pytest.raises(ValueError, match=r"version 1 \(kind packed, version 2\)"):
        load(path)
    for size in (0, 7, 100, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match="is not a packed network, or it is incomplete or dam"):
            load(path)


def test_a_packed_file_runs_without_torch(tmp_path: Path) -> None:
    model = trained("vgg_small dorefa")
    path = tmp_path / "model.packed.safetensors"
    path.write_bytes(to_bytes(pack(fold(model, "model"))))
    code = (
        "import sys, numpy, moo_bnas\n"
        "images = numpy.zeros((2, 1, 8, 8), numpy.uint8)\n"
        "(one, other) = moo_bnas.predict(sys.argv[1], images)\n"
        "assert abs(one.probabilities.sum() - 1) < 1e-12\n"
        "print({'torch', 'sklearn', 'optuna', 'onnx'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
