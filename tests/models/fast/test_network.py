from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moo_bnas.errors import DataError, ModelFileError
from moo_bnas.models.fast.network import FastNetwork
from moo_bnas.models.folding import fold
from moo_bnas.models.model_file import Model, to_bytes
from moo_bnas.models.packed import pack, reference
from moo_bnas.networks.bits import with_bits
from moo_bnas.networks.layers import ImageShape, LayerList
from moo_bnas.networks.network import Network
from tests.binarizers import ONE_BIT
from tests.marks import slow
from tests.models.fast.networks import images, network, packed
from tests.models.trained import assert_same, inputs_of

VGG = (7, 70, 33, 64, 129, 5)
VGG_BITS = (2, 1, 3, 4, 2)
RESNET_BITS = (2, 1, 1, 3, 1, 1, 2, 2, 4, 1, 1, 2, 3, 1, 2, 2)
RESNET = (40, 9, 70, 33, 3, 64, 65, 31, 32, 100, 6, 130)


def _same(model: Model, n: int = 3, threads: int = 1) -> None:
    x = images(model, n)
    expected = reference(model, "it")(x)
    assert np.array_equal(FastNetwork(model, "it", threads)(x), expected)
    assert len(np.unique(expected)) > 1  # the bits reach the logits


@pytest.mark.parametrize("binarizer", ONE_BIT)
def test_logits_are_the_references_bit_for_bit(binarizer: str) -> None:
    _same(network("vgg_small", VGG, binarizer=binarizer))
    _same(network("resnet18", RESNET, binarizer=binarizer))


@pytest.mark.parametrize("binarizer", ["dorefa", "quarters"])
def test_several_bits_are_the_references_too(binarizer: str) -> None:
    _same(network("vgg_small", VGG, binarizer=binarizer, bits=VGG_BITS))
    _same(network("resnet18", RESNET, binarizer=binarizer, bits=RESNET_BITS))


def test_several_bits_through_a_pool() -> None:
    net = LayerList(ImageShape(9, 3, 10), "binary")
    net.batch_norm("bn")
    net.activation("act")
    net.max_pool("pool", kernel=3, stride=2, padding=1)
    net.conv("conv", 5, kernel=3)
    net.global_average_pool("mean")
    net.linear("linear")
    own = Network("own", net.image, (), (), lambda _widths, _precision: net.specs)
    _same(packed(with_bits(own, 2).layers([], "binary"), "dorefa", 9, 0))


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["vgg_small", "resnet18"]),
    widths=st.lists(st.integers(1, 140), min_size=12, max_size=12),
    size=st.sampled_from([8, 16, 24]),
    n=st.integers(1, 4),
    threads=st.integers(1, 3),
    binarizer=st.sampled_from(list(ONE_BIT)),
)
def test_any_widths_batch_and_threads(
    seed: int, kind: str, widths: list[int], size: int, n: int, threads: int, binarizer: str
) -> None:
    widths = widths[:6] if kind == "vgg_small" else widths
    model = network(kind, widths, binarizer=binarizer, size=size, seed=seed)
    x = images(model, n, seed)
    assert np.array_equal(FastNetwork(model, "it", threads)(x), reference(model, "it")(x))


@pytest.mark.parametrize("size", [15, 32, 33])
def test_the_stem_for_large_images_and_odd_sizes(size: int) -> None:
    _same(network("resnet18", RESNET, binarizer="sign", size=size, stem="imagenet"))


def test_the_trained_networks(model: Model) -> None:
    """All cases: with full-precision twins, and first convs that round."""
    content = pack(fold(model, "model"))
    assert_same(model, FastNetwork(content, "packed")(inputs_of(model)))


@pytest.mark.parametrize("binarizer", ONE_BIT)
def test_layers_in_an_order_of_other_packages(binarizer: str) -> None:
    """Nothing here can be computed together as in the shipped networks."""
    net = LayerList(ImageShape(9, 3, 10), "binary")
    net.batch_norm("bn")
    act = net.activation("act")
    net.max_pool("pool", kernel=3, stride=2, padding=1)
    net.conv("binary_of_a_pool", 5, kernel=3)
    net.max_pool("pool2", kernel=2, stride=1)
    net.batch_norm("bn2")
    both = net.activation("both")
    net.conv("full_of_bits", 40, kernel=1, precision="full")
    net.nonlinearity("prelu", "prelu")
    one = net.relu("relu")
    other = net.conv("bits_without_norm", 40, kernel=3, reads=both)
    net.add("add", one, other)
    net.nonlinearity("hardtanh", "hardtanh")
    net.activation("again")
    net.conv("strided", 10, kernel=3, stride=3, precision="full", reads=act)
    net.global_average_pool("mean")
    net.linear("linear")
    net.bias("bias")
    _same(packed(net.specs, binarizer, 9, 0))


