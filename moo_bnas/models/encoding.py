"""The encoding of a file: what a runtime must know about the binarizer of a network.

The card of an exported file holds it, so that the file runs where its binarizer is unknown. The
cards of two binarizers leave it out: those of version 0.1 have the name only, and new ones do not
differ from them, so that version 0.1 can read them too.
"""

from __future__ import annotations

from moo_bnas.errors import ModelFileError
from moo_bnas.models.model_file import Card, FileKind
from moo_bnas.networks.binarizers import BINARIZERS, Encoding

_IMPLIED = ("dorefa", "sign")
"""Binarizers whose encoding cards leave out."""


def exported(card: Card, kind: FileKind) -> Card:
    """The card of an exported file.

    Args:
        card: Card of the trained network.
        kind: Kind of the exported file.
    """
    name = card.binarizer
    encoding = None if name in _IMPLIED else BINARIZERS[name].encoding
    # Of a network of another package its specs say all: `folding.fold` has checked it.
    return card.model_copy(update={"kind": kind, "encoding": encoding, "own_module": False})


def encoding_of(card: Card, source: str) -> Encoding:
    """The encoding of a trained or exported network.

    Args:
        card: Card of the network.
        source: Name of the file, shown in errors.

    Raises:
        ModelFileError: If the card holds no encoding and its binarizer is unknown, or if
            activations have more than 1 bit, which exported formats do not support yet.
    """
    known = BINARIZERS.get(card.binarizer)
    encoding = card.encoding or (known.encoding if known else None)
    if encoding is None:
        raise ModelFileError(
            f"{source} has the binarizer {card.binarizer!r:.100}, expected one of "
            f"{', '.join(BINARIZERS)}, or a card that describes it; use the version of moo-bnas "
            "that made it"
        )
    if encoding.bits > 1:
        raise ModelFileError(
            f"{source} has activations of {encoding.bits} bits (binarizer {card.binarizer:.100}), "
            "expected 1 bit, because exported files support no more; run the trained network"
        )
    return encoding
