"""What `moo-bnas run --dry-run` prints: what a run would be, and about how long it would take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moo_bnas.cli.driving import DriverOptions, notify
from moo_bnas.cli.needs import needs_of, needs_rows, needs_warning
from moo_bnas.cli.searching import RunOptions
from moo_bnas.output import aligned, show
from moo_bnas.units import count, duration, quantity

if TYPE_CHECKING:
    from moo_bnas.data import ImageData
    from moo_bnas.definition import Definition
    from moo_bnas.evolution.space import Genotype
    from moo_bnas.recipe import CandidateRecipe

_LIMIT = 5.0  # seconds of training that each network gets


def dry_run(search: RunOptions, driver: DriverOptions) -> None:
    """Prints what a run would be; stores nothing.

    Raises:
        DefinitionError: Where the run could not be made.
        DataError: Where its data are missing or broken.
        MissingPackageError: If torch is not installed.
    """
    from moo_bnas.driver.local_workers import check_local_device, local_devices
    from moo_bnas.driver.run import check_run, default_name, make_search
    from moo_bnas.extras import need
    from moo_bnas.passwords import hide_password

    check_local_device(driver.device)  # with --workers 0, too: the pace is measured here
    need("torch", "--dry-run, which trains to measure the pace,")
    definition, mode, seed = search.definition(), search.mode, search.seed
    name = driver.study_name or default_name(definition, mode, seed)
    check_run(name, definition, mode, seed)
    recipe = _recipe(definition)
    space, options = definition.make_space(), definition.search
    devices = local_devices(driver.workers, driver.device) or (driver.device,)
    devices = tuple("cpu" if each == "auto" else each for each in devices)  # there is no GPU
    first = make_search(definition, mode, seed).ask()
    costs = definition.subject().each(first)[definition.cost.name]
    order = [genotype for _, genotype in sorted(zip(costs, first, strict=True))]
    chosen = [order[0], order[len(order) // 2], order[-1]]
    notify(f"training {len(chosen)} networks for up to {_LIMIT:g} s each, to measure the pace")
    needs = needs_of(definition.images(), driver.data_root, definition.seed)
    loaded, pace, parent_pace = _measure(definition, driver, devices[0], chosen)
    images = (
        f"{len(loaded.train.rows):,} train, {len(loaded.scoring.rows):,} validation, "
        f"{loaded.test_images:,} test"
    )
    references = len(definition.references())
    trainings, workers = options.candidates + references, len(devices)
    seconds = pace * recipe.epochs * trainings / workers
    epochs, beside = count(recipe.epochs, "epoch"), count(references, "reference")
    rows = [("candidates", f"{options.candidates} of {epochs}, and {beside}")]
    if definition.parent is not None:
        before = parent_pace * definition.parent.epochs
        seconds += before
        rows.append(
            ("parent", f"{count(definition.parent.epochs, 'epoch')}, about {duration(before)}")
        )
    time = f"about {duration(seconds)}, while nothing else uses the machine"
    if not recipe.epochs:
        time += f"; scoring {count(options.candidates, 'network')} comes on top"
    after = []
    if definition.final is not None and recipe.epochs:
        learnt = len(loaded.train.rows) + len(loaded.scoring.rows)
        if needs is not None:
            learnt = needs.of["final"].images - loaded.test_images
        last = pace / len(loaded.train.rows) * learnt * definition.final.epochs
        epochs = count(definition.final.epochs, "epoch")
        text = f"{epochs} on {count(learnt, 'image')}, about {duration(last)} for each network"
        after = [("final", text)]
    cheapest, costliest = (definition.cost.amount(c) for c in definition.cost_range())
    show(
        aligned(
            [
                ("run", f"{name} in {hide_password(driver.storage_url)}; nothing is stored now"),
                ("network", f"{definition.make_network().name}, {count(len(space.genes), 'gene')}"),
                (
                    "space",
                    f"{quantity(space.size, 1).strip()} networks, {cheapest} to {costliest} "
                    f"{definition.cost.title}",
                ),
                *rows,
                ("data", f"{definition.images().name}: {images}"),
                *[(f"data, {purpose}", text) for purpose, text in needs_rows(needs)],
                ("workers", f"{workers} on {', '.join(dict.fromkeys(devices))}"),
                (
                    "an epoch",
                    f"{pace:.2g} s, the mean of {len(chosen)} networks of the first generation",
                ),
                ("time", time),
                *after,
            ]
        )
    )
    if definition.final and (warning := needs_warning(needs, driver.data_root)):
        notify(warning)


def _recipe(definition: Definition) -> CandidateRecipe:
    from moo_bnas.errors import DefinitionError

    if definition.recipe is None:
        raise DefinitionError(
            "got --dry-run, which measures the pace of moo-bnas's own training, and a definition "
            "with [evaluator]; leave it out, and evaluate a few candidates with --max-evaluations"
        )
    return definition.recipe


def _measure(
    definition: Definition, driver: DriverOptions, device: str, chosen: list[Genotype]
) -> tuple[ImageData, float, float]:
    """The data of a search; seconds per epoch of candidates, and of the parent if there is one."""
    import torch

    from moo_bnas.training.device_data import to_device
    from moo_bnas.training.pace import seconds_per_epoch

    loaded = definition.images().load(driver.data_root, definition.seed, "search")
    data = to_device(loaded, definition.make_network().image.size, torch.device(device))

    found = [0.0]
    recipe = _recipe(definition)
    if recipe.epochs:  # without, candidates are scored with what they inherit
        found = [
            seconds_per_epoch(definition, recipe, data, genotype, _LIMIT) for genotype in chosen
        ]
    parent = 0.0
    if definition.parent is not None:
        space = definition.make_space()
        top = space.largest
        parent = seconds_per_epoch(definition, definition.parent, data, top, _LIMIT)
    return loaded, sum(found) / len(found), parent
