"""Several processes of one machine that train one network together.

They find each other through a file in a folder that only their user may enter, and talk over the
loopback interface: no port of theirs can be reached from another machine. What they send are bytes
of tensors and JSON, never pickles.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.parallel import DistributedDataParallel

_PATIENCE = timedelta(days=7)  # while the first process waits for work, the others wait for it


@dataclass(frozen=True)
class Group:
    """The processes that train together.

    Attributes:
        rank: Number of this process, from 0.
        count: Number of processes.
        lost: Says, in the first process, which other one has ended too early; None: none has.
    """

    rank: int
    count: int
    lost: Callable[[], str | None] = lambda: None

    def device(self, name: str) -> str:
        """The device of this process, if the user gave `name` for all of them."""
        return f"cuda:{self.rank}" if name == "auto" and torch.cuda.is_available() else name

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


def join_group(
    meeting: Path, rank: int, count: int, lost: Callable[[], str | None] = lambda: None
) -> Group:
    """Joins the group of processes that meet at a file; waits until all of them have.

    Args:
        meeting: Path of the file, in a folder that only this user may enter.
        rank: Number of this process, from 0.
        count: Number of processes.
        lost: See `Group`.
    """
    loopback = next(name for _, name in socket.if_nameindex() if name in ("lo", "lo0"))
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = loopback
    store = dist.FileStore(str(meeting), count)  # type: ignore[attr-defined]  # it is documented
    store.set_timeout(_PATIENCE)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=_PATIENCE)
    return Group(rank, count, lost)


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
