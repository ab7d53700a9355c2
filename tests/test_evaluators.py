"""Evaluators of other packages: what they are given, what is asked of them, and what identifies
them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moo_bnas import plugins
from moo_bnas.definition import Definition, parse_definition
from moo_bnas.driver.run import check_unchanged
from moo_bnas.errors import DefinitionError, DeviceError, DeviceMemoryError, Interrupted
from moo_bnas.evaluators import Evaluator, OwnCost, Result, Task
from moo_bnas.networks.cost import flops
from moo_bnas.storage import Study
from moo_bnas.worker.own_evaluator import OwnEvaluator

VALUES: dict[str, Any] = {
    "name": "own",
    "description": "",
    "evaluator": {"name": "own"},
    "space": {"genes": {"deep": [1, 2, 3], "wide": [8, 16]}},
}
NETWORK: dict[str, Any] = {
    "name": "own",
    "description": "",
    "evaluator": {"name": "own", "seed": 3},
    "network": {"name": "vgg_small", "base_width": 4},
    "space": {"ratios": [0.5, 1, 2]},
    "data": {"name": "digits"},
}
PIXELS = OwnCost("pixels", "pixels", "px", lambda values: values["deep"] * values["wide"])

Offer = Callable[[Evaluator], None]


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Installs an evaluator that takes one option."""

    def install(made: Evaluator) -> None:
        def own(option: int = 0) -> Evaluator:
            return made

        there = EntryPoint("own", "no.such:module", "moo_bnas.evaluators")
        monkeypatch.setattr(EntryPoint, "load", lambda self: own)
        monkeypatch.setattr(plugins, "entry_points", lambda group: EntryPoints([there]))

    return install


def _scored(values: Mapping[str, Any] = VALUES, stop: bool = False) -> Any:
    evaluator = OwnEvaluator(parse_definition(dict(values), "test"), "cpu", Path("data"))
    assert evaluator.load("search") == evaluator.load("search")
    return evaluator.evaluate((2, 1), "binary", lambda: stop)


def test_it_is_given_the_values_of_its_own_space(offer: Offer) -> None:
    tasks: list[Task] = []

    def evaluate(task: Task) -> Result:
        tasks.append(task)
        return Result(42.0, epochs=3, images=10, accuracy_per_epoch=(40.0, 41.0, 42.0))

    offer(Evaluator(evaluate, [PIXELS]))
    definition = parse_definition(VALUES, "test")
    evaluator = OwnEvaluator(definition, "cpu", Path("data"))
    found = [evaluator.evaluate((2, 1), "binary", lambda: False, repeat=r) for r in (0, 0, 1)]
    task = tasks[0]
    assert (task.values, task.genotype) == ({"deep": 3, "wide": 16}, (2, 1))
    assert (task.device, task.data_root) == ("cpu", Path("data"))
    assert (task.data, task.layers, task.binarizer) == (None, (), None)
    assert [t.seed for t in tasks] == [e.seed for e in found]
    assert tasks[0].seed == tasks[1].seed != tasks[2].seed
    assert (found[0].accuracy, found[0].epochs, found[0].images) == (42.0, 3, 10)
    assert found[0].accuracy_per_epoch == (40.0, 41.0, 42.0)
    with pytest.raises(DefinitionError, match=r"add \[data\]"):
        _ = task.images


def test_it_is_given_the_layers_and_images_of_a_network(offer: Offer) -> None:
    tasks: list[Task] = []

    def evaluate(task: Task) -> float:
        tasks.append(task)
        return 50.0

    offer(Evaluator(evaluate))
    definition = parse_definition(NETWORK, "test")
    evaluator = OwnEvaluator(definition, "cpu", Path())
    assert len(evaluator.load("search")) == 64  # a hash of the digits
    evaluator.evaluate((0, 1, 2, 0, 1, 2), "binary", lambda: False)
    (task,) = tasks
    assert task.values["conv3"] == 2
    widths = [int(layer.out_channels) for layer in task.layers if layer.kind == "conv"]
    assert widths == [2, 4, 16, 4, 16, 32]  # half, one, two times 4, 4, 8, 8, 16, 16
    assert len(task.images.train.rows) + len(task.images.scoring.rows) == 1437  # 80 % of 1,797
    assert task.binarizer == "dorefa"
    network = definition.make_network()
    assert definition.subject().costs_of((1.0,) * 6)["flops"] == flops(network, network.base_widths)
    # uniform networks of the three ratios; there is no full-precision twin
    assert [precision for _, precision in definition.references()] == ["binary"] * 3


def test_it_may_give_up_and_fail(offer: Offer) -> None:
    def raising(error: Exception) -> Callable[[Task], float]:
        def evaluate(task: Task) -> float:
            raise error

        return evaluate

    class OutOfMemoryError(RuntimeError):
        """As torch's is called."""

    offer(Evaluator(lambda task: None if task.should_stop() else 50.0, [PIXELS]))
    with pytest.raises(Interrupted):
        _scored(stop=True)
    for error, expected in (
        (MemoryError("of numpy"), DeviceMemoryError),
        (OutOfMemoryError("of torch"), DeviceMemoryError),
        (RuntimeError("CUDA error: unspecified launch failure"), DeviceError),
        (DeviceError("of the package"), DeviceError),
        (KeyError("x"), KeyError),
    ):
        offer(Evaluator(raising(error), [PIXELS]))
        with pytest.raises(expected):
            _scored()
    offer(Evaluator(lambda task: Result(np.float32(50), 2, np.int64(9)), [PIXELS]))  # type: ignore[arg-type]
    assert json.dumps(_scored().to_attributes())
    wrong_epoch = Result(50.0, accuracy_per_epoch=(float("nan"),))
    for wrong in (wrong_epoch, None, float("nan"), 101.0, -1, "50", [50.0]):
        offer(Evaluator(lambda task, wrong=wrong: wrong, [PIXELS]))  # type: ignore[misc]
        with pytest.raises(ValueError, match="returned .*, expected an accuracy from 0 to 100"):
            _scored()


