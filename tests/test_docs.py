"""README, CONTRIBUTING and docs/: their commands, options, links and code, without running them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
import yaml  # type: ignore[import-untyped]

from moo_bnas.data.cifar10 import Cifar10
from moo_bnas.data.digits import Digits
from moo_bnas.data.folder import Folder
from moo_bnas.data.imagenet import ImageNet
from moo_bnas.definition import Definition
from moo_bnas.evaluators import EvaluatorOptions
from moo_bnas.network_options import NetworkOptions
from moo_bnas.recipe import ParentRecipe
from moo_bnas.search_options import SearchOptions, SpaceOptions
from moo_bnas.section import Section
from tests.command_lines import parsed

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]


def prose(text: str) -> str:
    return FENCE.sub("", text)


def commands(text: str) -> list[str]:
    """What follows `moo-bnas` on each line of code that begins with it; \\ joins two lines."""
    code = "\n".join(block for _, block in FENCE.findall(text)).replace("\\\n", " ")
    return re.findall(r"(?m)^(?:\$ )?(?:\.venv/bin/)?moo-bnas (\S.*)$", code)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", prose(text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_commands_have_the_options_that_they_show(path: Path) -> None:
    for line in commands(path.read_text()):
        try:
            parsed(line)
        except click.exceptions.Exit:  # --help
            continue


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_commands_in_the_text_have_the_options_that_they_show(path: Path) -> None:
    for line in re.findall(r"`moo-bnas ([a-z][^`]*)`", prose(path.read_text())):
        try:
            parsed(line)
        except (click.exceptions.Exit, click.MissingParameter):  # `moo-bnas cost` names the command
            continue


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_no_command_names_a_trial_which_other_machines_do_not_have(path: Path) -> None:
    assert [line for line in commands(path.read_text()) if re.search(r"trial[- ]\d", line)] == []


def test_the_commands_are_found() -> None:
    text = "```\n$ moo-bnas run \\\n  --seed 1\nmoo-bnas: 1 fault\n```\n`moo-bnas cost`\n"
    assert [line.split() for line in commands(text)] == [["run", "--seed", "1"]]
    assert len(commands((ROOT / "README.md").read_text())) >= 8


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_links_and_images_lead_somewhere(path: Path) -> None:
    for link in LINK.findall(prose(path.read_text())):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def test_the_site_lists_every_page() -> None:
    site = yaml.load((ROOT / "mkdocs.yml").read_text(), yaml.BaseLoader)  # noqa: S506 (our own file)
    listed = [
        page
        for entry in site["nav"]
        for pages in entry.values()
        for page in ([pages] if isinstance(pages, str) else pages)
    ]
    made = {
        "index.md",
        "changelog.md",
        "contributing.md",
        "security.md",
        "commands.md",
        "api.md",
        "notebook.md",
    }
    assert len(listed) == len(set(listed))
    assert set(listed) - made == {path.name for path in (ROOT / "docs").glob("*.md")}


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_scripts_that_are_named_exist(path: Path) -> None:
    for script in re.findall(r"python ((?:benchmarks|tests)/\w+\.py)", path.read_text()):
        assert (ROOT / script).is_file(), script


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_python_code_compiles(path: Path) -> None:
    for language, code in FENCE.findall(path.read_text()):
        if language == "python":
            compile(code, str(path), "exec")


SECTIONS: dict[str, list[type[Section]]] = {
    "network": [NetworkOptions],
    "space": [SpaceOptions],
    "evaluator": [EvaluatorOptions],
    "data": [Digits, Cifar10, Folder, ImageNet],
    "recipe": [ParentRecipe],
    "search": [SearchOptions],
}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_a_definition_has_a_row_with_its_default(section: str) -> None:
    parts = re.split(r"(?m)^## ", (ROOT / "docs/definitions.md").read_text())
    (part,) = (part for part in parts if part.startswith(f"`[{section}]`"))
    found = re.findall(r"(?m)^(\| `(\w+)` .*)$", part)
    rows = {key: row for row, key in reversed(found)}  # the first row that begins with the key
    for model in SECTIONS[section]:
        for key, field in model.model_fields.items():
            default = field.get_default(call_default_factory=True)
            if field.is_required() or key == "name":
                assert "required" in rows[key], key
            elif default not in (None, (), {}):
                assert f"`{in_toml(default)}`" in rows[key], key


def in_toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(in_toml, value))}]"
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def test_every_section_of_a_definition_is_documented() -> None:
    text = (ROOT / "docs/definitions.md").read_text()
    for key in set(Definition.model_fields) - {"name"}:  # the file's
        assert f"`{key}`" in text or f"`[{key}]`" in text, key
