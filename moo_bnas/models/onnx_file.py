"""Makes an ONNX graph from layer specs; imports the package onnx only where it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from moo_bnas.errors import ModelFileError
from moo_bnas.extras import not_installed
from moo_bnas.models.arrays import is_binary
from moo_bnas.models.encoding import encodings_of, exported
from moo_bnas.models.model_file import Arrays, Card, Layer, Model, metadata
from moo_bnas.models.seal import seal
from moo_bnas.networks.binarizers import Encoding
from moo_bnas.networks.layers import INPUT

if TYPE_CHECKING:
    import onnx

IMAGES, LOGITS = "images", "logits"
"""Names of the input and the output of a graph."""

_FLATTEN = ("linear", "flatten", "global_average_pool")  # these give out n x features

_OPSET, _IR = 17, 8  # of 2022, which current runtimes support


def missing(package: str) -> ModelFileError:
    """The error for a package of the extra [onnx] that is not installed."""
    return ModelFileError(f"ONNX files need {not_installed(package)}")


def to_onnx(folded: Model) -> bytes:
    """The content of the ONNX file of a network.

    The graph maps normalised `images`, float32, batch x channels x size x size, to `logits`, batch
    x classes, for any batch size. Binary weights are stored as int8. The metadata hold the card.

    Args:
        folded: Network that `folding.fold` returned.

    Raises:
        ModelFileError: If the package onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise missing("onnx") from error
    model = make_model(folded.card, folded.arrays)
    onnx.helper.set_model_props(model, metadata(exported(folded.card, "onnx")))
    onnx.checker.check_model(model, full_check=True)
    return seal(model.SerializeToString(deterministic=True))


def make_model(card: Card, folded: Arrays) -> onnx.ModelProto:
    """The model of a network, given by its card and arrays as folded, without metadata."""
    import onnx

    graph = _Graph(folded, encodings_of(card, "the network"))
    last = card.layers[-1].name
    names = {INPUT: IMAGES, last: LOGITS}
    for layer in card.layers:
        inputs = [names.get(i, i) for i in layer.inputs]
        graph.add(layer, inputs, names.get(layer.name, layer.name))
    image, floats = card.image, onnx.TensorProto.FLOAT
    shape: list[str | int | None] = ["batch", image.channels, image.size, image.size]
    return onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            card.network,
            [onnx.helper.make_tensor_value_info(IMAGES, floats, shape)],
            [onnx.helper.make_tensor_value_info(LOGITS, floats, ["batch", len(card.classes)])],
            graph.constants,
        ),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
        producer_name="moo-bnas",
    )


