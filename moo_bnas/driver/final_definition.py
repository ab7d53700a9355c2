"""Which run final training runs belong to, and which definition counts for them."""

from __future__ import annotations

from moo_bnas.definition import Definition, stored_definition
from moo_bnas.driver.run import check_unchanged, default_name, open_run
from moo_bnas.storage import Storage, Study, final_of


def lasting(definition: Definition, epochs: int | None) -> Definition:
    """The definition, with a [final] of so many epochs; None keeps its own.

    Raises:
        DefinitionError: Where it has no [final], or so few epochs leave no room for its
            milestones.
    """
    recipe = definition.final_recipe()
    if epochs is not None:
        recipe = recipe.lasting(epochs)
    return definition.model_copy(update={"final": recipe})


def find_run(
    storage: Storage,
    study_name: str | None,
    given: Definition | None,
    artifacts_url: str | None = None,
    *,
    create: bool = True,
) -> Study:
    """The study of the run whose networks are to be trained to the end.

    Args:
        storage: Storage that holds the run.
        study_name: Name of the run; None: the default name for the given definition, or the latest
            run of the storage.
        given: Definition that the command names, if any.
        artifacts_url: Store of the parent's weights, for a run that is made now.
        create: Make the run where it is missing and a definition is given.

    Raises:
        StorageError: Where there is no such run.
        DefinitionError: Where the run was begun on other networks than the definition given, or
            cannot be made.
    """
    default = None if given is None else default_name(given)
    name = storage.studies.choose(study_name or default)
    if given is not None and create and storage.studies.find(name) is None:
        open_run(storage, name, given, "pareto", 0, artifacts_url)
    run = storage.studies.open(name)
    if given is not None:
        # How long and within what limits a search runs decides nothing about its networks.
        networks = _weighed_as(run, given)
        check_unchanged(run, networks, run.attributes["mode"], run.attributes["seed"])
    return run


def definition_in_effect(
    storage: Storage, run: Study, given: Definition | None, epochs: int | None
) -> Definition:
    """The definition that says how networks of a run are trained to the end.

    That is the one given, else the one that its final training runs had so far, else its own.

    Raises:
        DefinitionError: Where it has no [final], or too few epochs for it.
    """
    if given is None:
        begun = storage.studies.find(final_of(run.name))
        given = stored_definition((begun or run).attributes["definition"])
    return lasting(_weighed_as(run, given), epochs)


def _weighed_as(run: Study, given: Definition) -> Definition:
    """The definition with the [search] and the latencies of a run."""
    stored = stored_definition(run.attributes["definition"])
    return given.model_copy(update={"search": stored.search, "latency": stored.latency})
