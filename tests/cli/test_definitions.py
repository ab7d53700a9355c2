"""`moo-bnas definitions` and `new` as a user types them."""

from __future__ import annotations

from pathlib import Path

import pytest

from moo_bnas.definition import load_definition
from moo_bnas.shipped import shipped
from tests.conftest import Cli


@pytest.mark.parametrize("name", ["definitions", "studies"])
def test_definitions_lists_what_is_there(cli: Cli, name: str) -> None:
    shown = cli(name).stdout
    assert "digits: vgg_small on digits" in shown
    assert "needs no download, as its images come with scikit-learn" in shown


def test_a_definition_is_shown_and_copied(cli: Cli, tmp_path: Path) -> None:
    assert cli("definitions", "--show", "digits").stdout == shipped()["digits"].read_text()
    done = cli("new", "mine.toml", "--from", "digits")
    assert done.stdout == "written: mine.toml; change it, then: moo-bnas run mine.toml\n"
    images = cli("new", "images.toml").stdout.splitlines()
    assert "it needs your images as mine/train/<class>/<image> below --data-root" in images[0]
    assert images[2] == "  moo-bnas run images.toml --data-root FOLDER"
    mine, digits = load_definition(str(tmp_path / "mine.toml")), load_definition("digits")
    assert mine == digits.model_copy(update={"name": "mine"})
    (tmp_path / "mine.toml").write_text("precious")
    for arguments, told in (
        (("new", "mine.toml"), "mine.toml is there already"),
        (("new", "other.toml", "--from", "nope"), "got the definition 'nope', expected one of"),
        (("new", "no/such.toml"), "cannot write no/such.toml: No such file or directory"),
        (("new", "mine"), "expected a name that ends in .toml"),
        (("definitions", "--show", "nope"), "got the definition 'nope', expected one of"),
    ):
        refused = cli(*arguments)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert told in refused.stderr
    assert (tmp_path / "mine.toml").read_text() == "precious"
