from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from moo_bnas.definition import load_definition, parse_definition
from moo_bnas.report.page import as_toml, page, pareto_page
from moo_bnas.results.points import Report
from moo_bnas.results.provenance import Trainings
from tests.browser import look

KNEE = "binary 0.25 2 0.25 0.5 2 0.5"
CHOSEN = "document.querySelector('tr.chosen')"
FRONT = "document.querySelector('[data-figure=data-front]')"


@pytest.mark.parametrize("make", [page, pareto_page])
def test_a_page_needs_no_network(make: Callable[[Report], str], report: Report) -> None:
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", make(report))


def test_the_page_says_what_there_is(report: Report) -> None:
    text = page(report).partition("<script>")[0]
    assert "<title>s: report</title>" in text
    assert "trial 1 (knee, best) reaches 92.50 % and uniform 2x 93.00 % of the test" in text
    assert "4 of up to 18 candidates evaluated, 1 failed, 4 networks finally trained" in text
    for title in ("The front", "Networks", "Convergence", "Channels per layer", "How it was made"):
        assert re.search(f"<h2[^>]*>{title}</h2>", text)
    assert '<th scope="row">trial 1 (knee, best)</th><td>1.07 k</td><td>37.5x</td>' in text
    assert "python 3.11.7, moo-bnas 0.1.0" in text
    assert "2026-01-02 03:04 UTC" in text
    assert "2 h 03 min" in text
    assert "1 of the search from other" in text
    assert "from the references of this run" not in text
    assert (
        "To fill the empty cells of Final top-1 and top-5: moo-bnas train --study-name s --best "
        "(or --knee, --trial N); moo-bnas baseline --study-name s."
    ) in text
    assert "milestones = [60, 120]" in text


def test_what_others_have_written_stays_text(report: Report) -> None:
    text = page(replace(report, study="</script><b>s"))
    assert "<b>s" not in text
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in text
    assert "NVIDIA &lt;H100&gt;" in text
    assert "<title>&lt;b&gt;" in pareto_page(replace(report, study="<b>"))
    data = re.findall(r'<script type="application/json" id="data-[^>]*>(.*?)</script>', text)
    assert len(data) == 5  # there are too few candidates for importances
    assert not any("<" in each for each in data)


@pytest.mark.parametrize("name", ["digits", "resnet18_imagenet"])
def test_a_definition_is_shown_as_toml_that_can_be_read_again(name: str) -> None:
    definition = load_definition(name)
    values = tomllib.loads(as_toml(definition.model_dump(mode="json")))
    assert parse_definition(values, "shown") == definition


def test_a_browser_draws_the_page_on_a_phone_and_in_the_dark(
    report: Report, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(page(report), encoding="utf-8")
    questions = [
        "document.querySelectorAll('details').forEach((each) => { each.open = true; })",
        "document.documentElement.scrollWidth",
        "document.querySelectorAll('.plot .main-svg .xaxislayer-above').length",
        f"{FRONT}.querySelectorAll('.point').length",
        f"getComputedStyle({FRONT}.querySelector('.xtitle')).fill",
        "getComputedStyle(document.body).backgroundColor",
        "document.querySelectorAll('tr[data-network]')[4].click()",
        f"{CHOSEN}.querySelector('th').textContent",
        f"{FRONT}.querySelector('.hoverlayer').textContent.includes('93.00 % on test images')",
        f"{FRONT}.emit('plotly_click', {{points: [{{customdata: '{KNEE}'}}]}})",
        f"{CHOSEN}.querySelector('th').textContent",
    ]
    light, dark = look(path, questions, [(390, "light"), (1280, "dark")])
    assert (light.complaints, light.requests) == ([], [])
    # 4 finally trained, 1 evaluated, 3 uniform, 1 full precision, 3 on the front, knee, best; and
    # 5 figures.
    assert light.answers[1:6] == [390, 5, 14, "rgb(36, 41, 47)", "rgb(255, 255, 255)"]
    assert (dark.complaints, dark.requests) == ([], [])
    assert dark.answers[2:6] == [5, 14, "rgb(230, 232, 234)", "rgb(20, 24, 28)"]
    # A click on the row of uniform 2x shows its points; a click on a point shows its row.
    assert dark.answers[7:9] == ["uniform 2x", True]
    assert dark.answers[10] == "trial 1 (knee, best)"
    assert dark.answers[1] <= 1280


def test_what_a_run_copied_from_itself_is_said_so(report: Report) -> None:
    search = Trainings("search", 1, {"references": 2, "s2": 1}, 1.0, {}, {}, 0)
    references = Trainings("references", 2, {}, 1.0, {}, {}, 0)
    made = replace(report.making, trainings=(search, references))
    text = page(replace(report, making=made))
    assert "2 of the search from the references of this run, 1 of the search from s2" in text


def test_a_browser_draws_the_front_alone_on_a_phone_and_in_the_dark(
    report: Report, tmp_path: Path
) -> None:
    path = tmp_path / "pareto.html"
    path.write_text(pareto_page(report), encoding="utf-8")
    questions = [
        "document.documentElement.scrollWidth",
        f"getComputedStyle({FRONT}.querySelector('.xtitle')).fill",
        "getComputedStyle(document.body).backgroundColor",
        f"{FRONT}.querySelector('.legend').getBoundingClientRect().right <= innerWidth",
        "document.querySelector('h1').getBoundingClientRect().right <= innerWidth",
    ]
    phone, dark = look(path, questions, [(390, "light"), (390, "dark")])
    assert (phone.complaints, phone.requests) == ([], [])
    assert phone.answers == [390, "rgb(36, 41, 47)", "rgb(255, 255, 255)", True, True]
    assert dark.answers == [390, "rgb(230, 232, 234)", "rgb(20, 24, 28)", True, True]


def test_a_browser_draws_the_front_alone(report: Report, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    (tmp_path / "pareto.html").write_text(pareto_page(report), encoding="utf-8")
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=20000", "--dump-dom"]
    drawn = subprocess.run(
        [*command, f"file://{tmp_path}/pareto.html"], capture_output=True, text=True, check=True
    ).stdout
    assert "s: 4 binary networks, 3 on the front" in drawn
    # One path per point: 4 finally trained, 1 evaluated, 3 uniform, 1 full precision, 3 on the
    # front, knee, best.
    assert len(re.findall(r'<path class="point', drawn)) == 14
