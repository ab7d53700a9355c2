from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from moo_bnas.definition import load_definition, stored_definition
from moo_bnas.errors import DefinitionError
from moo_bnas.overrides import override
from moo_bnas.shipped import shipped
from tests.conftest import TINY


def _write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


def test_every_shipped_definition_loads_and_opens_with_its_command() -> None:
    assert "digits" in shipped()
    for name, path in shipped().items():
        assert load_definition(name).name == name
        assert path.read_text().startswith(f"# moo-bnas run {name}")


def test_a_definition_survives_storage(tmp_path: Path) -> None:
    definition = load_definition(_write(tmp_path, TINY))
    assert definition.name == "mine"
    assert stored_definition(definition.model_dump(mode="json")) == definition


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    text = (
        TINY.replace("population = 6", 'population = "six"')
        .replace("epochs = 1", "epoch = 1")
        .replace("[network]", "[network]\nbinarizer = 'ternary'")
    )
    with pytest.raises(DefinitionError) as caught:
        load_definition(_write(tmp_path, text))
    told = str(caught.value)
    assert "mine.toml: 4 faults" in told
    assert "recipe.epochs: missing; add it" in told
    assert "recipe.epoch: unknown key; remove it or correct its name" in told
    assert "search.population: Input should be a valid integer, got 'six'" in told
    assert "network.binarizer: got binarizer 'ternary', expected one of dorefa, sign" in told


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[data]", "[data", "not valid TOML"),
        ('"digits"', '"mnist"', "data: got name 'mnist', expected one of 'digits', 'cifar10', "),
        (
            '"digits"',
            '"digits"\npath = "d"',
            "data.path: unknown key; remove it or correct its name",
        ),
        ('"digits"', '"cifar10"\npath = "/d"', "data.path: got '/d', expected a path below --data"),
        ('"digits"', '"cifar10"\npath = "../d"', "data.path: got '../d', expected a path below"),
        ('"digits"', '"cifar10"\npath = "a\\u0000b"', r"data.path: got 'a\\x00b', expected a"),
        ('"digits"', '"cifar10"\nvalidation = 0', "data.validation: got 0, expected how many im"),
        ('"digits"', '"cifar10"\nvalidation = 1.0', "data.validation: got 1.0, expected how man"),
        ('"digits"', '"folder"\npath = "d"', "data.image_size: missing; add it\n  data.classes: "),
        (
            '"digits"',
            '"imagenet"\nstored_size = 223',
            r"got stored_size 223, .* \(224\) or more",
        ),
        (
            '"digits"',
            '"folder"\npath = "d"\nimage_size = 32\nstored_size = 31\nclasses = 2',
            r"got stored_size 31, expected image_size \(32\) or more",
        ),
        ("[0.25, 0.5, 1, 2]", "[]", "space.ratios: .* at least 1 item"),
        ("[0.25, 0.5, 1, 2]", "[1, 0.5]", "ratios must ascend without repeats, got 1, 0.5"),
        ("[0.25, 0.5, 1, 2]", "[-1, 0.5]", "space.ratios.0: Input should be greater than 0"),
        ("base_width = 4", "base_width = 2", r"conv1 would have int\(2 \* 0.25\) = 0 channels"),
        ('"vgg_small"', '"lenet"', "got network 'lenet', expected one of .*resnet18.*vgg_small"),
        ("batch_size = 128", "batch_size = 1", "recipe.batch_size: .* or equal to 2, got 1"),
        ("[search]", "seed = 5_000_000_000\n[search]", "recipe.seed: .* less than 4294967296"),
        ("epochs = 1", 'epochs = 1\nschedule = "steps"', "'steps' with milestones .*, expected"),
        ("epochs = 1", "epochs = 1\nmilestones = [2]", "'one_cycle' with milestones"),
        (
            "epochs = 1",
            'epochs = 9\nschedule = "steps"\nmilestones = [4, 2]',
            r"got milestones \[4, 2\] of 9 epochs, expected them to ascend",
        ),
        (
            "epochs = 1",
            'epochs = 9\nschedule = "steps"\nmilestones = [9]',
            r"\[9\] of 9 epochs, .* be below 9; correct them",
        ),
        ("epochs = 1", "epochs = 0", r"got \[recipe\] epochs 0 without \[parent\], expected 1"),
        (
            "[search]",
            "[final]\nepochs = 1\nbatch_size = 8\nlearning_rate = 0.1\ninherits = true\n[search]",
            r"got \[final\] inherits without \[parent\]; remove it, or add \[parent\]",
        ),
        ("epochs = 1", "epochs = -1", "recipe.epochs: .* greater than or equal to 0, got -1"),
        (
            "[recipe]",
            "[parent]\nepochs = 0\nbatch_size = 9\nlearning_rate = 1\n[recipe]",
            "parent.epochs: .* greater than or equal to 1, got 0",
        ),
        ("epochs = 1", 'epochs = 1\nrule = "sandwich"', "recipe.rule: unknown key"),
        ("epochs = 1", "epochs = 1\nweight_decay = inf", "weight_decay: .*, got inf"),
        ('name = "digits"', "", "data: name is missing; add it"),
        ("learning_rate = 0.2", "learning_rate = nan", "learning_rate: .*, got nan"),
        (
            "base_width = 4",
            'base_width = 4\nstem = "small"',
            "got the option 'stem', expected only",
        ),
    ],
)
def test_one_fault(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TINY
    with pytest.raises(DefinitionError, match=message):
        load_definition(_write(tmp_path, TINY.replace(old, new)))


def test_a_missing_definition_is_answered_with_those_there_are() -> None:
    with pytest.raises(
        DefinitionError, match="got the definition 'nope', expected one of .*digits"
    ):
        load_definition("nope")


def test_options_override_the_search_section(tmp_path: Path) -> None:
    definition = load_definition(_write(tmp_path, TINY))
    changed = override(definition, population=None, generations=7, max_flops=2e3)
    assert changed.search.generations == 7
    assert changed.search.max_flops == 2e3
    assert changed.search.population == definition.search.population


def test_the_reference_is_the_uniform_1x_network_even_where_1_is_no_ratio(tmp_path: Path) -> None:
    text = TINY.replace("[0.25, 0.5, 1, 2]", "[0.5, 2]")
    with_one, without = (load_definition(_write(tmp_path, t)) for t in (TINY, text))
    assert with_one.reference_cost() == without.reference_cost()


def test_a_file_name_that_is_no_study_name_is_made_one(tmp_path: Path) -> None:
    path = tmp_path / "my study (2).toml"
    path.write_text(TINY)
    assert load_definition(str(path)).name == "my_study_2_"


def test_where_data_lie_does_not_change_what_an_evaluation_is(tmp_path: Path) -> None:
    options = 'name = "cifar10"\npath = "here"'
    text = TINY.replace('name = "digits"', options)
    texts = (text, text.replace("here", "there"), text.replace('"here"', '"here"\nvalidation = 1'))
    here, there, other = (
        load_definition(_write(tmp_path, t)).fingerprint("binary", "hash") for t in texts
    )
    assert here == there
    assert here != other


DIGITS = shipped()["digits"].read_text()
HOSTILE = {
    "deep arrays": ("x = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    "deep tables": (f"[{'.'.join('a' * 5000)}]", "fault|nested too deeply"),
    "an integer of 5,000 digits": (f"x = {'9' * 5000}", "digits"),
    "400 digits": (DIGITS.replace("generations = ", "generations = 9" + "9" * 400), "generations"),
    "a width": (
        re.sub("base_width = .*", f"base_width = {10**18}", DIGITS),
        "base_width",
    ),
    "a ratio": (re.sub("ratios = .*", "ratios = [1, 1e300]", DIGITS), "ratios"),
    "infinity": (re.sub("ratios = .*", "ratios = [1, inf]", DIGITS), "ratios"),
    "not a number": (re.sub("learning_rate = .*", "learning_rate = nan", DIGITS), "learning_rate"),
    "an epoch": (re.sub("(?m)^epochs = .*", "epochs = 99999999999999999999", DIGITS), "epochs"),
    "a seed": (re.sub("(?m)^seed = .*", "seed = -1", DIGITS), "seed"),
    "a key that steers": (DIGITS + '\n["\\u001b[2J\\nx"]\n', r"\\x1b\[2J\\nx: unknown key"),
    "no text": ("\0\0\0", "not valid TOML"),
}


@pytest.mark.parametrize("lie", HOSTILE)
def test_a_hostile_definition_is_refused_in_clear_lines(tmp_path: Path, lie: str) -> None:
    text, told = HOSTILE[lie]
    path = tmp_path / "hostile.toml"
    path.write_text(text)
    with pytest.raises(DefinitionError, match=told) as error:
        load_definition(str(path))
    assert len(str(error.value)) < 2000
    assert str(error.value).replace("\n", "").isprintable()


@pytest.mark.timeout(20)
def test_what_is_no_file_is_no_definition(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for name in ("", "/dev/zero", str(tmp_path / "pipe.toml"), "x" * 5000, "a\0b", str(tmp_path)):
        with pytest.raises(DefinitionError, match=r"(definition|no file) .*expected one of"):
            load_definition(name)


def test_a_network_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_text(re.sub("base_width = .*", "base_width = 65536", DIGITS))
    with pytest.raises(DefinitionError, match="the widest network of the space cannot be built: "):
        load_definition(str(path))
