"""Checks that the layers of a card fit together, before anything is computed from their shapes."""

from __future__ import annotations

from moo_bnas.errors import ModelFileError
from moo_bnas.models.model_file import Card, Layer
from moo_bnas.networks.layers import INPUT

_Shape = tuple[int, int]
"""Channels, and height and width."""


def check_shapes(card: Card, source: str) -> None:
    """Checks that each layer's input and output have the shapes that its spec says.

    Args:
        card: Card of the network.
        source: Name of its file, shown in errors.

    Raises:
        ModelFileError: If one has not, a layer reads one that does not come before it, or the last
            layer has another number of outputs than there are classes.
    """
    known: dict[str, _Shape] = {INPUT: (card.image.channels, card.image.size)}
    last = INPUT
    for layer in card.layers:
        wanted = 2 if layer.kind == "add" else 1
        if (
            layer.name in known
            or len(layer.inputs) != wanted
            or not known.keys() >= {*layer.inputs}
        ):
            raise _misfit(
                source,
                layer,
                f"inputs {', '.join(layer.inputs) or 'none'}",
                f"{wanted} of earlier layers, and a name of its own",
            )
        shapes = [known[name] for name in layer.inputs]
        if min(layer.kernel, layer.stride, layer.padding + 1, layer.out_size, *sum(shapes, ())) < 1:
            raise _misfit(source, layer, "a size below 1", "none")
        out = _out(layer, *shapes[0])
        got = (layer.in_channels, layer.out_channels, layer.out_size)
        flat = layer.kind != "linear" or shapes[0][1] == 1
        if not flat or len({*shapes}) > 1 or (shapes[0][0], *out) != got:
            raise _misfit(
                source,
                layer,
                f"{got[0]} channels to {got[1]} of {got[2]} x {got[2]}",
                f"{shapes[0][0]} to {out[0]} of {out[1]} x {out[1]}",
            )
        known[layer.name], last = out, layer.name
    if known[last] != (len(card.classes), 1):
        raise ModelFileError(
            f"{source} has {len(card.classes)} classes, but its last layer gives {known[last][0]} "
            f"numbers of {known[last][1]} x {known[last][1]}; make the file again"
        )


def _out(layer: Layer, channels: int, size: int) -> _Shape:
    match layer.kind:
        case "conv" | "max_pool":
            out = (size + 2 * layer.padding - layer.kernel) // layer.stride + 1
            return (layer.out_channels if layer.kind == "conv" else channels), out
        case "linear":
            return layer.out_channels, 1
        case "flatten":
            return channels * size * size, 1
        case "global_average_pool":
            return channels, 1
        case _:
            return channels, size


def _misfit(source: str, layer: Layer, got: str, expected: str) -> ModelFileError:
    return ModelFileError(
        f"{source} has a layer {layer.name} that does not fit its inputs: got {got}, expected "
        f"{expected}; it was changed after it was made, so make it again"
    )
