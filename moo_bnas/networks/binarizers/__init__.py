"""Binarizers: how weights and activations are encoded in bits, and what gradient passes.

To add one, add it to `BINARIZERS`: definitions accept its name and its constants,
`networks.autograd` trains it, and all exporters read its `Encoding`. Its functions use methods of
tensors only, because these modules are also imported where torch is not.
"""

from __future__ import annotations

from moo_bnas.errors import DefinitionError
from moo_bnas.networks.binarizers.binarizer import Binarizer, Encoding
from moo_bnas.networks.binarizers.fixed import (
    ABC,
    BIREAL,
    DOREFA,
    OVSW,
    PCNN,
    SIGN,
    XNOR,
    XNOR_K,
)
from moo_bnas.networks.binarizers.scheduled import ADABIN, IRNET, RECU, RESTE

__all__ = ["BINARIZERS", "Binarizer", "Encoding", "check_binarizer"]

_ALL = (DOREFA, SIGN, BIREAL, XNOR, XNOR_K, IRNET, RESTE, RECU, ADABIN, PCNN, ABC, OVSW)
BINARIZERS = {b.name: b for b in _ALL}


def check_binarizer(name: str) -> str:
    """Returns a name that is in `BINARIZERS`.

    Raises:
        DefinitionError: If it is not.
    """
    if name not in BINARIZERS:
        raise DefinitionError(
            f"got binarizer {name!r}, expected one of {', '.join(BINARIZERS)}; choose one of these"
        )
    return name
