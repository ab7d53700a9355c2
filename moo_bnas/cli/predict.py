"""`moo-bnas predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from moo_bnas.cli.options import MOST, PathType, general_options
from moo_bnas.output import one_line, show
from moo_bnas.units import count

if TYPE_CHECKING:
    from moo_bnas.models.prediction import Prediction


@click.command(short_help="Classes of images, by a trained or exported network.")
@click.argument("file", metavar="FILE", type=PathType())
@click.argument(
    "images",
    metavar="IMAGE_OR_FOLDER...",
    nargs=-1,
    required=True,
    type=PathType(),
)
@click.option(
    "--top",
    type=click.IntRange(1, MOST),
    default=5,
    show_default=True,
    help="Number of classes to print for each image, most likely first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@general_options
def predict(file: Path, images: tuple[Path, ...], top: int, as_json: bool) -> None:
    """Print the classes and probabilities of images, by the network in FILE.

    FILE is what `moo-bnas train` or `moo-bnas export` wrote, in any format; it also says how images
    are prepared. A folder stands for all images below it, sorted. Images of any size are resized
    and cut to the middle. Broken images are reported at once and left out; the exit code is then 3.

    \b
    Example:
      moo-bnas predict model.packed.safetensors photos/
    """
    from moo_bnas.errors import DataError
    from moo_bnas.models.prediction import Predictor, find_images, predict_files

    predictor = Predictor(file)
    if predictor.card.kind == "packed":
        show(one_line(f"{file} runs with {predictor.runtime}"), err=True)
    paths = find_images(images)
    predicted: list[dict[str, Any]] = []
    broken: list[dict[str, str]] = []

    def report(path: Path, error: DataError) -> None:
        show(one_line(f"moo-bnas: {error}"), err=True)
        broken.append({"path": str(path), "error": str(error)})

    for one in predict_files(predictor, paths, report):
        if as_json:
            predicted.append(_entry(one, top))
        else:
            likeliest = "  ".join(f"{name} {_percent(p)}" for name, p in one.top(top))
            show(one_line(f"{one.path}  {likeliest}"))
    if as_json:
        document = {
            "file": str(file),
            "kind": predictor.card.kind,
            "network": predictor.card.network,
            "runtime": predictor.runtime,
            "predictions": predicted,
            "broken": broken,
        }
        show(json.dumps(document))
    if broken:
        raise DataError(
            f"{len(broken)} of {count(len(paths), 'image')} could not be read, as reported above; "
            "fix or remove them"
        )


def _percent(probability: float) -> str:
    """A probability in percent; what is not quite certain is not printed as if it were."""
    percent = f"{100 * probability:.1f}"
    if percent == "100.0" and probability < 1:
        return ">99.9 %"
    return "<0.1 %" if percent == "0.0" and probability > 0 else f"{percent} %"


def _entry(prediction: Prediction, top: int) -> dict[str, Any]:
    likeliest = prediction.top(top)
    return {
        "path": str(prediction.path),
        "class": likeliest[0][0],
        "probability": likeliest[0][1],
        "top": [{"class": name, "probability": p} for name, p in likeliest],
    }
