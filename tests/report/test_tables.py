from __future__ import annotations

import csv
import io
from dataclasses import replace

from moo_bnas.report.tables import as_markdown, as_table_csv, as_tex, rows
from moo_bnas.report.terminal import as_table
from moo_bnas.results.points import Report
from moo_bnas.results.repeats import Confirmed

DASH = "\N{EN DASH}"


def test_references_come_first_then_what_is_marked_or_finally_trained(report: Report) -> None:
    listed = rows(report)
    assert [(r.model, r.search_top1, r.final_top1, r.final_top5) for r in listed] == [
        ("full precision 1x", 95.0, 96.0, 99.5),
        ("uniform 0.25x", 50.0, None, None),
        ("uniform 0.5x", None, None, None),
        ("uniform 1x", 70.0, None, None),
        ("uniform 2x", 90.4, 93.0, None),
        ("trial 1 (knee, best)", 90.0, 92.5, 99.25),
        ("trial 3 (most accurate)", 91.0, None, None),
        ("ratios 2 1 1 1 1 1", None, 91.125, 99.0),
    ]
    # By hand: conv 1 (9 + 1) * 4 * 64; binary ones (9 * in + 1) * out * pixels / 64, on maps of
    # 64, 16, 16, 4 and 4 pixels; linear 16 * 10.
    one = listed[3]
    assert one.cost == 2560 + (37 * 256 + 37 * 128 + 73 * 128 + 73 * 64 + 145 * 64) / 64 + 160
    assert one.speedup == 40224 / 3306
    assert one.costs["memory_bits"] == 32 * 36 + 144 + 288 + 576 + 1152 + 2304 + 32 * 160
    assert listed[0].speedup == 1
    assert listed[5].widths == (1, 8, 2, 4, 32, 8)


def test_a_marked_uniform_network_stands_in_its_row(report: Report) -> None:
    uniform = report.search[0]
    names = [r.model for r in rows(replace(report, knee=uniform))]
    assert "uniform 0.25x (knee)" in names
    assert not [n for n in names if n.startswith("trial 0")]


def test_a_table_without_a_search_has_references_and_finals(empty: Report) -> None:
    assert [r.model for r in rows(empty)][1:] == [
        *("uniform 0.25x", "uniform 0.5x", "uniform 1x", "uniform 2x"),
        "ratios 0.25 2 0.25 0.5 2 0.5",
    ]


def test_markdown_is_rounded_as_the_paper(report: Report) -> None:
    lines = as_markdown(report).splitlines()
    assert lines[0] == (
        "| Model | FLOPs | Speedup | Memory | Search top-1 | Final top-1 | Final top-5 |"
    )
    assert lines[1] == "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert (
        lines[2] == "| full precision 1x | 40.22 k | 1.0x | 149.12 kbit | 95.00 | 96.00 | 99.50 |"
    )
    assert lines[5] == f"| uniform 1x | 3.31 k | 12.2x | 10.74 kbit | 70.00 | {DASH} | {DASH} |"
    assert "test images, after final training (epochs: 100 or 200)." in lines[-1]
    assert "validation images, after training in the search (epochs: 1)" in lines[-1]


def test_tex_has_only_what_latex_reads(report: Report) -> None:
    lines = as_tex(report).splitlines()
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert body[3] == r"uniform 1x & 3.31 k & 12.2x & 10.74 kbit & 70.00 & -- & -- \\"
    assert {line.count("&") for line in body} == {6}
    assert as_tex(report).isascii()
    assert sum(line.startswith("%") for line in lines) == 2


def test_csv_keeps_all_digits(report: Report) -> None:
    read = list(csv.DictReader(io.StringIO(as_table_csv(report))))
    assert [float(r["flops"]) for r in read] == [r.cost for r in rows(report)]
    assert read[5] == {
        "model": "trial 1 (knee, best)",
        "precision": "binary",
        "ratios": "0.25 2 0.25 0.5 2 0.5",
        "widths": "1 8 2 4 32 8",
        "flops": "1074.0",
        "speedup": str(40224 / 1074),
        "memory_bits": "6592",
        "search_top1": "90.0",
        "final_top1": "92.5",
        "final_top5": "99.25",
        "estimate": "",
        "estimate_sd": "",
    }
    assert read[2]["search_top1"] == ""


def test_the_table_of_the_terminal_names_front_references_and_finals(report: Report) -> None:
    lines = as_table(report).splitlines()
    assert [line.split("  ")[0] for line in lines[:-2]] == [
        "network",
        "trial 0",
        "trial 1 (knee, best)",
        "trial 3",
        "uniform 0.25x",
        "uniform 1x",
        "uniform 2x",
        "full precision 1x",
        "ratios 2 1 1 1 1 1",
    ]
    assert lines[0].split() == [
        *("network", "accuracy", "test", "FLOPs", "memory", "fitness", "ratios"),
    ]
    assert "90.00 %  92.50 %" in lines[2]
    before = as_table(replace(report, finals=())).splitlines()
    assert before[0].split() == ["network", "accuracy", "FLOPs", "memory", "fitness", "ratios"]
    assert len(before) == 9
    assert before[-1].startswith("With fewer than 16 networks nothing is estimated")


def test_estimates_stand_beside_what_was_measured(report: Report) -> None:
    known = replace(report.search[1], estimate=88.0, estimate_sd=0.75)
    others = tuple(p for p in report.points if p is not report.search[1])
    found = replace(report, points=(known, *others), knee=known, best=known)
    assert (
        as_markdown(found)
        .splitlines()[0]
        .endswith("| Search top-1 | Estimate | Final top-1 | Final top-5 |")
    )
    line = next(line for line in as_markdown(found).splitlines() if "knee" in line)
    assert line.endswith("| 90.00 | 88.0 ± 0.8 | 92.50 | 99.25 |")
    assert "front, knee, best and most accurate go by it" in as_markdown(found)
    assert r"88.0 $\pm$ 0.8" in as_tex(found)
    assert as_tex(found).isascii()
    row = list(csv.DictReader(io.StringIO(as_table_csv(found))))[5]
    assert (row["estimate"], row["estimate_sd"]) == ("88.0", "0.75")
    lines = as_table(found).splitlines()
    assert lines[0].split()[:4] == ["network", "accuracy", "test", "estimate"]
    assert "90.00 %  92.50 %  88.0 ± 0.8 %" in next(line for line in lines if "knee" in line)


def test_confirmed_accuracies_have_a_column_of_their_own(report: Report) -> None:
    one, beaten = (1.0,) * 6, report.search[2]
    confirmed = {
        (one, beaten.precision): Confirmed(72.5, 0.25, 3),
        (beaten.ratios, beaten.precision): Confirmed(79.0, None, 1),
    }
    shown = replace(report, confirmed=confirmed, validation_images=360)
    lines = as_markdown(shown).splitlines()
    assert "| Search top-1 | Confirmed | Final top-1 |" in lines[0]
    assert "| 70.00 | 72.50 ± 0.25 |" in next(s for s in lines if s.startswith("| uniform 1x"))
    assert "| 80.00 | 79.00 |" in next(s for s in lines if s.startswith("| trial 2 |"))
    assert "standard error of 1 or 3 training runs with other seeds, on the same 360" in lines[-1]
    text = as_table(shown).splitlines()
    assert text[0].split()[:4] == ["network", "accuracy", "test", "confirmed"]
    assert "70.00 %        -  72.50 ± 0.25 %" in next(s for s in text if s.startswith("uniform 1x"))
    assert [s.split()[:2] for s in text].count(["trial", "2"]) == 1
    assert "onfirmed" not in as_markdown(report) + as_table(report)
