"""A search of widths and bits, from the definition to the report and to a final network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import moo_bnas
from moo_bnas.definition import Definition, load_definition
from moo_bnas.driver.run import open_run
from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.space import Genotype
from moo_bnas.models.model_file import read_model
from moo_bnas.models.writing import export
from moo_bnas.overrides import override, with_keys
from moo_bnas.report.figures import figures
from moo_bnas.report.files import as_csv, as_json
from moo_bnas.report.tables import as_table_csv, rows
from moo_bnas.report.terminal import as_table
from moo_bnas.results.points import Report, collect
from moo_bnas.storage import Storage
from tests.conftest import TINY
from tests.driving import FINAL, final_driver, finals_of, make_definition, search_driver, served

BITS = TINY.replace("[0.25, 0.5, 1, 2]", "[0.5, 1]\nactivation_bits = [1, 2]").replace(
    "population = 6\ngenerations = 3", "population = 4\ngenerations = 2"
)
GENES = ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6")
BIT_GENES = ("conv2_bits", "conv3_bits", "conv4_bits", "conv5_bits", "conv6_bits")


@pytest.fixture
def definition(tmp_path: Path) -> Definition:
    return make_definition(tmp_path, BITS + FINAL)


def _drive(url: str, name: str, definition: Definition) -> dict[int, list[Genotype]]:
    run = open_run(Storage(url, create=True), name, definition, "pareto", 0)
    with served(run):
        search_driver(run).drive()
    found: dict[int, list[Genotype]] = {}
    for trial in run.storage.trials.read(run.study):
        assert trial.generation is not None
        found.setdefault(trial.generation, []).append(trial.genotype)
    return found


def test_a_run_resumes_reports_and_exports(definition: Definition, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    _drive(url, "resumed", override(definition, generations=1))
    resumed = _drive(url, "resumed", definition)
    assert resumed == _drive(url, "at_once", definition)  # trains nothing that is known
    assert {len(g) for each in resumed.values() for g in each} == {11}

    report = collect(Storage(url), "resumed")
    _check_report(report)

    finals = finals_of(url, "resumed", definition)
    genotype = definition.make_space().encode([0.5] * 6 + [2, 1, 2, 1, 2])
    with served(finals, only_final=True):
        (trial,) = final_driver(finals).train([(genotype, "binary")])
    path = finals.fetch(trial, tmp_path / "model")
    model = read_model(path)
    assert (model.card.widths, model.card.ratios[6:]) == ((2, 2, 4, 4, 8, 8), (2, 1, 2, 1, 2))
    assert [s.bits for s in model.card.layers if s.kind == "binarize"] == [2, 1, 2, 1, 2]
    packed = next(iter(export(path, "packed").files))
    images = np.random.default_rng(0).integers(0, 255, (9, 1, 8, 8)).astype(np.uint8)
    for one, other in zip(
        moo_bnas.predict(path, images), moo_bnas.predict(packed, images), strict=True
    ):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)


def _check_report(report: Report) -> None:
    names = [row.model.partition(" (")[0] for row in rows(report)[:5]]
    assert names == [
        "full precision 1x",
        *(f"uniform {r}x, {b}" for r in ("0.5", "1") for b in ("1 bit", "2 bits")),
    ]
    points: list[dict[str, Any]] = json.loads(as_json(report))["points"]
    for point in points:
        assert point["bits"] == (point["ratios"][6:] if point["precision"] == "binary" else [])
        assert point["widths"] == [
            int(b * r) for b, r in zip((4, 4, 8, 8, 16, 16), point["ratios"], strict=False)
        ]
    by = {(tuple(p["ratios"]), p["precision"]): p for p in points}
    one, two = (by[(1.0,) * 6 + (bits,) * 5, "binary"] for bits in (1.0, 2.0))
    assert one["memory_bits"] == two["memory_bits"]
    assert one["flops"] < two["flops"] < 2 * one["flops"]
    assert as_csv(report).partition("\n")[0].endswith(",bits")
    assert ",bits," in as_table_csv(report).partition("\n")[0]
    assert "all 0.5, bits 2" in as_table(report)
    (channels,) = (f for f in figures(report) if f.name == "channels")
    if channels.drawn is not None:
        assert {t.yaxis for t in channels.drawn.data} == {None, "y2"}


def test_params_and_space_are_named_after_the_genes(definition: Definition) -> None:
    space = definition.make_space()
    assert space.genes == GENES + BIT_GENES
    assert space.size == 2**11
    assert space.named((1,) + (0,) * 9 + (1,)) == {
        **dict.fromkeys(GENES, 0.5),
        "conv1": 1.0,
        **dict.fromkeys(BIT_GENES, 1.0),
        "conv6_bits": 2.0,
    }
    shared = with_keys(definition, ["space.shared_bits=true"]).make_space()
    assert shared.genes == (*GENES, "bits")


def test_references_are_uniform_networks_of_each_number_of_bits(definition: Definition) -> None:
    space = definition.make_space()
    assert [(space.decode(g), p) for g, p in definition.references()] == [
        *(((r,) * 6 + (b,) * 5, "binary") for r in (0.5, 1.0) for b in (1.0, 2.0)),
        ((1.0,) * 11, "full"),
    ]
    # Eq. 4 divides by 1x with 1 bit, in the space or not.
    of_two = with_keys(definition, ["space.activation_bits=[2]"])
    assert of_two.reference_cost() == definition.reference_cost()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["space.activation_bits=[2, 1]"], "activation_bits must ascend without repeats, got 2, 1"),
        (["space.activation_bits=[1, 5]"], "Input should be less than or equal to 4"),
        (["network.binarizer=sign"], "got activation_bits 2 with binarizer sign, which has 1 bit"),
        (["network.activation_bits=2"], "got activation_bits in .network. and in .space."),
    ],
)
def test_what_does_not_go_together_is_refused(
    definition: Definition, changes: list[str], message: str
) -> None:
    with pytest.raises(DefinitionError, match=message):
        with_keys(definition, changes)


def test_fingerprints_differ_by_bits(definition: Definition) -> None:
    digits = load_definition("digits")
    prints = {
        d.fingerprint("binary", "h")
        for d in (
            digits,
            with_keys(digits, ["network.activation_bits=2"]),
            with_keys(digits, ["space.activation_bits=[1, 2]"]),
            with_keys(digits, ["space.activation_bits=[1, 2]", "space.shared_bits=true"]),
        )
    }
    assert len(prints) == 4
