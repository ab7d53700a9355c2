"""CUDA graphs: a network's training step as one launch instead of hundreds of small ones."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)


def run_as_graphs(network: nn.Module, inputs: Tensor, autocast: torch.autocast) -> None:
    """Makes forward and backward of a network in training run as CUDA graphs from now on.

    Narrow networks keep a GPU busy for less time than launching their kernels one by one takes.
    Numbers do not change. If a network cannot be captured (for example one of another package that
    looks at values on the host), a warning says so, and it continues to run kernel by kernel.

    Args:
        network: Network in training mode, on a GPU; its weights and statistics stay as they are.
        inputs: A batch; later ones must have its shape and layout.
        autocast: Context that its forward runs in; its cache must be off.
    """
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    try:
        with autocast:
            torch.cuda.make_graphed_callables(network, (inputs.clone(),))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        log.warning("this network runs without CUDA graphs: %s", str(error).partition("\n")[0])
    network.load_state_dict(kept)  # warming up has moved the statistics of batch norms
