"""Every option and argument of every command, with values that make no sense."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from moo_bnas.cli import main
from moo_bnas.cli.options import Amounts
from tests.command_lines import commands
from tests.conftest import Cli

NUMBERS = (
    *("nan", "-nan", "inf", "-inf", "1e400", "-1e400", "-1", "9" * 400, "9" * 5000),
    *("", " ", "x", "0x10", "\x1b[2J", "1\n2"),
)
TEXTS = (
    *("", " ", "\0", "\x1b[2J", "a\nb", "x" * 5000, "\udcff", "../../x", "-1", "nan", "9" * 400),
    *("s3://", "s3://key:secret@bucket", "s3:bucket", "/dev/zero", "/dev/null/x", "~nobody-here/x"),
    *(f"sqlite:///{'x' * 5000}", "cuda:100", "cuda:" + "9" * 5000, "cuda:\u0663"),
)
NEEDED = {
    "cost": ["vgg_small"],
    "data": ["digits"],
    "compare": ["a", "b"],
    "delete": ["a"],
    "export": ["none.safetensors", "--format", "packed"],
    "predict": ["none.safetensors", "x.png"],
    "run": ["digits", "--workers", "0"],
    "parent": ["digits_inherited", "--workers", "0"],
}
# A value may make sense where it names a place, or is not used by this command line.
SENSIBLE = {("data", "data_root")}


def _is_number(parameter: click.Parameter) -> bool:
    return isinstance(
        parameter.type,
        click.IntRange | click.FloatRange | click.types.IntParamType | click.types.FloatParamType,
    )


def _cases() -> list[tuple[str, click.Parameter]]:
    return [
        (name, parameter)
        for name, command in commands().items()
        for parameter in command.params
        if not (isinstance(parameter, click.Option) and parameter.is_flag)
    ]


def _line(name: str, parameter: click.Parameter, value: str) -> list[str]:
    """A command line with this value, which reaches no database that could be used."""
    needed = list(NEEDED.get(name, []))
    if isinstance(parameter, click.Option):
        needed.append(f"{parameter.opts[0]}={value}")
    else:
        names = [p.name for p in commands()[name].params if isinstance(p, click.Argument)]
        place = names.index(parameter.name)
        needed[place : place + 1] = ["--", value] if place == len(names) - 1 else [value]
        if needed[-2:] != ["--", value] and "--" in needed:  # options stand before it
            at = needed.index("--")
            needed = [*needed[at + 2 :], *needed[:at], *needed[at : at + 2]]
    takes_storage = any(p.name == "storage_url" for p in commands()[name].params)
    if takes_storage and parameter.name != "storage_url":
        needed = ["--storage", "sqlite:////dev/null/none.db", *needed]
    return [*name.split(), *needed]


@pytest.mark.parametrize(
    ("name", "parameter"), _cases(), ids=lambda each: each if isinstance(each, str) else each.name
)
def test_a_value_that_makes_no_sense_gets_a_clear_line(
    name: str,
    parameter: click.Parameter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("MOO_BNAS_STORAGE", "MOO_BNAS_DATA", "MOO_BNAS_ARTIFACTS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("moo_bnas.cli.hide_from_ps", lambda: None)  # starts itself again
    for value in NUMBERS if _is_number(parameter) else TEXTS:
        monkeypatch.setattr("sys.argv", ["moo-bnas", *_line(name, parameter, value)])
        with pytest.raises(SystemExit) if (name, parameter.name) not in SENSIBLE else _Either():
            main()
        out, err = capsys.readouterr()
        told = f"{name} {parameter.name} {value!r:.60}: {err:.500}"
        assert "unexpected" not in err, told
        assert "Traceback" not in err, told
        assert parameter.name != "artifacts_url" or "secret" not in err, told
        assert (out + err).replace("\n", "").isprintable(), told
        assert all(len(line) < 1100 for line in err.split("\n")), told
        if _is_number(parameter):
            assert "Usage: " in err, told  # it is refused for itself, and not for the storage
            assert f"'{parameter.opts[0]}'" in err, told
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


class _Either:
    def __enter__(self) -> None: ...
    def __exit__(self, *told: object) -> bool:
        return told[0] is None or told[0] is SystemExit


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        *(("40000", 40000), ("1e6", 1e6), ("40k", 40e3), ("1.5M", 1.5e6), ("2 G", 2e9)),
        *(("40kbit", 40e3), ("7.3 Mbits", 7.3e6), ("5kB", 40e3), ("3bit", 3), ("1e2k", 1e5)),
    ],
)
def test_amounts_have_prefixes_and_units(text: str, amount: float) -> None:
    found = Amounts({"bit": 1, "B": 8}).convert(text, None, None)
    assert found == pytest.approx(amount)


@pytest.mark.parametrize("text", ["40x", "k", "40kk", "1..2", "0", "-3k", "40kFLOPs", "nan", ""])
def test_other_amounts_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Amounts({"bit": 1, "B": 8}).convert(text, None, None)


def test_a_gpu_that_is_not_there_is_refused_at_once(cli: Cli, tmp_path: Path) -> None:
    for command in (["run"], ["parent"], ["run", "--dry-run", "--workers", "0"]):
        done = cli(*command, "--device", "cuda:99")
        assert done.returncode == 2
        assert "got --device cuda:99, but this machine has" in done.stderr
        assert done.stderr.count("\n") == 1
    # It took 75 seconds, of workers that died in a row: they would have left logs.
    assert list(tmp_path.iterdir()) == []
