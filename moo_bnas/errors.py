"""The errors that moo-bnas raises.

Each message says in one or two lines what is wrong, what was found, what was expected and what to
do about it. The command line prints it, without a traceback, and exits with `exit_code`.
"""

from __future__ import annotations

EXIT_USAGE = 2
"""Exit code of a process that its user started wrongly; another one like it would end so, too."""

EXIT_NO_RESTART = 3
"""Exit code of a worker whose error would stop every other worker on its machine as well."""


class MooBnasError(Exception):
    """Base of every error that moo-bnas raises on purpose."""

    exit_code = 1


class DefinitionError(MooBnasError, ValueError):
    """A definition, an option or an argument does not make sense."""

    exit_code = EXIT_USAGE


class StorageError(MooBnasError, RuntimeError):
    """The storage cannot be reached, or its contents are not what was expected."""


class StorageEmptyError(StorageError):
    """The storage is not there, or holds nothing of moo-bnas yet."""


class StorageAwayError(StorageError):
    """The storage's server cannot be reached at the moment; it may come back."""


class StorageBusyError(StorageAwayError):
    """The storage's server answers but asks to try again: it is full, starting, or in conflict."""


class VersionError(MooBnasError, RuntimeError):
    """This installation would not evaluate what the study was begun with."""

    exit_code = EXIT_USAGE


class MissingPackageError(MooBnasError, ImportError):
    """A package that a task needs is not installed."""

    exit_code = EXIT_USAGE


class StudyHeldError(StorageError):
    """Another process drives the study."""


class DataError(MooBnasError, RuntimeError):
    """A data set is missing, broken, or not the one that the study was started with."""

    exit_code = EXIT_NO_RESTART


class ArtifactsError(MooBnasError, RuntimeError):
    """The artifact store cannot be used, or lacks what it should hold."""

    exit_code = EXIT_NO_RESTART


class ArtifactsFullError(ArtifactsError):
    """The disk of the artifact store is full at the moment; somebody may make room."""


class ParentError(MooBnasError, RuntimeError):
    """The parent could not be trained."""


class FinalTrainingError(MooBnasError, RuntimeError):
    """A network could not be trained to the end."""


class ModelFileError(MooBnasError, ValueError):
    """A file of a trained network is missing, damaged, or cannot be used for what was asked."""


class DivergenceError(MooBnasError, ArithmeticError):
    """The loss of a candidate stopped being a finite number."""


class DeviceError(MooBnasError, RuntimeError):
    """The device failed; another try, perhaps on another device, may succeed."""


class DeviceMemoryError(DeviceError, MemoryError):
    """The device has too little free memory; other processes may be using it."""


class Interrupted(MooBnasError):  # noqa: N818 (a request that was met, not an error)
    """A training run was asked to stop; nothing of it is kept."""


class DashboardError(MooBnasError, RuntimeError):
    """The dashboard cannot be shown."""


class ImagesError(MooBnasError, RuntimeError):
    """The figures of a report cannot be drawn as images."""


class ServerError(MooBnasError, RuntimeError):
    """The private database server cannot be made, started or stopped."""


class WorkersError(MooBnasError, RuntimeError):
    """The local workers of a run keep failing."""
