"""What all commands have in common: --help, wrong input, --debug."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from moo_bnas.cli import cli as commands
from moo_bnas.cli.groups import WORKFLOW
from tests.conftest import Cli


@pytest.mark.parametrize("command", [n for n, c in commands.commands.items() if not c.hidden])
def test_every_help_has_an_example(cli: Cli, command: str) -> None:
    done = cli(command, "--help")
    assert done.returncode == 0
    assert re.search(rf"Examples?:\n    moo-bnas {command}", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "nope"], 2, "got the definition 'nope', expected one of digits"),
        (["run", "nope.toml"], 2, "there is no file 'nope.toml'; expected one of digits"),
        (["run", "no/pe"], 2, "there is no file 'no/pe'; expected one of digits"),
        (["export", "a/b.safetensors", "--format", "packed"], 1, "cannot read a/b.safetensors: No"),
        (["run", "--mode", "both"], 2, "'both' is not one of 'scalar', 'pareto'"),
        (["run", "--max-flops", "10"], 2, "the smallest network has 1509; raise the limit"),
        (["run", "--max-memory", "10"], 2, "the limit on memory_bits is 10 bit, but"),
        (["run", "--population", "1"], 2, "1 is not in the range 2<=x"),
        (["run", "--device", "gpu"], 2, "got 'gpu', expected auto, cpu or cuda:N"),
        (["run", "--storage", "nonsense"], 1, "expected a database URL such as"),
        (["run", "--storage", "sqlite:////no/such/x.db"], 1, "does not exist; create it first"),
        (["cost", "vgg_small", "--ratios", "1,1.5,1,1,1,1"], 2, "got ratio 1.5, expected each"),
        (["cost", "vgg_small", "--ratios", "1,1"], 2, "got 2 ratios, expected 6: one each for"),
        (["cost", "vgg_small", "--ratios", "a"], 2, "expected numbers joined by commas"),
        (["cost", "lenet"], 2, "got network 'lenet', expected one of "),
        (["cost", "vgg_small", "--stem", "small"], 2, "got the option 'stem'"),
        (["cost", "vgg_small", "--base-width", "1", "--ratios", "0.5"], 2, "raise --base-width"),
        (["status"], 1, "there is no file moo-bnas.db (the storage sqlite"),
        (["report"], 1, "there is no file moo-bnas.db (the storage sqlite"),
        (["worker"], 1, "there is no file moo-bnas.db (the storage sqlite"),
        (["dashboard"], 1, "there is no file moo-bnas.db (the storage sqlite"),
        (["worker", "--stop-after", "0"], 2, "0 is not in the range 1<=x"),
        (["worker", "--max-hours", "0"], 2, "0.0 is not in the range x>0"),
        (["worker", "--heartbeat", "0"], 2, "0.0 is not in the range 0.1<=x<=600"),
        (["status", "--watch", "--json"], 2, "got --watch and --json, which prints one document"),
        (["serve"], 2, "No such command 'serve'"),
    ],
)
def test_bad_input_is_reported_in_a_line_and_loses_nothing(
    cli: Cli, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = cli(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 4
    assert not list(tmp_path.glob("*.db"))


def test_debug_shows_the_traceback(cli: Cli) -> None:
    done = cli("status", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "moo-bnas: there is no file" in done.stderr


def test_help_lists_every_command_in_the_order_of_work(cli: Cli) -> None:
    shown = cli("--help").stdout
    listed = [name for names in WORKFLOW.values() for name in names]
    visible = {name for name, command in commands.commands.items() if not command.hidden}
    assert len(listed) == len(set(listed))
    assert set(listed) == visible
    places = [shown.index(f"\n  {name} ") for name in listed]
    assert places == sorted(places)
    assert [t for t in WORKFLOW if f"\n{t}:\n" in shown] == list(WORKFLOW)
