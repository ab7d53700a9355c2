"""Writes figures as images, which a browser draws through kaleido."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from moo_bnas.errors import ImagesError
from moo_bnas.extras import not_installed
from moo_bnas.report.files import make_folder
from moo_bnas.report.style import PAPER, Figure

Format = Literal["svg", "png", "pdf"]

_WIDTH, _HEIGHT = 900, 560  # pixels of an SVG or PDF; a PNG has twice as many in each direction


def write_images(figures: Sequence[Figure], folder: Path, suffix: Format) -> list[Path]:
    """Writes each figure that has data, as `<figure>.svg`, `<figure>.png` or `<figure>.pdf`.

    Returns:
        The paths of the images.

    Raises:
        DefinitionError: If the folder cannot be written to.
        ImagesError: If kaleido or a browser is missing, or fails.
    """
    make_folder(folder)
    draw = _engine()
    size = {"width": _WIDTH, "height": _HEIGHT, "scale": 2 if suffix == "png" else 1}
    wanted, paths = [], []
    with TemporaryDirectory(dir=folder, prefix=".moo-bnas-") as partial:
        for figure in figures:
            if figure.drawn is None:
                continue
            title = {"text": figure.title, "y": 0.98, "yanchor": "top"}  # above all legends
            figure.drawn.update_layout(title=title, margin={"t": 130}, paper_bgcolor=PAPER)
            name = f"{figure.name}.{suffix}"
            opts = {"format": suffix, **size}
            wanted.append({"fig": figure.drawn, "path": f"{partial}/{name}", "opts": opts})
            paths.append(folder / name)
        draw(wanted)
        for path in paths:
            (Path(partial) / path.name).replace(path)
    return paths


def _engine() -> Callable[[list[dict[str, Any]]], None]:
    try:
        import kaleido
        from kaleido.errors import ChromeNotFoundError
    except ImportError as error:
        raise ImagesError(f"images of figures need {not_installed('kaleido')}") from error

    def draw(wanted: list[dict[str, Any]]) -> None:
        options = {"mathjax": False}  # it would be downloaded otherwise
        try:
            kaleido.write_fig_from_object_sync(wanted, cancel_on_error=True, kopts=options)
        except ChromeNotFoundError as error:
            raise ImagesError(
                "images of figures are drawn by Chrome or Chromium, and neither was found; install "
                "one, or set BROWSER_PATH to where it is"
            ) from error
        except Exception as error:
            said = str(error.args[0]).splitlines()[0] if error.args else type(error).__name__
            raise ImagesError(
                f"the browser that draws the images of figures failed: {said.rstrip('.')}; check "
                "that it starts, or set BROWSER_PATH to another Chrome or Chromium"
            ) from error

    return draw
