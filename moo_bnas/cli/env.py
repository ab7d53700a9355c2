"""`moo-bnas env`."""

from __future__ import annotations

import click

from moo_bnas.cli.options import general_options
from moo_bnas.extras import EXTRAS
from moo_bnas.output import show

_PACKAGES = (
    *("moo-bnas", "numpy", "scipy", "scikit-learn", "pymoo", "optuna", "sqlalchemy", "pydantic"),
    *("safetensors", "plotly", "pillow", "click", "rich", *EXTRAS),
)


@click.command(short_help="Print what a bug report needs: versions, devices, settings.")
@general_options
def env() -> None:
    """Print what a bug report needs: versions, cores, GPUs, and the settings of the environment.

    Passwords are hidden. Host and user are left out.

    \b
    Example:
      moo-bnas env
    """
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from moo_bnas.output import aligned
    from moo_bnas.passwords import hide_password
    from moo_bnas.processes import count_cores

    facts = [("python", platform.python_version()), ("system", platform.platform())]
    facts += [("machine", platform.machine()), ("cores", str(count_cores()))]
    for package in _PACKAGES:
        try:
            facts.append((package, version(package)))
        except PackageNotFoundError:
            facts.append((package, "not installed"))
    facts += [("devices", _devices())]
    for name in ("MOO_BNAS_STORAGE", "MOO_BNAS_DATA", "MOO_BNAS_ARTIFACTS", "OMP_NUM_THREADS"):
        value = os.environ.get(name)
        facts.append((name, "not set" if value is None else hide_password(value)))
    show(aligned(facts))


def _devices() -> str:
    """The devices that torch sees."""
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: one of its libraries is missing
        return f"none: torch cannot be imported ({error})"
    if not torch.cuda.is_available():
        return f"cpu (torch was built for CUDA {torch.version.cuda or 'none'})"
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f"{', '.join(names)} (CUDA {torch.version.cuda})"
