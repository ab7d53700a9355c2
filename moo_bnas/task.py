"""Tasks: what a process is asked to train, as one record that can be sent to another process."""

from __future__ import annotations

import json
from dataclasses import dataclass

from moo_bnas.evaluation import Precision
from moo_bnas.evolution.space import Genotype
from moo_bnas.fingerprint import candidate_seed
from moo_bnas.recipe import FinalRecipe


@dataclass(frozen=True)
class FinalTask:
    """A final training.

    Attributes:
        genotype: Genotype of the network.
        precision: Precision of the network.
        recipe: How to train the network.
        checkpoint: State to continue from; None: train from the beginning.
    """

    genotype: Genotype
    precision: Precision
    recipe: FinalRecipe
    checkpoint: bytes | None = None

    @property
    def seed(self) -> int:
        """Seed of the initial weights and of the order of images."""
        return candidate_seed(self.recipe.seed, self.genotype)

    def to_bytes(self) -> bytes:
        """This task as one line of JSON, followed by the bytes of its checkpoint."""
        head = {
            "genotype": self.genotype,
            "precision": self.precision,
            "recipe": self.recipe.model_dump(mode="json"),
        }
        return json.dumps(head).encode() + b"\n" + (self.checkpoint or b"")

    @staticmethod
    def from_bytes(message: bytes) -> FinalTask:
        """The task that `to_bytes` wrote."""
        line, _, checkpoint = message.partition(b"\n")
        head = json.loads(line)
        return FinalTask(
            tuple(head["genotype"]),
            head["precision"],
            FinalRecipe.model_validate(head["recipe"]),
            checkpoint or None,
        )
