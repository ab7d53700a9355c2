"""A network that another package brings, from its installation to a search."""

from __future__ import annotations

import json
import shutil
import sys
from importlib.metadata import EntryPoints
from pathlib import Path

import pytest

from moo_bnas import plugins
from moo_bnas.definition import load_definition, stored_definition
from moo_bnas.driver.run import open_run
from moo_bnas.errors import DefinitionError
from moo_bnas.storage import Storage
from tests.conftest import TINY, Cli

OWN = TINY.replace('name = "vgg_small"', 'name = "two_convs"\ntemperature = 2.0').replace(
    "epochs = 1", "epochs = 6"
)


@pytest.mark.slow
def test_an_installed_network_is_searched(
    installed: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    ran = cli("run", path, "--workers", "1", "--generations", "2", PYTHONPATH=str(installed))
    assert ran.returncode == 0, ran.stderr
    points = json.loads((tmp_path / "runs/own-pareto-s0/pareto.json").read_text())["points"]
    found = [p for p in points if p["kind"] == "search"]
    assert len(found) == 12
    # by hand, all at ratio 1: conv1 9*4, conv2 9*4*4/64 on 8x8 outputs, linear 4*10
    (one,) = (
        p
        for p in points
        if p["ratios"] == [1, 1] and p["kind"] == "baseline" and p["precision"] == "binary"
    )
    assert one["flops"] == 64 * (36 + 144 / 64) + 40
    assert max(p["accuracy"] for p in points) > 14  # guessing gives 10

    # Another version of its package is refused, before it trains anything.
    upgraded = shutil.copytree(installed, tmp_path / "upgraded")
    with (upgraded / "own_network.py").open("a") as source:
        source.write("\n# another version\n")
    refused = cli("worker", PYTHONPATH=str(upgraded))
    assert refused.returncode == 2
    assert "'own-pareto-s0' has another version of its network than" in refused.stderr

    stored = Storage(f"sqlite:///{tmp_path}/moo-bnas.db").studies.open("own-pareto-s0")
    monkeypatch.setattr(plugins, "entry_points", lambda group: EntryPoints())
    with pytest.raises(DefinitionError, match="'two_convs'.*install the package that provides it"):
        stored_definition(stored.attributes["definition"])  # as a worker without it does


def test_its_costs_are_shown_too(installed: Path, cli: Cli) -> None:
    told = cli("cost", "two_convs", "--json", PYTHONPATH=str(installed))
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["widths"] == [4, 4]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"two_convs"', '"three_convs"', "got network 'three_convs', expected one of "),
        ("temperature = 2.0", "heat = 2.0", "got the option 'heat', expected only base_width"),
    ],
)
def test_what_it_does_not_know_is_reported(
    installed: Path, tmp_path: Path, cli: Cli, old: str, new: str, told: str
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN.replace(old, new))
    ran = cli("run", path, PYTHONPATH=str(installed))
    assert ran.returncode == 2
    assert told in ran.stderr
    assert "two_convs" in ran.stderr


@pytest.mark.slow
def test_changed_code_is_another_network(installed: Path, tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    changed = tmp_path / "changed"
    shutil.copytree(installed, changed)
    source = changed / "own_network.py"
    source.write_text(source.read_text().replace("logits / temperature", "logits * 0"))
    size = ("--workers", "1", "--generations", "1", "--population", "2")
    for name, folder in (("one", installed), ("two", changed)):
        ran = cli("run", path, *size, "--study-name", name, PYTHONPATH=str(folder))
        assert ran.returncode == 0, ran.stderr
    assert "copied from one" not in (tmp_path / "runs/two/worker-0.log").read_text()


@pytest.mark.slow
def test_a_worker_with_another_version_of_it_is_refused(
    installed: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    changed = tmp_path / "changed"
    shutil.copytree(installed, changed)
    with (changed / "own_network.py").open("a") as source:
        source.write("\n# another version\n")
    monkeypatch.syspath_prepend(installed)
    monkeypatch.delitem(sys.modules, "own_network", raising=False)
    definition = load_definition(str(path))
    storage = Storage(f"sqlite:///{tmp_path}/moo-bnas.db", create=True)
    run = open_run(storage, "one", definition, "pareto", 0)
    storage.studies.agree_on_code(run.study, definition.code(), {})  # as the first worker does
    monkeypatch.delitem(sys.modules, "own_network", raising=False)
    joined = cli("worker", "--study-name", "one", PYTHONPATH=str(changed))
    assert joined.returncode == 2
    assert "study 'one' has another version of its network than the package" in joined.stderr
    assert len(joined.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("    def layers(", "    raise KeyError('oops')\n\n    def layers(", "KeyError: 'oops'"),
        ("(base_width, base_width)", "(base_width,)", "2 genes and 1 base widths, expected one"),
        ("return Network(", "return str(", "TypeError"),
        ("net.linear(", "net.dense(", "no attribute 'dense'"),
        ("def two_convs(", "def other(", "no attribute 'two_convs'"),
        ("GENES = (", "GENES = ((", "SyntaxError"),
    ],
)
def test_faults_of_its_package_are_reported_as_such(
    installed: Path, tmp_path: Path, cli: Cli, old: str, new: str, told: str
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    broken = tmp_path / "broken"
    shutil.copytree(installed, broken)
    source = broken / "own_network.py"
    assert old in source.read_text()
    source.write_text(source.read_text().replace(old, new))
    ran = cli("cost", "two_convs", PYTHONPATH=str(broken))
    assert ran.returncode == 2
    assert "network two_convs cannot be used: own_network raised" in ran.stderr
    assert told in ran.stderr
    assert "fix that package" in ran.stderr
