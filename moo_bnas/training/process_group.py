"""Several processes that train one network together, as `torchrun` starts them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.parallel import DistributedDataParallel

_PATIENCE = timedelta(days=7)  # while the first process waits for work, the others wait for it


@dataclass(frozen=True)
class Group:
    """The processes of a `torchrun`.

    Attributes:
        rank: Number of this process, from 0.
        count: Number of processes.
        local_rank: Number of this process among those of its machine.
    """

    rank: int
    count: int
    local_rank: int

    def device(self, name: str) -> str:
        """The device of this process, if the user gave `name` for all of them."""
        return f"cuda:{self.local_rank}" if name == "auto" and torch.cuda.is_available() else name

    def send(self, message: bytes) -> None:
        """Sends a message from the first process to all others, which must `receive` it."""
        dist.broadcast(torch.tensor(len(message)), src=0)
        if message:
            dist.broadcast(torch.frombuffer(bytearray(message), dtype=torch.uint8), src=0)

    def receive(self) -> bytes:
        """The next message that the first process sends; waits for it."""
        length = torch.tensor(0)
        dist.broadcast(length, src=0)
        content = torch.empty(int(length), dtype=torch.uint8)
        if len(content):
            dist.broadcast(content, src=0)
        return content.numpy().tobytes()

    def share(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The module to call in training: it gives all processes the gradients of the whole batch.

        The network's batch norms then use the whole batch in training. Its parameters, their names
        and its evaluation stay as they are.
        """
        _sync_batch_norms(network)
        places = [device] if device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=places, broadcast_buffers=False)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a value over all processes."""
        total = value.clone()
        dist.all_reduce(total)
        return total / self.count


def join_group() -> Group | None:
    """The group that `torchrun` started this process in; None if it did not."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE)
    return Group(dist.get_rank(), dist.get_world_size(), int(os.environ["LOCAL_RANK"]))


class _SyncedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, which have one size.

    torch's own SyncBatchNorm has no CPU version; this one computes the same on every device.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        wide = x.float()  # statistics in fp32, also under autocast
        mean = _mean(wide.mean(dim=(0, 2, 3)))
        centred = wide - mean[:, None, None]
        variance = _mean(centred.square().mean(dim=(0, 2, 3)))
        # Running variance is unbiased, n / (n - 1), as in nn.BatchNorm2d; n counts all processes.
        n = wide.numel() / wide.shape[1] * dist.get_world_size()
        with torch.no_grad():
            momentum = cast("float", self.momentum)
            cast("Tensor", self.running_mean).lerp_(mean, momentum)
            cast("Tensor", self.running_var).lerp_(variance * (n / (n - 1)), momentum)
            cast("Tensor", self.num_batches_tracked).add_(1)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        out = centred * scale[:, None, None] + self.bias[:, None, None]
        return out.to(x.dtype)


class _Sum(Function):
    """The sum over all processes; its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _mean(value: Tensor) -> Tensor:
    return cast("Tensor", _Sum.apply(value)) / dist.get_world_size()


def _sync_batch_norms(network: nn.Module) -> None:
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = _SyncedBatchNorm2d
