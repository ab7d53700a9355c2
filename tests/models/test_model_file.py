from __future__ import annotations

from pathlib import Path

import pytest

from moo_bnas.errors import ModelFileError
from moo_bnas.models.model_file import parse_model, read_model, to_bytes
from tests.models.trained import trained


def test_a_file_gives_back_what_was_written() -> None:
    model = trained("vgg_small dorefa")
    again = parse_model(to_bytes(model), "it")
    assert again.card == model.card
    assert again.arrays.keys() == model.arrays.keys()
    assert all((again.arrays[k] == v).all() for k, v in model.arrays.items())


def test_a_bit_that_changed_is_noticed() -> None:
    content = bytearray(to_bytes(trained("vgg_small dorefa")))
    content[-5] ^= 1
    with pytest.raises(ModelFileError, match="m is damaged: it is not what was written"):
        parse_model(bytes(content), "m")


def test_a_file_cut_short_or_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="it is incomplete or damaged"):
        parse_model(to_bytes(trained("vgg_small dorefa"))[:-1], "m")
    with pytest.raises(ModelFileError, match="cannot read .*none: No such file"):
        read_model(tmp_path / "none")
