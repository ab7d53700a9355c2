"""Runs that weigh accuracy against latency, by a table that nobody measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moo_bnas.definition import Definition, load_definition, stored_definition
from moo_bnas.driver.choosing import Choice
from moo_bnas.driver.run import Run, make_search, open_run
from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.scoring import Mode
from moo_bnas.networks.cost import LayerCost
from moo_bnas.networks.latency import LATENCY
from moo_bnas.networks.latency_file import to_bytes
from moo_bnas.overrides import override, with_latency
from moo_bnas.report.files import as_csv, as_json
from moo_bnas.report.page import page
from moo_bnas.report.tables import cells, header, note, rows
from moo_bnas.report.terminal import as_table
from moo_bnas.report.trade_off import front_figure, table_figure
from moo_bnas.results.points import Report, collect
from moo_bnas.results.side_by_side import side_by_side
from moo_bnas.results.status import read_status
from moo_bnas.storage import Storage
from tests.conftest import TINY, Cli
from tests.driving import make_definition, search_driver
from tests.fakes import accuracy_of, fake_worker
from tests.latencies import fake_table


@pytest.fixture
def fast(tiny: Definition) -> Definition:
    """The tiny definition, searched by latency."""
    table = fake_table(tiny.make_network(), tiny.make_space())
    return override(with_latency(tiny, table), cost="latency")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/storage.db"


def _latency(report: Report, ratios: tuple[float, ...]) -> float:
    """By hand: 100 ns per channel that comes in, 1000 ns per one that goes out."""
    widths = [int(b * r) for b, r in zip((4, 4, 8, 8, 16, 16), ratios, strict=True)]
    into = [1, *widths]  # the last map has one pixel
    return (100 * sum(into) + 1000 * (sum(widths) + 10)) / 1e6


def _run(url: str, definition: Definition, name: str, mode: Mode = "pareto") -> Run:
    run = open_run(Storage(url, create=True), name, definition, mode, 0)
    with fake_worker(url, name):
        search_driver(run).drive()
    return run


def test_a_search_by_latency_chooses_bits_too(tmp_path: Path) -> None:
    text = TINY.replace("[0.25, 0.5, 1, 2]", "[0.25, 0.5, 1, 2]\nactivation_bits = [1, 2]")
    (tmp_path / "bits.toml").write_text(text.replace("[1, 2]\n", "[1, 2]\nshared_bits = true\n"))
    definition = load_definition(str(tmp_path / "bits.toml"))
    table = fake_table(definition.make_network(), definition.make_space())
    weighed = override(with_latency(definition, table), cost="latency")
    run = _run(f"sqlite:///{tmp_path}/storage.db", weighed, "bits")
    report = collect(run.storage, "bits")
    assert {point.ratios[-1] for point in report.search} == {1.0, 2.0}
    for point in report.search:
        *ratios, bits = point.ratios
        widths = [int(b * r) for b, r in zip((4, 4, 8, 8, 16, 16), ratios, strict=True)]
        binary = 100 * sum(widths[:-1]) + 1000 * sum(widths[1:])  # twice as long with 2 bits
        rest = 100 * (1 + widths[-1]) + 1000 * (widths[0] + 10)
        assert point.costs[LATENCY] == pytest.approx((bits * binary + rest) / 1e6)


def test_a_search_by_latency_from_its_first_trial_to_its_report(
    storage_url: str, fast: Definition, tiny: Definition
) -> None:
    by_flops = _run(storage_url, tiny, "by-flops")
    run = _run(storage_url, fast, "by-latency")
    assert run.study.metrics == ("accuracy", LATENCY)
    assert by_flops.study.metrics == ("accuracy", "flops")
    report = collect(run.storage, "by-latency")
    for point in (*report.search, *report.references):
        assert point.cost == point.costs[LATENCY] == pytest.approx(_latency(report, point.ratios))
    # NSGA-II minimised it: by latency, no point of the front is beaten by another one.
    assert [p.cost for p in report.front] == sorted(p.cost for p in report.front)
    reference = fast.reference_cost()
    assert reference == pytest.approx(_latency(report, (1.0,) * 6))
    some = report.search[3]
    assert some.fitness == max(some.accuracy - 4 * some.cost / reference, 0)

    document = json.loads(as_json(report))
    assert all(p[LATENCY] > 0 and p["flops"] > 0 for p in document["points"])
    assert LATENCY in as_csv(report).splitlines()[0]
    assert as_table(report).splitlines()[0].split()[1:6] == [
        *("accuracy", "estimate", "latency", "FLOPs", "memory"),
    ]
    assert header(report)[:5] == ("Model", "Latency", "Speedup", "FLOPs", "Memory")
    assert "Speedup: latency of full precision 1x over latency, both by one runtime" in note(report)
    drawn = front_figure(report).drawn
    assert drawn is not None
    title = drawn.layout.xaxis.title.text
    assert title.startswith("latency (ms) (")
    assert title.endswith(", fake)")
    assert table_figure(report).name == "accuracy-latency"
    shown = page(report)
    assert "At no more latency, the front is" in shown
    assert f'latency = "{fast.latency.named()}"'.replace('"', "&quot;") in shown  # type: ignore[union-attr]
    assert '"in_channels"' not in shown
    assert read_status(run.storage, "by-latency").best == report.convergence[-1].score

    choice = Choice(run.storage, run.study)
    limit = sorted(p.cost for p in report.search)[5]
    chosen = report.definition.make_space().decode(choice.within(LATENCY, limit))
    assert _latency(report, chosen) <= limit * (1 + 1e-9)
    with pytest.raises(DefinitionError, match="'by-flops' has no latency_ms, which takes a lat"):
        Choice(run.storage, by_flops.study).within(LATENCY, 1.0)


def test_evaluations_are_shared_with_runs_by_flops(
    url: str, fast: Definition, tiny: Definition
) -> None:
    for precision in ("binary", "full"):
        assert fast.fingerprint(precision, "d") == tiny.fingerprint(precision, "d")
    first = {t.genotype for t in _trials(_run(url, tiny, "by-flops"))}
    copied = {
        t.genotype: t.result.copied_from
        for t in _trials(_run(url, fast, "by-latency"))
        if t.genotype in first
    }
    assert copied  # at least the uniform networks, with which both begin
    assert all(source is not None for source in copied.values())


def _trials(run: Run) -> list:  # type: ignore[type-arg]
    return run.storage.trials.read(run.study)


def test_scalar_mode_puts_latency_into_the_place_of_flops(url: str, fast: Definition) -> None:
    run = _run(url, fast, "s", "scalar")
    one = fast.reference_cost()
    for trial in _trials(run):
        expected = max(accuracy_of(trial.genotype) - 4 * trial.costs[LATENCY] / one, 0)
        assert trial.fitness == pytest.approx(expected)


def test_a_run_resumes_with_its_own_table_only(
    url: str, fast: Definition, tiny: Definition
) -> None:
    run = open_run(Storage(url, create=True), "s", fast, "pareto", 0)
    # A worker, and whoever reads the run, have the table from the storage.
    assert stored_definition(run.study.attributes["definition"]) == fast
    assert open_run(run.storage, "s", fast, "pareto", 0).study == run.study
    other = fake_table(tiny.make_network(), tiny.make_space(), out=1001)
    with pytest.raises(DefinitionError) as caught:
        open_run(run.storage, "s", with_latency(fast, other), "pareto", 0)
    said = str(caught.value)
    assert fast.latency is not None
    assert f"latency was '{fast.latency.named()}', now '{other.named()}'" in said
    assert "--latency-table with the file that it was begun with" in said
    assert len(said) < 600
    with pytest.raises(DefinitionError, match="latency was .*, now None.*search.cost was 'latenc"):
        open_run(run.storage, "s", tiny, "pareto", 0)


def test_a_run_by_flops_is_stored_as_ever(url: str, tiny: Definition) -> None:
    run = _run(url, tiny, "s")
    assert run.study.attributes["definition"]["latency"] is None
    assert set(_trials(run)[0].costs) == {"flops", "memory_bits"}
    before = {k: v for k, v in run.study.attributes["definition"].items() if k != "latency"}
    for key in ("cost", "max_latency"):
        del before["search"][key]
    assert stored_definition(before) == tiny


def test_a_budget_of_latency(fast: Definition, tiny: Definition) -> None:
    limit = fast.reference_cost()
    assert fast.latency is not None
    for definition in (fast, with_latency(tiny, fast.latency)):  # also of a search by FLOPs
        search = make_search(override(definition, max_latency=limit), "pareto", 0)
        assert max(definition.subject().each(search.ask())[LATENCY]) <= limit
    with pytest.raises(DefinitionError, match="the limit on latency_ms is .* ms, but the smallest"):
        make_search(override(fast, max_latency=limit / 100), "pareto", 0)


def test_a_search_by_flops_with_a_table_shows_measured_speedups(url: str, fast: Definition) -> None:
    _run(url, override(fast, cost="flops"), "s")
    report = collect(Storage(url), "s")
    assert header(report)[:4] == ("Model", "FLOPs", "Speedup", "Measured speedup")
    assert "Measured speedup: latency of full precision 1x over latency" in note(report)
    row = next(r for r in rows(report) if r.model.startswith("uniform 2x"))
    twin = _latency(report, (1.0,) * 6)
    assert row.measured_speedup == pytest.approx(twin / _latency(report, (2.0,) * 6))
    assert cells(report, row)[3] == f"{row.measured_speedup:.1f}x"


def test_runs_by_different_costs_are_compared_by_each(
    url: str, fast: Definition, tiny: Definition
) -> None:
    storage = _run(url, tiny, "by-flops").storage
    _run(url, fast, "by-latency")
    reports = [collect(storage, name) for name in ("by-flops", "by-latency")]
    found = side_by_side(reports)
    assert found.differences["search.cost"] == ("flops", "latency")
    assert found.differences["latency"][0] is None
    own = found.results["hypervolume by latency"][1]
    assert own == f"{reports[1].convergence[-1].score:.4f}"
    assert found.results["hypervolume by FLOPs"][0] == f"{reports[0].convergence[-1].score:.4f}"
    # The joint front by latency, by hand: of what is on one run's front, what no other beats.
    network, cost = fast.make_network(), fast.costs()[LATENCY]
    assert isinstance(cost, LayerCost)
    joint: dict[tuple[float, ...], tuple[float, float]] = {}
    for report in reports:
        points = {p.ratios: (p.believed, cost.of(network, p.widths)) for p in report.search}
        joint = {ratios: points[ratios] for ratios in _unbeaten(points)} | joint
    counted = [int(n) for n in found.results["in the joint front by latency"]]
    assert sum(counted) == len(_unbeaten(joint))
    assert counted[1] > 0


def _unbeaten(
    points: dict[tuple[float, ...], tuple[float, float]],
) -> list[tuple[float, ...]]:
    return [
        ratios
        for ratios, (accuracy, cost) in points.items()
        if not any(
            a >= accuracy and c <= cost and (a, c) != (accuracy, cost) for a, c in points.values()
        )
    ]


def test_the_command_takes_a_table_and_refuses_what_does_not_fit(cli: Cli, tmp_path: Path) -> None:
    tiny = make_definition(tmp_path, TINY)
    network, space = tiny.make_network(), tiny.make_space()
    (tmp_path / "t.json").write_bytes(to_bytes(fake_table(network, space)))
    wider = make_definition(tmp_path, TINY.replace("base_width = 4", "base_width = 8"))
    other = fake_table(wider.make_network(), wider.make_space())
    (tmp_path / "other.json").write_bytes(to_bytes(other))
    renamed = fake_table(network, space).model_copy(update={"network": "two_convs"})
    (tmp_path / "renamed.json").write_bytes(to_bytes(renamed))
    (tmp_path / "own.toml").write_text(
        'latency = "t.json"\n' + TINY.replace("[search]", '[search]\ncost = "latency"')
    )
    make_definition(tmp_path, TINY)
    for options, message in (
        (
            ("tiny.toml", "--cost", "latency"),
            "got a search by latency, or a limit on it, without a",
        ),
        (("tiny.toml", "--max-latency", "1ms"), "a limit on it, without a latency table"),
        (("tiny.toml", "--latency-table", "none"), "cannot read the latency table none: No such"),
        (("tiny.toml", "--latency-table", "other.json"), "lacks conv1 from 1 to 1 channels"),
        (
            ("tiny.toml", "--latency-table", "renamed.json"),
            "got a latency table of two_convs for vgg_small; measure vgg_small with",
        ),
        (
            ("tiny.toml", "--latency-table", "t.json", "--set", "network.binarizer=adabin"),
            "got binarizer adabin, whose exports have other layers than the network, so that",
        ),
        (("own.toml", "--max-latency", "0.1us"), "the limit on latency_ms is 0.0001 ms, but the"),
    ):
        done = cli("run", *options)
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
