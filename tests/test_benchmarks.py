from __future__ import annotations

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY
from tests.driving import FINAL
from tests.fork_server import PYTHON

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.mark.slow
def test_training_measures_both_systems_on_one_network() -> None:
    small = ["--base-width", "2", "--image", "8,1,10", "--batch-size", "8", "--steps", "2"]
    done = subprocess.run(
        [PYTHON, BENCHMARKS / "training.py", *small, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(done.stdout)
    assert set(document) == {"benchmark", "settings", "machine", "rows"}
    found = {(row["system"], row["metric"]): row for row in document["rows"]}
    assert set(found) == {
        ("moo-bnas", "images_per_second"),
        ("usual", "images_per_second"),
        ("moo-bnas", "times_the_usual_loop"),
        ("moo-bnas", "peak_share"),
    }
    for row in found.values():
        low, high = row["spread"]
        assert 0 <= low <= row["value"] <= high  # a tiny share of the peak rounds to 0


@pytest.mark.slow
def test_inference_measures_all_systems_on_one_network() -> None:
    small = ["--base-width", "2", "--size", "8", "--rounds", "1", "--batches", "2"]
    done = subprocess.run(
        [PYTHON, BENCHMARKS / "inference.py", *small, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(done.stdout)
    assert set(document) == {"benchmark", "settings", "machine", "rows"}
    assert document["machine"]["kernels"]
    found = {(row["system"], row["metric"]): row["value"] for row in document["rows"]}
    for system in ("numba", "onnxruntime fp32", "onnxruntime int8", "torch fp32"):
        assert found[system, "ms_per_image"] > 0
    assert found["numba", "times_as_fast_as onnxruntime fp32"] == pytest.approx(
        found["onnxruntime fp32", "ms_per_image"] / found["numba", "ms_per_image"], rel=0.1
    )
    assert 0 <= found["numba", "peak_share"] <= 1
    assert ("c", "ms_per_image") in found or "gcc is not installed" in done.stderr


def test_the_usual_layers_compute_the_same() -> None:
    # Layer by layer: in a whole network a value on a threshold may fall to either side.
    code = (
        "import sys, torch; sys.path.insert(0, sys.argv[1])\n"
        "from usual_loop import usual_network, build\n"
        "from moo_bnas.networks import make_network\n"
        "from moo_bnas.networks.layers import ImageShape\n"
        "net = make_network('vgg_small', ImageShape(8, 1, 10), base_width=4)\n"
        "specs = net.layers(net.base_widths, 'binary')\n"
        "torch.manual_seed(0); ours = build(specs).double()\n"
        "torch.manual_seed(0); theirs = usual_network(specs).double()\n"
        "def run(network, names, x):\n"
        "    x = x.clone().requires_grad_()\n"
        "    y = x\n"
        "    for name in names: y = network.layers[name](y)\n"
        "    y.square().sum().backward()\n"
        "    return y, x.grad, network.layers[names[-1]].weight.grad\n"
        "for names, channels in ((['conv1'], 1), (['act1', 'conv2'], 4), (['act2', 'conv3'], 4)):\n"
        "    x = torch.randn(4, channels, 8, 8, dtype=torch.double)\n"
        "    for a, b in zip(run(ours, names, x), run(theirs, names, x), strict=True):\n"
        "        torch.testing.assert_close(a, b)\n"
    )
    subprocess.run([PYTHON, "-c", code, str(BENCHMARKS)], check=True)


def _search_quality(table: Path, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [PYTHON, BENCHMARKS / "search_quality.py", "--table", table, "--json", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _small_table(path: Path, second_gene: int = 4) -> Path:
    """3 x 4 networks with values 0, 2, 5 and 1..4, or with more values of the second gene."""
    lines = ["g0,g1,flops,acc,acc1,acc2"]
    for i, first in enumerate((0, 2, 5)):
        for j, second in enumerate(range(1, second_gene + 1)):
            accuracy = 50 + 10 * i + 3 * j
            lines.append(f"{first},{second},{10 + 8 * i + 5 * j},{accuracy},{accuracy},{accuracy}")
    path.write_text("\n".join(lines))
    return path


def test_search_quality_scores_systems_that_find_everything(tmp_path: Path) -> None:
    systems = ("moo-bnas", "moo-bnas without a model", "random", "optuna NSGAIISampler")
    document = _search_quality(
        _small_table(tmp_path / "table.csv"),
        *("--seeds", "2", "--budget", "12", "--raw", "40", "--systems", *systems),
    )
    assert document["benchmark"] == "search_quality"
    assert document["settings"]["table"] == "table"
    found = {(row["system"], row["metric"]): row for row in document["rows"]}
    for system in systems[:3]:
        # All 12 networks are evaluated: the whole front and the best fitness are found.
        assert found[system, "hypervolume@12"]["value"] == pytest.approx(1)
        assert found[system, "front_share@12"]["value"] == 1
        assert found[system, "regret@12"]["value"] == 0
        assert found[system, "repeats"]["value"] == 0
        assert found[system, "hypervolume@12"]["spread"] == pytest.approx(0)
    assert found["optuna NSGAIISampler", "repeats"]["value"] > 0
    assert (
        found["moo-bnas", "evaluations_reached_hypervolume_of_optuna_NSGAIISampler"]["value"] == 1
    )


def test_search_quality_runs_the_other_peers(tmp_path: Path) -> None:
    systems = ("optuna TPESampler", "pymoo", "pymoo, eta 3")
    document = _search_quality(
        _small_table(tmp_path / "table.csv"),
        *("--seeds", "1", "--budget", "4", "--raw", "4", "--systems", *systems),
    )
    found = {(row["system"], row["metric"]): row["value"] for row in document["rows"]}
    for system in systems:
        assert 0 < found[system, "hypervolume@4"] <= 1 + 1e-9
        assert found[system, "regret@4"] >= 0


def test_search_quality_runs_botorch_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("botorch", reason="botorch is not installed")
    # 8 of 24 networks are left after the 16 random ones: it proposes each of them once.
    table = _small_table(tmp_path / "table.csv", second_gene=8)
    document = _search_quality(
        table, *("--seeds", "1", "--budget", "24", "--systems", "botorch qLogNEHVI")
    )
    found = {row["metric"]: row["value"] for row in document["rows"]}
    assert found["hypervolume@24"] == pytest.approx(1)
    assert found["repeats"] == 0
    assert not any("regret" in metric for metric in found)  # Pareto mode only


@pytest.mark.skipif(find_spec("botorch") is not None, reason="botorch is installed")
def test_search_quality_says_that_botorch_is_missing(tmp_path: Path) -> None:
    table = _small_table(tmp_path / "table.csv")
    done = subprocess.run(
        [
            *(PYTHON, BENCHMARKS / "search_quality.py", "--table", table),
            *("--systems", "botorch qLogNEHVI"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "botorch qLogNEHVI needs the package botorch: pip install botorch" in done.stderr


def test_search_quality_hands_back_by_the_estimate_too(tmp_path: Path) -> None:
    document = _search_quality(
        _small_table(tmp_path / "table.csv"),
        *("--seeds", "1", "--budget", "10", "--systems", "moo-bnas", "--modes", "pareto"),
        *("--signal", "acc1", "--truth", "acc"),
    )
    found = {row["metric"]: row["value"] for row in document["rows"]}
    assert 0 < found["estimated_hypervolume@10"] <= 1 + 1e-9
    assert found["optimism@10"] == 0  # the signal is the truth here


def test_the_hypervolume_of_a_table_is_the_one_found_by_hand() -> None:
    # Costs 0..10, accuracies 50..60: front (0, 50), (5, 58), (10, 60); the others are dominated.
    # With x and y from 0 to 1, y downwards: points (0, 1), (.5, .2), (1, 0), reference (1.1, 1.1):
    # .5 * .1 + .5 * .9 + .1 * 1.1 = .61. Without the middle: .1 * 1 + .1 * 1.1 = .21.
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np\n"
        "from tables import Truth\n"
        "truth = Truth(np.array([50., 58., 60., 49., 57.]), np.array([0., 5., 10., 1., 6.]))\n"
        "assert truth.front.tolist() == [0, 1, 2]\n"
        "assert abs(truth.hypervolume(np.arange(5)) - 1) < 1e-12\n"
        "assert abs(truth.hypervolume(np.array([0, 2, 3])) - .21 / .61) < 1e-12\n"
        "assert abs(truth.front_share(np.array([2, 3])) - 1 / 3) < 1e-12\n"
        "assert abs(truth.regret(2) - (58 - 4 * .5 - (60 - 4))) < 1e-12\n"
        "assert abs(truth.regret(4) - (56 - (57 - 4 * .6))) < 1e-12\n"
    )
    subprocess.run([PYTHON, "-c", code, str(BENCHMARKS)], check=True)


def test_search_quality_refuses_a_table_with_a_missing_row(tmp_path: Path) -> None:
    table = _small_table(tmp_path / "table.csv")
    table.write_text("\n".join(table.read_text().splitlines()[:-1]))
    done = subprocess.run(
        [PYTHON, BENCHMARKS / "search_quality.py", "--table", table],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "has 11 rows, expected each of the 12 combinations" in done.stderr


def test_a_simulated_fleet_without_waiting_is_busy_all_the_time(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(PYTHON, BENCHMARKS / "fleet.py", "--json", "--seeds", "1", "--workers", "3"),
            *("--table", _small_table(tmp_path / "table.csv"), "--evaluations", "8"),
            *("--population", "3", "--stragglers", "0", "--failures", "0", "--uneven", "0"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(done.stdout)
    assert document["benchmark"] == "fleet"
    found = {(row["system"], row["metric"]): row["value"] for row in document["rows"]}
    assert found["moo-bnas steady", "utilisation"] == pytest.approx(1)
    assert 0 < found["moo-bnas barrier", "utilisation"] < 1
    assert found["moo-bnas barrier", "share_of_barrier_hours"] <= 1


@pytest.mark.slow
def test_networks_that_are_handed_out_are_trained_again(tiny_path: Path) -> None:
    few = ["--searches", "1", "--candidates", "12", "--seeds", "2", "--budgets", "1"]
    done = subprocess.run(
        [PYTHON, BENCHMARKS / "handed_out.py", "--definition", tiny_path, *few, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(done.stdout)
    found = {(row["system"], row["metric"]): row["value"] for row in document["rows"]}
    for system in ("estimate", "measured"):
        ahead = found[system, "test@1"] - found[system, "uniform_test@1"]
        assert found[system, "ahead@1"] == pytest.approx(ahead, abs=0.002)
        (handed_out,) = document["settings"]["handed_out"][f"{system}@1"]
        assert len(handed_out) == 6
        assert set(handed_out) <= {0.25, 0.5, 1, 2}
    assert found["estimate", "uniform_test@1"] == found["measured", "uniform_test@1"]


@pytest.mark.slow
def test_networks_chosen_among_a_few_are_trained_to_the_end_and_kept(tiny_path: Path) -> None:
    parent = '[parent]\nrule = "sandwich"\nepochs = 1\nbatch_size = 128\nlearning_rate = 0.2\n'
    only_scored = TINY.replace("[recipe]", parent + "[recipe]", 1)
    before, recipe, after = only_scored.partition("[recipe]")
    final = "[final]\nepochs = 2\nbatch_size = 128\nlearning_rate = 0.2\n"
    tiny_path.write_text(before + recipe + after.replace("epochs = 1", "epochs = 0", 1) + final)
    kept, script = tiny_path.parent / "kept", BENCHMARKS / "handed_out.py"
    command: list[str | Path] = [PYTHON, script, "--definition", tiny_path, "--keep", kept]
    command += ["--recipe", "final", "--final-epochs", "1", "--seeds", "2", "--json"]
    command += ["--searches", "1", "--candidates", "16", "--budgets", "1", "0.5*2"]
    command += ["--by", "estimate", "confirmed", "--shortlist", "2"]
    first, again = (
        subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2)
    )
    assert "." in first.stderr
    assert "." not in again.stderr  # nothing was trained again
    document = json.loads(again.stdout)
    assert document["networks"] == json.loads(first.stdout)["networks"]
    found = {(row["system"], row["metric"]): row["value"] for row in document["rows"]}
    assert found["parent", "seconds"] > 0
    flops = {tuple(n["ratios"]): n["flops"] for n in document["networks"]}
    assert all(len(n["test"]) == 2 for n in document["networks"])
    for system in ("estimate", "confirmed"):
        (within,) = document["settings"]["handed_out"][f"{system}@0.5*2"]
        assert flops[tuple(within)] <= flops[(2,) * 6] / 2
        ahead = found[system, "test@0.5*2"] - found[system, "uniform_test@0.5*2"]
        assert found[system, "ahead@0.5*2"] == pytest.approx(ahead, abs=0.002)


@pytest.mark.slow
def test_widths_and_bits_are_measured_beside_widths_alone(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    space = TINY.replace("[0.25, 0.5, 1, 2]", "[0.5, 1, 2]\nactivation_bits = [1, 2]")
    path.write_text(space + FINAL)
    script = [PYTHON, str(BENCHMARKS / "bits.py"), "--definition", str(path), "--json"]
    few = ["--candidates", "6", "--seeds", "2"]
    done = subprocess.run([*script, *few], capture_output=True, text=True, check=True)
    found = {(r["system"], r["metric"]): r["value"] for r in json.loads(done.stdout)["rows"]}
    for metric in ("hypervolume", "1x", "2x"):
        ahead = found["bits", metric] - found["widths", metric]
        assert found["bits - widths", metric] == pytest.approx(ahead, abs=0.0002)
    assert 0 <= found["bits", "2x share_of_2_bits"] <= 1
    assert 0 < found["uniform", "1x, 2 bits"] < 100


@pytest.mark.slow
def test_fronts_are_trained_again(tmp_path: Path, tiny_path: Path) -> None:
    few = ["--searches", "2", "--candidates", "12", "--redraws", "2", "--keep"]
    kept_in = tmp_path / "kept"
    script = [
        PYTHON,
        str(BENCHMARKS / "fronts.py"),
        "--definition",
        str(tiny_path),
        "--json",
    ]
    done = subprocess.run([*script, *few, str(kept_in)], capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    found = {(row["system"], row["metric"]): row["value"] for row in document["rows"]}
    for system in ("gp", "gp, half"):
        for metric in ("hypervolume", "area"):
            ahead = found[system, metric] - found["none", metric]
            assert found[system, f"{metric}_ahead"] == pytest.approx(ahead, abs=0.0002)
    assert 0 <= found["gp", "knee_same"] <= found["gp", "knee_kept"] <= 1
    # Every network that was trained again, twice, and those that the searches trained.
    kept = len(list(kept_in.glob("*.json")))
    assert kept > 2 * document["settings"]["trained_again"]


@pytest.mark.slow
def test_ranking_keeps_training_runs_and_prints_every_way(tmp_path: Path) -> None:
    text = (BENCHMARKS.parent / "studies" / "digits_inherited.toml").read_text()
    path = tmp_path / "small.toml"
    path.write_text(text.replace("base_width = 8", "base_width = 4"))
    arguments = "--architectures 3 --long 2 --long-seeds 1 --plain 1 --sandwich 1 --parents 2"
    more = "--epochs 0 1 --scratch 1 --seeds 2 --candidates 10 --json"
    script = [PYTHON, str(BENCHMARKS / "ranking.py"), "--definition", str(path)]
    command = [*script, *arguments.split(), *more.split(), "--keep", str(tmp_path / "kept")]
    first, again = (
        subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2)
    )
    assert "." in first.stderr
    assert again.stdout == first.stdout  # with the seconds of the first time
    assert "." not in again.stderr
    document = json.loads(first.stdout)
    assert document["settings"]["definition"] == "small"
    found = {(row["system"], row["metric"]): row["value"] for row in document["rows"]}
    parents = [f"{rule} parent, 1 epochs" for rule in ("plain", "sandwich")]
    ways = [f"{parent}; {epochs} epochs" for parent in parents for epochs in (0, 1)]
    for way in (*ways, "from scratch; 1 epochs"):
        assert -1 <= found[way, "kendall_tau"] <= 1
        assert found[way, "seed_sd"] >= 0
    for parent in parents:  # a tenth of the parent's seconds, and its own
        assert found[f"{parent}; 0 epochs", "seconds"] > found[parent, "seconds"] / 10


@pytest.mark.slow
def test_binarizers_are_compared_with_dorefa() -> None:
    small = ["--architectures", "1", "--epochs", "1", "--seeds", "2", "--rounds", "2"]
    small += ["--learning-rates", "0.01", "--binarizers", "reste", "dorefa"]
    done = subprocess.run(
        [PYTHON, BENCHMARKS / "binarizers.py", "--json", *small],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = {(row["system"], row["metric"]): row for row in json.loads(done.stdout)["rows"]}
    metrics = ("accuracy", "seed_sd", "epoch_cost", "step_cost")
    assert set(rows) == {(name, metric) for name in ("reste", "dorefa") for metric in metrics}
    assert rows["dorefa", "step_cost"]["value"] == 1
    assert rows["reste", "accuracy"]["learning_rate"] == 0.01
    assert all(
        low <= row["value"] <= high for row in rows.values() for low, high in [row["spread"]]
    )


def test_scheduling_times_a_run_that_trains_nothing() -> None:
    few = [
        "--prefill",
        "32",
        "--population",
        "16",
        "--evaluations",
        "16",
        "--peer-evaluations",
        "0",
    ]
    done = subprocess.run(
        [PYTHON, BENCHMARKS / "scheduling.py", "--storage", "sqlite", "--json", *few],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["metric"]: row["value"] for row in json.loads(done.stdout)["rows"]}
    assert rows["ms_per_evaluation"] > 0
    assert rows["connections_per_evaluation@32"] == 0
