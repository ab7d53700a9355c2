"""`moo-bnas studies` as a user types it."""

from __future__ import annotations

from tests.conftest import Cli


def test_studies_lists_what_is_there(cli: Cli) -> None:
    shown = cli("studies").stdout
    assert "digits: vgg_small on digits" in shown
    assert "needs no download, as its images come with scikit-learn" in shown
