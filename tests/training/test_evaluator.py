from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from moo_bnas.definition import Definition, parse_definition
from moo_bnas.errors import (
    DefinitionError,
    DeviceError,
    DeviceMemoryError,
    DivergenceError,
    MooBnasError,
)
from moo_bnas.fingerprint import candidate_seed
from moo_bnas.training import evaluations
from moo_bnas.training.evaluator import Evaluator
from moo_bnas.training.loop import Training

AcceleratorError = getattr(torch, "AcceleratorError", RuntimeError)  # before torch 2.8


def test_an_evaluation_says_how_it_came_about(
    tiny: Definition, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 102.5])  # before and after the training run
    monkeypatch.setattr(evaluations, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    genotype = tiny.make_space().uniform(0.5)
    found = Evaluator(tiny, "cpu", Path()).evaluate(genotype, "binary", lambda: False)
    assert found.accuracy == found.accuracy_per_epoch[-1]
    assert found.epochs == len(found.accuracy_per_epoch) == 1
    assert found.seed == candidate_seed(0, genotype)
    assert found.images == 360  # 20 % of the digits, class by class
    assert found.train_seconds == 2.5
    # Of the 1,797 digits 60 % train: 1,078, which make 8 equal steps of at least 128: 8 x 134.
    assert found.images_per_second == pytest.approx(1072 / 2.5)


def test_a_repeat_has_another_seed_and_the_same_images(tiny: Definition) -> None:
    genotype = tiny.make_space().uniform(0.5)
    evaluator = Evaluator(tiny, "cpu", Path())
    first, again, other = (
        evaluator.evaluate(genotype, "binary", lambda: False, repeat=k) for k in (0, 0, 1)
    )
    assert first.accuracy_per_epoch == again.accuracy_per_epoch != other.accuracy_per_epoch
    assert (first.seed, other.seed) == (candidate_seed(0, genotype), candidate_seed(1, genotype))
    # 360 validation images, whichever the seed.
    assert (other.accuracy * 3.6) == pytest.approx(round(other.accuracy * 3.6))
    assert set(evaluator._loaded) == {"search"}


def test_constants_of_the_binarizer_reach_the_training_run(tiny: Definition) -> None:
    accuracies = []
    for t_start in (0.1, 5.0):
        values = tiny.model_dump()
        constants = {"t_start": t_start}
        values["network"].update(binarizer="irnet", binarizer_constants=constants)
        values["recipe"].update(epochs=3, learning_rate=0.05)
        changed = parse_definition(values, "test")
        genotype = changed.make_space().uniform(2)
        found = Evaluator(changed, "cpu", Path()).evaluate(genotype, "binary", lambda: False)
        accuracies.append(found.accuracy_per_epoch)
    assert accuracies[0] != accuracies[1]


def test_a_device_that_is_not_there_is_told(tiny: Definition) -> None:
    with pytest.raises(DefinitionError, match="got --device cuda:99, but this machine has"):
        Evaluator(tiny, "cuda:99", Path())


@pytest.mark.parametrize(
    ("raised", "kind", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to"), DeviceMemoryError, "Tried to;"),
        (AcceleratorError("CUDA error: out of memory\nSearch"), DeviceMemoryError, "memory;"),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
            DeviceMemoryError,
            "ALLOC_FAILED when calling `cublasCreate`;",
        ),
        (RuntimeError("std::bad_alloc"), DeviceMemoryError, "std::bad_alloc;"),
        (MemoryError(), DeviceMemoryError, "left: MemoryError;"),
        (
            AcceleratorError("CUDA error: unspecified launch failure\nSearch for"),
            DeviceError,
            "cpu failed: CUDA error: unspecified launch failure; start the worker again",
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_MAPPING_ERROR"), DeviceError, "MAPPING_ERROR;"),
        (DivergenceError("the loss was nan"), DivergenceError, "the loss was nan"),
    ],
)
def test_what_torch_says_of_a_device_is_told_in_one_line(
    tiny: Definition,
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception,
    kind: type[MooBnasError],
    told: str,
) -> None:
    def training(*_: object) -> None:
        raise raised

    monkeypatch.setattr(Training, "run", training)
    with pytest.raises(kind) as caught:
        Evaluator(tiny, "cpu", Path()).evaluate((0,) * 6, "binary", lambda: False)
    assert caught.type is kind
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_errors_stay_what_they_are(tiny: Definition, monkeypatch: pytest.MonkeyPatch) -> None:
    def training(*_: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Training, "run", training)
    with pytest.raises(RuntimeError, match="shapes do not match") as caught:
        Evaluator(tiny, "cpu", Path()).evaluate((0,) * 6, "binary", lambda: False)
    assert caught.type is RuntimeError


RUNS_OUT_OF_MEMORY = """
import gc, resource, sys
from pathlib import Path
import torch
from moo_bnas.definition import load_definition
from moo_bnas.errors import DeviceMemoryError
from moo_bnas.training.evaluator import Evaluator

small, large = (0,) * 6, (1,) * 6
evaluator = Evaluator(load_definition(sys.argv[1]), "cpu", Path())
before = evaluator.evaluate(small, "full", bool).accuracy

def tensors():
    return sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())

gc.collect()
gc.disable()  # nothing may be left for it
count = tensors()
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 512 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for _ in range(3):
    try:
        evaluator.evaluate(large, "full", bool)
    except DeviceMemoryError as error:
        print(error)
    assert tensors() == count, (tensors(), count)
    assert evaluator.evaluate(small, "full", bool).accuracy == before
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not limit a process's memory")
def test_after_running_out_of_memory_nothing_is_held_and_smaller_ones_go_on(
    tiny: Definition, tiny_path: Path
) -> None:
    # Of the larger networks a single weight is more than there is.
    tiny_path.write_text(tiny_path.read_text().replace("[0.25, 0.5, 1, 2]", "[1, 900]"))
    done = subprocess.run(
        [sys.executable, "-c", RUNS_OUT_OF_MEMORY, str(tiny_path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert line.startswith("cpu has not enough memory left: ")
        assert line.endswith("; start fewer workers on it, or lower [recipe] batch_size")
