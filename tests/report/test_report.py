from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from moo_bnas.definition import Definition
from moo_bnas.driver import Driver
from moo_bnas.errors import DefinitionError, StorageError
from moo_bnas.evolution import Mode
from moo_bnas.local_workers import LocalWorkers
from moo_bnas.networks.layers import Precision
from moo_bnas.report import Point, Report, as_csv, as_table, collect, write
from moo_bnas.report.page import figure, hover, page
from moo_bnas.run import open_run
from moo_bnas.storage import Storage
from tests.fakes import fake_worker


def _point(
    trial: int, accuracy: float, flops: float, kind: str = "search", precision: Precision = "binary"
) -> Point:
    return Point(
        trial=trial,
        kind=kind,
        precision=precision,
        ratios=(1.0, 0.5),
        widths=(8, 4),
        accuracy=accuracy,
        flops=flops,
        memory_bits=2048,
        fitness=accuracy - flops / 1000,
        on_front=kind == "search" and trial != 2,
    )


@pytest.fixture
def report(tiny: Definition) -> Report:
    points = (
        _point(0, 50.0, 1000.0),
        _point(1, 90.0, 2000.0),
        _point(2, 80.0, 3000.0),
        _point(3, 91.0, 9000.0),
        _point(0, 70.0, 2500.0, "baseline"),
        _point(1, 95.0, 90000.0, "baseline", "full"),
    )
    return Report("s", "pareto", tiny, points, 1, knee=points[1], best=points[1])


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_a_report_is_read_from_the_storage_alone(
    storage_url: str, tmp_path: Path, tiny: Definition, mode: Mode
) -> None:
    run = open_run(storage_url, "s", tiny, mode, 0)
    storage = run.storage
    with pytest.raises(StorageError, match="study 's' has no finished candidate yet"):
        collect(storage, "s")
    with fake_worker(storage_url, "s"):
        Driver(
            run,
            LocalWorkers(storage_url, "s", [], 10, tmp_path, tmp_path),
            lambda _: None,
            lambda: None,
        ).drive()
    report = collect(Storage(storage_url), "s")
    search = [p for p in report.points if p.kind == "search"]
    assert [p.ratios for p in search] == sorted(p.ratios for p in search)
    dominated = {
        p.trial
        for p in search
        for q in search
        if q.accuracy >= p.accuracy
        and q.flops <= p.flops
        and (q.accuracy, q.flops) != (p.accuracy, p.flops)
    }
    assert {p.trial for p in search if p.on_front} == {p.trial for p in search} - dominated
    assert [p.ratios[0] for p in report.references] == [0.25, 0.5, 1.0, 2.0, 1.0]
    assert report.references[-1].precision == "full"
    assert report.best.fitness == max(p.fitness for p in search)
    assert report.knee in report.front
    uniform = next(p for p in report.references if p.ratios[0] == 1.0)
    assert uniform.flops == tiny.reference_flops()
    assert uniform.fitness == uniform.accuracy - 4


def test_the_figure_shows_every_point_once_and_marks_what_matters(report: Report) -> None:
    traces = {t.name: t for t in figure(report).data}
    assert set(traces) == {"evaluated", "uniform widening", "full precision 1x", "front", "knee"}
    assert list(traces["evaluated"].x) == [3000.0]
    assert list(traces["front"].y) == [50.0, 90.0, 91.0]
    assert traces["front"].mode == "markers+lines"
    assert list(traces["knee"].x) == [2000.0]
    assert figure(report).layout.xaxis.type == "log"
    assert "1 failed" in figure(report).layout.title.text
    scalar = {t.name for t in figure(replace(report, mode="scalar")).data}
    assert "best fitness" in scalar


def test_hovering_tells_all_of_a_point() -> None:
    told = hover(_point(7, 91.234, 13194240.0))
    for part in ("91.23 %", "13.19 M", "2.05 kbit", "trial 7", "1, 0.5", "8, 4", "binary"):
        assert part in told


def test_the_page_needs_no_network(report: Report) -> None:
    text = page(report)
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)
    assert "<title>s: Pareto front</title>" in text


def test_a_browser_draws_the_page(report: Report, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    write(report, tmp_path)
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=20000", "--dump-dom"]
    drawn = subprocess.run(
        [*command, f"file://{tmp_path}/pareto.html"], capture_output=True, text=True, check=True
    ).stdout
    assert "s: 4 binary networks, 3 on the front" in drawn
    # One path a point: 1 evaluated, 1 uniform, 1 full, 3 on the front, 1 knee; the legend adds 5.
    assert len(re.findall(r'<path class="point', drawn)) == 7


def test_the_table_names_front_and_references(report: Report) -> None:
    lines = as_table(report).splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "network",
        "trial 0",
        "trial 1 (knee, best)",
        "trial 3",
        "uniform 1x",
        "full precision 1x",
    ]
    assert "90.00 %" in lines[2]
    assert "2.00 k" in lines[2]


def test_csv_has_a_line_for_each_point(report: Report) -> None:
    lines = as_csv(report).splitlines()
    assert lines[0].startswith("trial,kind,precision,ratios,widths,accuracy")
    assert lines[1] == "0,search,binary,1 0.5,8 4,50.0,1000.0,2048,49.0,True"
    assert len(lines) == 1 + len(report.points)


def test_files_are_replaced_whole(report: Report, tmp_path: Path) -> None:
    for _ in range(2):
        paths = write(report, tmp_path / "new" / "folder")
    assert sorted(p.name for p in paths) == ["pareto.csv", "pareto.html", "pareto.json"]
    assert sorted((tmp_path / "new" / "folder").iterdir()) == sorted(paths)


def test_an_unwritable_folder_is_told(report: Report) -> None:
    with pytest.raises(DefinitionError, match="cannot write to the output folder /proc/nope"):
        write(report, Path("/proc/nope"))