def test_scales_and_norms_that_no_training_gives() -> None:
    """A negative or zero scale, a multiplier of zero, infinity."""
    model = network("vgg_small", VGG, binarizer="per_channel")
    arrays = {name: array.copy() for name, array in model.arrays.items()}
    arrays["conv2.scale"][::3] *= -1
    arrays["conv3.scale"][::3] *= -1
    arrays["conv3.scale"][1::3] = 0
    arrays["bn4.multiplier"][::2] = 0
    arrays["bn5.offset"][1] = np.inf
    changed = Model(model.card, arrays)
    x = images(changed, 3)
    assert np.array_equal(FastNetwork(changed, "it")(x), reference(changed, "it")(x))


CODE = """
import sys
from pathlib import Path
from typing import Any
import numpy
from moo_bnas.models.fast import processor
forced, *paths = sys.argv[1:]
processor.PATH = processor.PATHS.get(forced, processor.PATH)
from moo_bnas.models.fast.network import FastNetwork
from moo_bnas.models.model_file import read_model
for path in map(Path, paths):
    network = FastNetwork(read_model(path), str(path))
    images, expected = (numpy.load(path.with_suffix(s)) for s in (".images.npy", ".logits.npy"))
    assert numpy.array_equal(network(images), expected), path
print(network.path)
"""

HASWELL = ("haswell", "+avx2,+fma,+popcnt,+ssse3")
PROCESSORS = {
    "AVX2": (*HASWELL, ""),
    "portable loops": ("x86-64", "+sse2", ""),
    # LLVM makes instructions of this processor from the vectors of the others.
    "AVX-512 VPOPCNTDQ": (*HASWELL, "avx512"),
    "AVX-512 BW": (*HASWELL, "avx512bw"),
    "NEON": (*HASWELL, "neon"),
}
LONG = [path for path, (*_, forced) in PROCESSORS.items() if forced]  # they are always compiled


@pytest.mark.parametrize("path", [*(p for p in PROCESSORS if p not in LONG), *slow(*LONG)])
def test_kernels_for_other_processors_give_the_same_bits(path: str, tmp_path: Path) -> None:
    name, features, forced = PROCESSORS[path]
    if FastNetwork(network("vgg_small", VGG), "it").path == "NEON":
        pytest.skip("this processor is no x86-64, which these kernels are for")
    files = []
    kinds = (("vgg_small", VGG, VGG_BITS), ("resnet18", RESNET, RESNET_BITS))
    for binarizer, several in [*((b, False) for b in ONE_BIT), ("dorefa", True)]:
        for kind, widths, bits in kinds:
            model = network(kind, widths, binarizer=binarizer, bits=bits if several else ())
            file = tmp_path / f"{kind}-{binarizer}-{several}"
            card = model.card.model_copy(update={"encoding": ONE_BIT[binarizer].encoding})
            file.write_bytes(to_bytes(Model(card, model.arrays)))
            x = images(model, 2)
            np.save(file.with_suffix(".images.npy"), x)
            np.save(file.with_suffix(".logits.npy"), reference(model, "it")(x))
            files.append(file)
    environment = os.environ | {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    if forced:  # numba's cache does not know which kernels were forced
        environment["NUMBA_CACHE_DIR"] = str(tmp_path / "cache")
    done = subprocess.run(
        [sys.executable, "-c", CODE, forced, *files],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == (f"{path}\n", 0), done.stderr


def test_images_of_another_type_or_shape_are_refused() -> None:
    fast = FastNetwork(network("vgg_small", VGG), "it")
    shapes = ((2, 1, 8, 8), (2, 3, 8, 9), (3, 8, 8))
    wrong: list[Any] = [np.zeros((2, 3, 8, 8)), *(np.zeros(s, np.float32) for s in shapes)]
    for images_ in wrong:
        with pytest.raises(DataError, match="expected normalised ones: float32 of n x 3 x 8 x 8"):
            fast(images_)
    assert fast(np.zeros((0, 3, 8, 8), np.float32)).shape == (0, 10)
    every_second = np.zeros((4, 3, 8, 16), np.float32)[::2, :, :, ::2]
    assert np.array_equal(fast(every_second), fast(np.zeros((2, 3, 8, 8), np.float32)))


@pytest.mark.parametrize(
    ("number", "change", "said"),
    [
        (1, {"out_size": 9}, "bn1 says 7 channels of size 9, but it gives 7 channels of size 8"),
        (0, {"padding": -1}, "got -1 as padding of conv1"),
        (2, {"inputs": ("act4",)}, "act1 reads 'act4', which no step before it makes"),
        (5, {"in_channels": 7, "out_channels": 7}, "bn2 has 7 in_channels and reads 70"),
    ],
)
def test_a_card_that_lies_about_shapes_is_refused(
    number: int, change: dict[str, object], said: str
) -> None:
    """Also where no file was read: addresses are made from these shapes."""
    model = network("vgg_small", VGG)
    layers = list(model.card.layers)
    layers[number] = layers[number].model_copy(update=change)
    card = model.card.model_copy(update={"layers": tuple(layers)})
    with pytest.raises(ModelFileError, match=said):
        FastNetwork(Model(card, model.arrays), "it")