class _Graph:
    """The nodes and constants of a graph, in the order in which they were added."""

    def __init__(self, folded: Arrays, encodings: Mapping[int, Encoding]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._folded = folded
        self._encodings = encodings
        self._flat: set[str] = set()

    def add(  # noqa: C901, PLR0912  # one case per kind of step
        self, layer: Layer, inputs: list[str], out: str
    ) -> None:
        """Adds a layer that reads the values named `inputs` and makes the value named `out`."""
        name = layer.name
        if layer.kind in _FLATTEN or inputs[0] in self._flat:
            self._flat.add(out)
        match layer.kind:
            case "conv":
                self._conv(layer, inputs, out)
            case "linear":
                weight = self._array(f"{name}.weight")
                self._node("Gemm", [*inputs, weight], out, transB=1)
            case "batch_norm":
                self._batch_norm(name, inputs, out)
            case "binarize":
                self._binarize(layer, inputs, out)
            case "relu":
                self._node("Relu", inputs, out)
            case "hardtanh":
                ends = [self._constant(f"{name}.{e:+d}", np.float32(e)) for e in (-1, 1)]
                self._node("Clip", [*inputs, *ends], out)
            case "prelu":
                slope = self._constant(
                    f"{name}.slope", self._folded[f"{name}.slope"][:, None, None]
                )
                self._node("PRelu", [*inputs, slope], out)
            case "bias":
                self._bias(name, inputs, out)
            case "max_pool":
                self._node("MaxPool", inputs, out, **_window(layer))
            case "global_average_pool":
                means = self._node("GlobalAveragePool", inputs, f"{name}.means")
                self._node("Flatten", [means], out)
            case "flatten":
                self._node("Flatten", inputs, out)
            case "add":
                self._node("Add", inputs, out)
            case "mean_magnitude":
                magnitudes = self._node("Abs", inputs, f"{name}.magnitudes")
                self._node("ReduceMean", [magnitudes], out, axes=[1])
            case "scale":
                window = {**_window(layer), "count_include_pad": 1}
                mean = self._node("AveragePool", inputs[1:], f"{name}.mean", **window)
                self._node("Mul", [inputs[0], mean], out)

    def _conv(self, layer: Layer, inputs: list[str], out: str) -> None:
        name = layer.name
        if not is_binary(layer):
            self._node("Conv", [*inputs, self._array(f"{name}.weight")], out, **_window(layer))
            return
        signs = self._cast(self._array(f"{name}.signs"), f"{name}.weight")
        sums = self._node("Conv", [*inputs, signs], f"{name}.sums", **_window(layer))
        scale = self._folded[f"{name}.scale"]
        per_map = scale[:, None, None] if scale.ndim else scale
        self._node("Mul", [sums, self._constant(f"{name}.scale", per_map)], out)

    def _bias(self, name: str, inputs: list[str], out: str) -> None:
        bias = self._folded[f"{name}.bias"]
        if inputs[0] not in self._flat:
            bias = bias[:, None, None]
        self._node("Add", [*inputs, self._constant(f"{name}.bias", bias)], out)

    def _batch_norm(self, name: str, inputs: list[str], out: str) -> None:
        multiplier, offset = (
            self._constant(f"{name}.{part}", self._folded[f"{name}.{part}"][:, None, None])
            for part in ("multiplier", "offset")
        )
        product = self._node("Mul", [*inputs, multiplier], f"{name}.product")
        self._node("Add", [product, offset], out)

    def _binarize(self, layer: Layer, inputs: list[str], out: str) -> None:
        name, encoding = layer.name, self._encodings[layer.bits]
        compare = "GreaterOrEqual" if encoding.inclusive else "Greater"
        if encoding.bits > 1:
            self._count(name, compare, inputs, out, encoding)
            return
        low, high = encoding.levels
        threshold = self._constant(f"{name}.threshold", np.float32(encoding.thresholds[0]))
        ones = self._node(compare, [*inputs, threshold], f"{name}.ones")
        if (low, high) == (0, 1):
            self._cast(ones, out)
            return
        plus = self._constant(f"{name}.plus", np.float32(high))
        minus = self._constant(f"{name}.minus", np.float32(low))
        self._node("Where", [ones, plus, minus], out)

    def _count(
        self, name: str, compare: str, inputs: list[str], out: str, encoding: Encoding
    ) -> None:
        """Levels 0, 1, 2, ...: the number of thresholds that are passed."""
        passed = []
        for i, value in enumerate(encoding.thresholds):
            threshold = self._constant(f"{name}.threshold{i}", np.float32(value))
            above = self._node(compare, [*inputs, threshold], f"{name}.above{i}")
            passed.append(self._cast(above, f"{name}.one{i}"))
        self._node("Sum", passed, out)

    def _cast(self, value: str, out: str) -> str:
        import onnx

        return self._node("Cast", [value], out, to=onnx.TensorProto.FLOAT)

    def _array(self, name: str) -> str:
        return self._constant(name, self._folded[name])

    def _constant(self, name: str, value: NDArray[Any] | np.float32) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _node(self, kind: str, inputs: Sequence[str], out: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [out], out, **attributes))
        return out


def _window(layer: Layer) -> dict[str, list[int]]:
    return {
        "kernel_shape": [layer.kernel] * 2,
        "strides": [layer.stride] * 2,
        "pads": [layer.padding] * 4,
    }
