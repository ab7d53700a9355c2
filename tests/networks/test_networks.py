from __future__ import annotations

import pytest

from moo_bnas.errors import DefinitionError
from moo_bnas.networks import make_network
from moo_bnas.networks.layers import ImageShape


def test_vgg_small_pools_before_batch_norm_and_ends_in_a_real_relu() -> None:
    net = make_network("vgg_small")
    names = [s.name for s in net.layers(net.base_widths, "binary")]
    assert names[:8] == ["conv1", "bn1", "act1", "conv2", "pool2", "bn2", "act2", "conv3"]
    kinds = {s.name: s.kind for s in net.layers(net.base_widths, "binary")}
    assert kinds["act5"] == "binarize"
    assert kinds["act6"] == "relu"
    precisions = {
        s.name: s.precision
        for s in net.layers(net.base_widths, "binary")
        if s.kind in ("conv", "linear")
    }
    assert [n for n, p in precisions.items() if p == "full"] == ["conv1", "linear"]


def test_the_twin_has_relu_for_binarize_and_real_weights() -> None:
    net = make_network("resnet18")
    binary, twin = (net.layers(net.base_widths, p) for p in ("binary", "full"))
    assert [s.name for s in binary] == [s.name for s in twin]
    assert not any(s.kind == "binarize" or s.precision == "binary" for s in twin)


def test_resnet18_adds_equal_shapes_for_any_widths() -> None:
    net = make_network("resnet18")
    widths = [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41]
    layers = {s.name: s for s in net.layers(widths, "binary")}
    for i in range(1, 9):
        one, other = (layers[n] for n in layers[f"block{i}_add"].inputs)
        assert (one.out_channels, one.out_size) == (other.out_channels, other.out_size)
    # Where the shape changes the shortcut is a binary 1x1 conv of the binarized input.
    short = layers["block3_short"]
    assert (short.kernel, short.stride, short.precision) == (1, 2, "binary")
    assert layers[short.inputs[0]].kind == "binarize"


def test_real_downsampling_reads_real_values() -> None:
    net = make_network("resnet18", downsampling="real")
    layers = {s.name: s for s in net.layers(net.base_widths, "binary")}
    short = layers["block3_short"]
    assert (short.kernel, short.stride, short.precision) == (1, 2, "full")
    assert short.inputs == ("block2_add",)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lenet", {}, "got network 'lenet', expected one of .*resnet18.*vgg_small"),
        ("vgg_small", {"stem": "small"}, "vgg_small got the option 'stem', expected only"),
        ("vgg_small", {"image": ImageShape(28, 1, 10)}, "got images of 28x28, expected a multiple"),
    ],
)
def test_what_cannot_be_built_is_refused(
    name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(DefinitionError, match=message):
        make_network(name, **options)  # type: ignore[arg-type]


def test_specs_refuse_a_wrong_number_of_widths() -> None:
    with pytest.raises(ValueError, match="got 5 widths, expected 6"):
        make_network("vgg_small").layers([1] * 5, "binary")