@pytest.mark.parametrize(
    ("changes", "costs", "told"),
    [
        ({"evaluator": {"name": "other"}}, [PIXELS], "got evaluator 'other', expected one of own"),
        ({"evaluator": {"name": "own", "x": 1}}, [PIXELS], "got the option 'x', expected only opt"),
        ({"evaluator": {"name": "own", "seed": -1}}, [PIXELS], "evaluator.seed"),
        ({"space": {}}, [PIXELS], r"either \[network\] or \[space\] genes"),
        ({"network": NETWORK["network"]}, [PIXELS], r"either \[network\] or \[space\] genes"),
        ({"network": NETWORK["network"], "space": {}}, [], r"\[network\] without \[data\]"),
        ({"space": {"genes": {"deep": [2, 1]}}}, [PIXELS], "gene deep must ascend .* got 2, 1"),
        ({"space": {"genes": {"deep": [0.5]}}}, [PIXELS], "space.genes.deep.0"),
        ({"recipe": {"epochs": 1, "batch_size": 9, "learning_rate": 1}}, [PIXELS], r"\[recipe\]"),
        ({"search": {"max_flops": 9}}, [PIXELS], "limit on flops, expected one on pixels"),
        ({"search": {"max_cost": {"x": 9}}}, [PIXELS], "limit on x, expected one on pixels"),
        (
            {},
            [replace(PIXELS, name="fitness")],
            "cost called 'fitness', expected a name of its own",
        ),
        ({}, [PIXELS, PIXELS], "cost called 'pixels', expected a name of its own"),
        ({}, [replace(PIXELS, name="a b")], "cost called 'a b', expected a name of its own"),
        ({}, [], "evaluator own counts 0 costs, expected at least one"),
        ({}, [replace(PIXELS, of=lambda v: -1)], "cost pixels of .* is -1.0, expected a positive"),
        ({}, [replace(PIXELS, of=lambda v: v["x"])], "cost pixels of .* is KeyError: 'x'"),
        ({}, [replace(PIXELS, of=lambda v: 9 / v["deep"])], "falls from 9 to .* as deep grows"),
    ],
)
def test_faults_are_reported(
    changes: dict[str, Any], costs: list[OwnCost], told: str, offer: Offer
) -> None:
    offer(Evaluator(lambda task: 50.0, costs))
    with pytest.raises(DefinitionError, match=told):
        parse_definition({**VALUES, **changes}, "test")


def test_genes_and_evaluators_go_together(offer: Offer) -> None:
    offer(Evaluator(lambda task: 50.0, [PIXELS]))
    recipe = {"epochs": 1, "batch_size": 9, "learning_rate": 1.0}
    ours = {**NETWORK, "evaluator": None, "recipe": recipe}
    parse_definition(ours, "test")
    with pytest.raises(DefinitionError, match=r"got \[space\] genes without \[evaluator\]"):
        parse_definition({**ours, "space": {"genes": {"deep": [1]}}}, "test")
    with pytest.raises(DefinitionError, match="counts 1 costs, expected .* none with"):
        parse_definition(NETWORK, "test")


def test_fingerprints_hold_all_that_scores_depend_on(
    offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(Evaluator(lambda task: 50.0, [PIXELS]))

    def of(**changes: Any) -> str:
        return parse_definition({**VALUES, **changes}, "test").fingerprint("binary", "data")

    first = of()
    assert of() == first == of(name="other", description="other", search={"population": 4})
    genes = VALUES["space"]["genes"]
    others = [
        of(evaluator={"name": "own", "option": 1}),
        of(evaluator={"name": "own", "seed": 1}),
        of(space={"genes": {**genes, "wide": [8, 32]}}),
        of(space={"genes": dict(reversed(genes.items()))}),  # genotypes mean something else
        of(data={"name": "digits"}),
    ]
    monkeypatch.setattr(
        plugins.Plugins, "identity", lambda *_: {"distribution": "a", "version": "2", "source": ""}
    )
    others.append(of())
    assert len({first, *others}) == 7


def test_a_run_goes_with_the_order_of_its_genes(offer: Offer) -> None:
    offer(Evaluator(lambda task: 50.0, [PIXELS]))
    begun: Definition = parse_definition(VALUES, "test")
    attributes = {"definition": begun.model_dump(mode="json"), "mode": "pareto", "seed": 0}
    study = Study(1, "own-pareto-s0", ("accuracy", "pixels"), attributes)
    check_unchanged(study, begun, "pareto", 0)
    turned = dict(reversed(VALUES["space"]["genes"].items()))
    with pytest.raises(DefinitionError, match=r"space.genes was \['deep', 'wide'\], now"):
        check_unchanged(
            study, parse_definition({**VALUES, "space": {"genes": turned}}, "test"), "pareto", 0
        )
