from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from moo_bnas.data import Digits
from moo_bnas.networks import make_network
from moo_bnas.networks.module import build
from moo_bnas.recipe import Recipe
from moo_bnas.training.cuda_graphs import run_as_graphs
from moo_bnas.training.device_data import to_device
from moo_bnas.training.loop import Training

OFF = torch.autocast("cpu", enabled=False, cache_enabled=False)


def _network() -> nn.Module:
    network = make_network("vgg_small", Digits().shape, base_width=4)
    torch.manual_seed(0)
    return build(network.layers(network.base_widths, "binary"))


def _warms_up(network: nn.Module, sample: tuple[Tensor]) -> None:
    """What torch does before it captures, which needs a GPU: passes that move statistics."""
    assert not torch.is_autocast_enabled("cpu") or not torch.is_autocast_cache_enabled()
    for _ in range(3):
        logits = network(*sample)
        torch.autograd.grad(logits.sum(), list(network.parameters()))
    sample[0].zero_()  # it becomes the buffer of later batches


def _cannot(network: nn.Module, sample: tuple[Tensor]) -> None:
    network(*sample)
    raise RuntimeError("operation not permitted when stream is capturing\nSearch for more")


@pytest.mark.parametrize("make", [_warms_up, _cannot])
def test_capturing_leaves_network_and_batch_as_they_were(
    make: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", make)
    network = _network().train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    inputs = torch.rand(8, 1, 8, 8)
    batch = inputs.clone()
    run_as_graphs(network, inputs, OFF)
    assert torch.equal(inputs, batch)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
    told = "runs without CUDA graphs: operation not permitted when stream is capturing"
    assert caplog.messages == ([f"this network {told}"] if make is _cannot else [])


def test_out_of_memory_is_not_taken_for_a_network_that_cannot_be_captured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(network: nn.Module, sample: tuple[Tensor]) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", full)
    with pytest.raises(torch.OutOfMemoryError):
        run_as_graphs(_network().train(), torch.rand(8, 1, 8, 8), OFF)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with CUDA")
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_on_a_gpu_graphs_train_as_single_steps_do(
    dtype: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = Recipe.model_validate(
        {"epochs": 4, "batch_size": 64, "learning_rate": 0.2, "dtype": dtype}
    )
    data = to_device(Digits().load(Path(), 0, "search"), 8, torch.device("cuda:0"))
    graphs = Training(_network(), data, recipe, 0).run()
    assert caplog.messages == []
    monkeypatch.setattr("moo_bnas.training.loop.run_as_graphs", lambda *_: None)
    steps = Training(_network(), data, recipe, 0).run()
    assert graphs[-1] == pytest.approx(steps[-1], abs=5)  # kernels may sum in another order
    assert graphs[-1] > 60
