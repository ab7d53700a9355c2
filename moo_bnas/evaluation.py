"""Evaluations: the record of what came of training and scoring one network.

Workers make it, storages keep it as attributes of a trial, and reports show it. Only
`Evaluation.to_attributes` and `Evaluation.from_attributes` know how it is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from moo_bnas.errors import StorageError

Precision = Literal["binary", "full"]
"""Precision of a network's weights and activations: 1 bit, or full precision."""

PRECISIONS: tuple[Precision, ...] = ("binary", "full")

Keep = Callable[[Sequence[float], Callable[[], bytes]], None]
"""Called after each epoch with the mean loss of every epoch so far and a function that makes a
checkpoint."""


@dataclass(frozen=True)
class Artifact:
    """A file in an artifact store.

    Attributes:
        id: Name of the file in the store.
        sha256: Hash of the bytes of the file.
    """

    id: str
    sha256: str


@dataclass(frozen=True)
class Source:
    """The trial that an evaluation was copied from.

    Attributes:
        study: Name of the study of that trial.
        trial: Number of that trial in its study.
    """

    study: str
    trial: int


@dataclass(frozen=True)
class Evaluation:
    """What came of training and scoring one network for a run.

    (`moo_bnas.Evaluation`, of searches without a storage, is a smaller record: see
    `evolution.direct`.)

    Attributes:
        accuracy: Top-1 accuracy in percent: of a candidate or a parent on the validation images,
            of a final training on the test images.
        epochs: Number of epochs that the network was trained for.
        seed: Seed of the initial weights and of the order of images.
        train_seconds: Seconds that the training run took.
        images_per_second: Speed of the training run.
        accuracy_per_epoch: Accuracy after each epoch; empty for final trainings, which score once.
        loss_per_epoch: Mean training loss of each epoch; known of final trainings only.
        top5: Top-5 accuracy in percent; known of final trainings only.
        images: Number of images that the accuracy was counted on; None where 0.1 stored it.
        artifact: The file that the training run left: weights of a parent, model file of a final
            training. None for candidates, whose weights are dropped.
        fingerprint: Fingerprint that the genotype was evaluated under; None until a worker has
            finished the evaluation, as the next two.
        worker: Name of the worker that trained the network.
        device: Hardware that the network was trained on.
        copied_from: Trial that this is a copy of; None if it was trained for its own trial.
    """

    accuracy: float
    epochs: int
    seed: int
    train_seconds: float
    images_per_second: float
    accuracy_per_epoch: tuple[float, ...] = ()
    loss_per_epoch: tuple[float, ...] = ()
    top5: float | None = None
    images: int | None = None
    artifact: Artifact | None = None
    fingerprint: str | None = None
    worker: str | None = None
    device: str | None = None
    copied_from: Source | None = None

    @property
    def kept(self) -> Artifact:
        """The artifact of a parent or of a final training.

        Raises:
            StorageError: If the evaluation has none.
        """
        if self.artifact is None:
            raise StorageError(
                "got an evaluation without an artifact, expected one of a parent or of a final "
                "training; train the network again with --restart or under another --study-name"
            )
        return self.artifact

    def to_attributes(self) -> dict[str, object]:
        """The attributes of a trial that has this evaluation; values are JSON."""
        values = {name: getattr(self, name) for name in _PLAIN}
        if self.artifact is not None:
            values |= {"artifact": self.artifact.id, "weights_hash": self.artifact.sha256}
        if self.copied_from is not None:
            source = self.copied_from
            values["copied_from"] = {"study": source.study, "trial": source.trial}
        return {name: value for name, value in values.items() if value not in (None, ())}

    @staticmethod
    def from_attributes(attributes: Mapping[str, Any]) -> Evaluation | None:
        """The evaluation that a trial's attributes hold, among others; None if they hold none."""
        if "accuracy" not in attributes:
            return None
        values = {name: attributes[name] for name in _PLAIN if name in attributes}
        for name in ("accuracy_per_epoch", "loss_per_epoch"):
            values[name] = tuple(values.get(name, ()))
        if "artifact" in attributes:
            values["artifact"] = Artifact(attributes["artifact"], attributes["weights_hash"])
        if "copied_from" in attributes:
            values["copied_from"] = _source(attributes["copied_from"])
        return Evaluation(**values)


_PLAIN = tuple(f.name for f in fields(Evaluation) if f.name not in ("artifact", "copied_from"))
"""Fields that are stored under their own names as they are."""

ATTRIBUTES = frozenset({*_PLAIN, "artifact", "weights_hash", "copied_from"})
"""Names of all attributes that an evaluation may give a trial."""


def _source(stored: Mapping[str, Any] | str) -> Source:
    if isinstance(stored, str):  # 0.1 wrote `NAME trial 7`
        study, _, number = stored.rpartition(" trial ")
        return Source(study, int(number))
    return Source(stored["study"], stored["trial"])
