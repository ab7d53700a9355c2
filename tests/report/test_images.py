from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from moo_bnas.errors import ImagesError
from moo_bnas.report.figures import figures
from moo_bnas.report.images import write_images
from moo_bnas.results.points import Report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.mark.slow
def test_each_figure_becomes_an_image(report: Report, folder: Path) -> None:
    pytest.importorskip("kaleido", reason="kaleido is not installed")
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    paths = write_images(figures(report), folder, "svg")
    assert sorted(p.name for p in paths) == [
        *("accuracy-flops.svg", "channels.svg", "convergence-evaluations.svg"),
        *("convergence-time.svg", "front.svg"),
    ]
    assert sorted(folder.iterdir()) == sorted(paths)
    front = (folder / "front.svg").read_text()
    assert front.startswith("<svg")
    assert "full precision 1x" in front
    (front_pdf,) = write_images(figures(report)[:1], folder, "pdf")
    assert front_pdf.read_bytes().startswith(b"%PDF-")


def test_without_kaleido_it_says_what_to_install(
    report: Report, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(ImagesError, match=r"pip install 'moo-bnas\[images\]'"):
        write_images(figures(report), folder, "png")
    assert list(folder.iterdir()) == []


def test_without_a_browser_it_says_what_to_install(
    report: Report, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("kaleido", reason="kaleido is not installed")
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chromium")
    with pytest.raises(ImagesError, match="by Chrome or Chromium, and neither was found; install"):
        write_images(figures(report), folder, "png")
    assert list(folder.iterdir()) == []


def test_a_browser_that_fails_is_reported(
    report: Report, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("kaleido", reason="kaleido is not installed")
    monkeypatch.setenv("BROWSER_PATH", "/bin/false")
    with pytest.raises(ImagesError, match="figures failed: The browser seemed to close"):
        write_images(figures(report), folder, "png")
    assert list(folder.iterdir()) == []
