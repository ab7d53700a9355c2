"""What `make docs` adds to the pages of this folder: a hook of mkdocs.

The pages are read on a code host, too, so their links are relative to the repository. README and
three more files of its root become pages here, the notebook too, commands are described by click,
and the reference of Python by docstrings. Links to anything else lead to the repository, whose
address PROJECT_URL gives (as in `hatch_build.py`), or become plain text.
"""

from __future__ import annotations

import html
import inspect
import json
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.structure.files import File, Files

import moo_bnas
from moo_bnas.cli import cli
from moo_bnas.cli.groups import WORKFLOW

_ROOT = Path(__file__).parent.parent
_OF_ROOT = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
_FOR_PACKAGES = (
    *("moo_bnas.evaluators", "moo_bnas.data.own"),
    *("moo_bnas.networks.network", "moo_bnas.networks.layers"),
)
_FENCE = re.compile(r"(?ms)(^```.*?^```$)")
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?://|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are made here."""
    pages = {page: (_ROOT / name).read_text(encoding="utf-8") for name, page in _OF_ROOT.items()}
    pages |= {"commands.md": "\n".join(_commands()), "api.md": "\n".join(_api())}
    pages["notebook.md"] = "\n".join(_notebook())
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrites the links of a page, except in code."""
    folder = "" if page.file.src_uri in _OF_ROOT.values() else "docs"
    parts = _FENCE.split(markdown)
    parts[::2] = [_LINK.sub(lambda link: _lead(link, folder), part) for part in parts[::2]]
    return "".join(parts)


def _lead(link: re.Match[str], folder: str) -> str:
    words, path, anchor = link.groups(default="")
    name = os.path.normpath(os.path.join(folder, path))
    made = {**_OF_ROOT, "docs/notebook.ipynb": "notebook.md"}
    page = made.get(name, name.removeprefix("docs/") if name.startswith("docs/") else None)
    if page is None:
        project = os.environ.get("PROJECT_URL", "").rstrip("/")
        return f"[{words}]({project}/blob/v{moo_bnas.__version__}/{name})" if project else words
    if words in (path, name):  # the name of a file is no title here
        words = (_ROOT / name).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    return f"[{words}]({page}{anchor})"


def _notebook() -> Iterator[str]:
    notebook = json.loads((_ROOT / "docs/notebook.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield f"{text}\n"
            continue
        yield f"```python\n{text}\n```\n"
        shown = "".join("".join(output.get("text", ())) for output in cell["outputs"])
        if shown:
            yield f"```\n{shown.rstrip()}\n```\n"
    yield '<a href="notebook.ipynb" download>This page as a notebook</a>'


def _commands() -> Iterator[str]:
    yield "# Commands\n"
    yield "What `moo-bnas COMMAND --help` prints, in the order of work.\n"
    for title, names in WORKFLOW.items():
        yield f"## {title}\n"
        for name in names:
            yield from _command(cli.commands[name], f"moo-bnas {name}")


def _command(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    yield f"### {path}\n"
    yield f"```\n{' '.join([path, *command.collect_usage_pieces(context)])}\n```\n"
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(command.help or "")):
        if paragraph.startswith("\b"):  # click prints such a paragraph as it is
            title, lines = paragraph.removeprefix("\b\n").split("\n", 1)
            yield f"{title}\n\n```\n{textwrap.dedent(lines)}\n```\n"
        else:
            yield f"{paragraph}\n"
    for parameter in command.get_params(context):
        option, meaning = parameter.get_help_record(context) or ("", "")
        if meaning:
            yield f"- `{option}`: {_plain(meaning)}"
    yield ""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _command(below, f"{path} {name}")


def _plain(text: str) -> str:
    return html.escape(" ".join(text.split()), quote=False).replace("[", "\\[").replace("*", "\\*")


def _api() -> Iterator[str]:
    yield "# Python reference\n\nWhat `moo_bnas` exports; [python.md](python.md) shows its use.\n"
    names = sorted(moo_bnas.__all__, key=lambda name: (name[0].isupper(), name))
    for title, wanted in (("Functions", str.islower), ("Classes", str.isupper)):
        yield f"## {title}\n"
        yield from (f"::: moo_bnas.{name}\n" for name in names if wanted(name[0]))
    yield "## For packages of your own\n"
    yield "See [data-and-networks.md](data-and-networks.md#what-packages-of-your-own-may-bring).\n"
    yield from (f"::: {name}\n" for name in _FOR_PACKAGES)
