"""The encodings of a file: what a runtime must know about the binarizer of a network.

The card of an exported file holds them, so that the file runs where its binarizer is unknown. The
cards of two binarizers leave out that of 1 bit: those of version 0.1 have the name only, and new
ones do not differ from them, so that version 0.1 can read them too.
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
    binarizer = BINARIZERS[card.binarizer]
    encoding = None if binarizer.name in _IMPLIED else binarizer.encoding
    more = {n: binarizer.of_bits(n).evaluated.encoding for n in sorted(_bits(card)) if n > 1}
    # Of a network of another package its specs say all: `folding.fold` has checked it.
    return card.model_copy(
        update={
            "kind": kind,
            "encoding": encoding,
            "encodings": {str(n): each for n, each in more.items()},
            "own_module": False,
        }
    )


def encoding_of(card: Card, source: str, bits: int = 1) -> Encoding:
    """The encoding of the layers with so many bits of a trained or exported network.

    Args:
        card: Card of the network.
        source: Name of the file, shown in errors.
        bits: Bits per activation.

    Raises:
        ModelFileError: If the card does not hold it and its binarizer is unknown, or has no such
            number of bits.
    """
    known = BINARIZERS.get(card.binarizer)
    encoding = card.encoding if bits == 1 else card.encodings.get(str(bits))
    if encoding is None and known is not None and (bits == 1 or known.has_more_bits):
        encoding = known.of_bits(bits).evaluated.encoding
    if encoding is None:
        raise ModelFileError(
            f"{source} has the binarizer {card.binarizer!r:.100}, expected one of "
            f"{', '.join(BINARIZERS)}, or a card that describes it; use the version of moo-bnas "
            "that made it"
            if bits == 1
            else f"{source} has activations of {bits} bits, which its card does not describe, and "
            f"its binarizer {card.binarizer!r:.100} has 1 bit; make it again"
        )
    if encoding.bits != bits:
        raise ModelFileError(
            f"{source} describes activations of {encoding.bits} bits for layers of {bits}; make it "
            "again"
        )
    return encoding


def encodings_of(card: Card, source: str) -> dict[int, Encoding]:
    """The encodings of all layers by bits per activation; that of 1 bit is always there.

    Raises:
        ModelFileError: As `encoding_of`.
    """
    return {bits: encoding_of(card, source, bits) for bits in sorted(_bits(card))}


def _bits(card: Card) -> set[int]:
    return {1, *(layer.bits for layer in card.layers)}
