from __future__ import annotations

import pytest

from moo_bnas.errors import DefinitionError
from moo_bnas.networks import make_network
from moo_bnas.networks.cost import flops
from moo_bnas.networks.fitting import check_fit
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
    ("options", "second", "end"),
    [
        # IR-Net and ReCU; SiMaN; OvSW; ReSTE: as in the code of each
        (
            {"block": ["pool", "norm", "hardtanh"], "last": "hardtanh"},
            ["conv2", "pool2", "bn2", "hardtanh2", "act2"],
            ["conv6", "pool6", "bn6", "act6", "flatten", "linear"],
        ),
        (
            {"block": ("pool", "norm", "prelu"), "last": "prelu", "classifier_bias": True},
            ["conv2", "pool2", "bn2", "prelu2", "act2"],
            ["conv6", "pool6", "bn6", "act6", "flatten", "linear", "bias"],
        ),
        (
            {"block": ["relu", "norm", "pool"], "last": "none"},
            ["conv2", "relu2", "bn2", "pool2", "act2"],
            ["conv6", "relu6", "bn6", "pool6", "flatten", "linear"],
        ),
    ],
)
def test_vgg_small_has_the_traits_of_published_ones(
    options: dict[str, object], second: list[str], end: list[str]
) -> None:
    net = make_network("vgg_small", **options)  # type: ignore[arg-type]
    specs = net.layers(net.base_widths, "binary")
    names, kinds = [s.name for s in specs], {s.name: s.kind for s in specs}
    at = names.index("conv2")
    assert names[at : at + len(second)] == second
    assert names[names.index("conv6") :] == end
    assert kinds.get("act6", "none") == options["last"]
    assert kinds["act5"] == "binarize"


def test_a_shortcut_around_each_conv_adds_tensors_as_wide_as_the_stage() -> None:
    net = make_network("resnet18", downsampling="real", shortcuts="conv")
    assert net.genes == ("stage1", "stage2", "stage3", "stage4")
    layers = {s.name: s for s in net.layers([3, 5, 7, 11], "binary")}
    for i in range(1, 9):
        for name in (f"block{i}_add1", f"block{i}_add"):
            one, other = (layers[n] for n in layers[name].inputs)
            assert (one.out_channels, one.out_size) == (other.out_channels, other.out_size)
    assert layers["block3_add1"].inputs == ("block3_bn1", "block3_short_bn")
    assert layers["block3_add"].inputs == ("block3_bn2", "block3_add1")
    assert layers["block4_add1"].inputs == ("block4_bn1", "block3_add")


def test_a_react_resnet_has_thresholds_and_a_shifted_prelu_after_each_sum() -> None:
    net = make_network("resnet18", downsampling="real", shortcuts="conv", react=True)
    specs = net.layers([3, 5, 7, 11], "binary")
    layers = {s.name: s for s in specs}
    for i in range(1, 9):
        for act in ("act1", "act2"):
            assert layers[f"block{i}_{act}"].inputs == (f"block{i}_{act}_threshold",)
        for name in (f"block{i}_add1", f"block{i}_add"):
            assert layers[f"{name}_before"].inputs == (name,)
            assert layers[f"{name}_prelu"].inputs == (f"{name}_before",)
            assert layers[f"{name}_after"].inputs == (f"{name}_prelu",)
    # shortcuts carry what no threshold has shifted
    assert layers["block1_act2_threshold"].inputs == ("block1_add1_after",)
    assert layers["block1_add"].inputs == ("block1_bn2", "block1_add1_after")
    assert layers["block3_short"].inputs == ("block2_add_after",)
    check_fit(specs, net.image)
    twin = net.layers([3, 5, 7, 11], "full")
    assert not any(s.name.endswith("_threshold") for s in twin)


def test_a_react_resnet_counts_three_operations_per_output_of_a_sum() -> None:
    """4 sums per stage, of 64, 128, 256, 512 channels at 56, 28, 14, 7 pixels."""
    options = {"downsampling": "real", "shortcuts": "conv"}
    plain, react = (
        make_network("resnet18", **options, react=each)  # type: ignore[arg-type]
        for each in (False, True)
    )
    outputs = 4 * sum(64 * 2**i * (56 // 2**i) ** 2 for i in range(4))
    added = flops(react, react.base_widths) - flops(plain, plain.base_widths)
    assert added == 3 * outputs == 4_515_840


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "vgg_small",
            {"block": ["pool"]},
            r"got the block \['pool'\], expected 'pool' and 'norm' ",
        ),
        ("vgg_small", {"block": ["norm", "relu", "pool", "prelu"]}, "at most one of 'relu', 'har"),
        ("vgg_small", {"block": ["norm", "elu", "pool"]}, "at most one of 'relu', 'har"),
        ("vgg_small", {"block": 3}, r"got the block \[3\], expected"),
        (
            "vgg_small",
            {"last": "elu"},
            "got last 'elu', expected one of 'none', 'relu', 'hardtanh'",
        ),
        ("vgg_small", {"classifier_bias": "yes"}, "got classifier_bias 'yes', expected one of Fal"),
        (
            "resnet18",
            {"shortcuts": "none"},
            "got shortcuts 'none', expected one of 'block', 'conv'",
        ),
        ("resnet18", {"react": True}, "got react = true without a shortcut around each conv; add"),
        (
            "resnet18",
            {"shortcuts": "conv", "react": "yes"},
            "got react 'yes', expected one of False, True",
        ),
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
