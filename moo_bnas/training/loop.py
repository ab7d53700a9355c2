"""Trains one network and scores it; one loop for CPU and GPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

import torch
from torch import Tensor, nn
from torch.nn import functional

from moo_bnas.errors import DivergenceError, Interrupted
from moo_bnas.evolution.space import Genotype
from moo_bnas.networks.module import set_progress
from moo_bnas.recipe import Recipe
from moo_bnas.training.augmentation import Augmentation
from moo_bnas.training.cuda_graphs import run_as_graphs
from moo_bnas.training.device_data import DeviceData
from moo_bnas.training.process_group import Group
from moo_bnas.training.sandwich import Sandwich

_SCORING_BATCH = 512


class Training:
    """A network in training; between two epochs its state can be kept, and restored.

    On a CPU with one thread, equal arguments give bitwise equal results in any process, also
    through `state` and `restore`.

    Args:
        network: Network to train; it is moved to the device of the data.
        data: Data to train and score on.
        recipe: How to train.
        seed: Seed of the order of images and of their augmentation.
        scores: Whether to score after each epoch.
        group: Processes that train the network together, each with the same arguments; each gets
            an equal share of a batch.
        sandwich: Narrower networks that are trained beside it in its own weights; None: there are
            none.

    Attributes:
        network: The network as given.
        images: Number of images that an epoch trains on, of the whole group.
        losses: Mean training loss of each epoch so far.
        accuracies: Top-1 accuracy on the scoring images after each epoch so far, percent; empty
            unless `scores` is set.
    """

    def __init__(
        self,
        network: nn.Module,
        data: DeviceData,
        recipe: Recipe,
        seed: int,
        *,
        scores: bool = True,
        group: Group | None = None,
        sandwich: Sandwich | None = None,
    ) -> None:
        self.network = network.to(data.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.losses: list[float] = []
        self.accuracies: list[float] = []
        self._scores = scores
        self._group = group
        self._sandwich = sandwich
        self._data = data
        self._recipe = recipe
        self._random = torch.Generator().manual_seed(seed)
        self._augmentation = Augmentation(
            data.size, recipe.shift, recipe.flip, recipe.random_resized_crop
        )
        images = len(data.train.rows)
        processes = group.count if group else 1
        self._steps = max(images // recipe.batch_size, 1)
        self._share = images // self._steps // processes  # of a batch, for this process
        self._batch = self._share * processes
        self.images = self._steps * self._batch
        # What is called in training: the network itself, except in a group.
        self._module = group.share(self.network, data.device) if group else self.network
        self._is_graph = group is not None or data.device.type != "cuda"
        self._optimizer = _optimizer(self.network, recipe)
        # Scaling of gradients is for fp16; bf16 has the range of fp32. Each weight is used once per
        # step, so nothing is gained by caching what it was cast to.
        self._autocast = torch.autocast(
            data.device.type,
            dtype=torch.bfloat16,
            enabled=recipe.dtype == "bf16",
            cache_enabled=False,
        )

    @property
    def is_over(self) -> bool:
        """Whether all epochs were trained."""
        return len(self.losses) >= self._recipe.epochs

    def run(
        self,
        should_stop: Callable[[], bool] = lambda: False,
        after_epoch: Callable[[], None] = lambda: None,
    ) -> list[float]:
        """Trains to the end of the recipe.

        Args:
            should_stop: Asked before every step.
            after_epoch: Called after every epoch.

        Returns:
            `accuracies`.

        Raises:
            Exception: The same as `run_epoch`.
        """
        while not self.is_over:
            self.run_epoch(should_stop)
            after_epoch()
        return self.accuracies

    def run_epoch(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Trains one epoch, and scores if `scores` is set.

        Args:
            should_stop: Asked before every step.

        Raises:
            DivergenceError: If the loss is not finite at its end.
            Interrupted: Once `should_stop` says so; the epoch is then half done, so the training
                run can only be dropped.
        """
        data, recipe = self._data, self._recipe
        self.network.train()
        set_progress(self.network, len(self.losses) / recipe.epochs)
        first = self._group.rank * self._share if self._group else 0
        starts = range(first, self._steps * self._batch, self._batch)
        parts = [slice(start, start + self._share) for start in starts]
        batches = data.train.augmented(self._augmentation, self._random, parts, data.device)
        narrower: Sequence[Sequence[Genotype]] = [[]] * self._steps
        if self._sandwich is not None:
            narrower = self._sandwich.draw(self._steps, self._random)
        loss_sum = torch.zeros((), device=data.device)
        with closing(batches):
            for step in range(self._steps):
                if should_stop():
                    raise Interrupted
                images, labels = next(batches)
                inputs = data.normalise(images)
                if not self._is_graph:  # once is enough: all batches have one shape
                    run_as_graphs(self.network, inputs, self._autocast)
                    self._is_graph = True
                loss_sum += self._step(inputs, labels, step, narrower[step])
        if self._group:
            loss_sum = self._group.mean(loss_sum)
        loss = loss_sum.item() / self._steps
        if not math.isfinite(loss):
            raise DivergenceError(
                f"the loss was {loss} in epoch {len(self.losses) + 1} of {recipe.epochs}; lower "
                "the learning_rate of the recipe"
            )
        self.losses.append(loss)
        if self._scores:
            self.accuracies.append(score(self.network, data))

    def state(self) -> dict[str, Tensor]:
        """All that decides how the training run continues: tensors by name, on the host.

        On a CPU they may share memory with the training run.
        """
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        for i, values in self._optimizer.state_dict()["state"].items():
            tensors.update({f"optimizer.{i}.{k}": v for k, v in values.items() if v is not None})
        tensors["random"] = self._random.get_state()
        for name in ("losses", "accuracies"):
            tensors[name] = torch.tensor(getattr(self, name), dtype=torch.float64)
        return {k: v.detach().cpu().contiguous() for k, v in tensors.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continues from a `state` of a training run with the same arguments."""
        self.network.load_state_dict(
            {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}
        )
        parameters = [p for group in self._optimizer.param_groups for p in group["params"]]
        optimizer: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            kind, _, rest = key.partition(".")
            if kind == "optimizer":
                index, _, name = rest.partition(".")
                optimizer.setdefault(int(index), {})[name] = _laid_as(parameters[int(index)], value)
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": optimizer, "param_groups": groups})
        self._random.set_state(state["random"])
        self.losses, self.accuracies = state["losses"].tolist(), state["accuracies"].tolist()

    def _step(
        self, inputs: Tensor, labels: Tensor, step: int, narrower: Sequence[Genotype]
    ) -> Tensor:
        """One step; the loss of the network itself."""
        recipe, epoch = self._recipe, len(self.losses)
        with self._autocast:
            logits = self._module(inputs)
        loss = functional.cross_entropy(
            logits.float(), labels, label_smoothing=recipe.label_smoothing
        )
        for group in self._optimizer.param_groups:
            share = rate(recipe, epoch * self._steps + step, self._steps)
            group["lr"] = recipe.learning_rate * share
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._sandwich is not None:
            soft = logits.detach().float().softmax(dim=1)
            for genotype in narrower:
                with self._autocast:
                    own = self._sandwich.logits(
                        genotype, self.network, inputs, epoch / recipe.epochs
                    )
                functional.cross_entropy(own.float(), soft).backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss.detach()


def rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step, counted from 0, as a share of its peak.

    `one_cycle` rises linearly over the first `warmup` of all steps, then falls as half a cosine
    towards 0 (Smith and Topin 2018, with a cosine). `steps` falls to a tenth at each milestone,
    `linear` as a line towards 0.
    """
    if recipe.schedule == "steps":
        return 0.1 ** sum(step >= epoch * steps_per_epoch for epoch in recipe.milestones)
    steps = recipe.epochs * steps_per_epoch
    if recipe.schedule == "linear":
        return 1 - step / steps
    rise = recipe.warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1)))


def score(network: nn.Module, data: DeviceData) -> float:
    """Top-1 accuracy on the scoring images, percent."""
    return score_top(network, data, (1,))[0]


def score_top(network: nn.Module, data: DeviceData, tops: Sequence[int]) -> list[float]:
    """Shares of the scoring images whose class is among the k likeliest, percent.

    In fp32, where binary layers are exact. Of classes that are equally likely, which the coarse
    values of narrow networks make frequent, the one of the lowest index counts as likelier.

    Args:
        network: Network to score.
        data: Data with the scoring images.
        tops: Values of k; with no more than k classes every image counts.
    """
    network.eval()
    right = torch.zeros(len(tops), dtype=torch.int64, device=data.device)
    with torch.inference_mode():
        parts = torch.split(data.scoring.rows, _SCORING_BATCH)
        for images, labels in data.scoring.plain(parts, data.size, data.device):
            logits = network(data.normalise(images))
            own = logits.gather(1, labels[:, None])
            places = labels.new_tensor(range(logits.shape[1]))
            # The rank of the right class is the number of classes that come before it.
            before = (logits > own) | ((logits == own) & (places < labels[:, None]))
            right += torch.stack([(before.sum(dim=1) < k).sum() for k in tops])
    return [100.0 * n / len(data.scoring.rows) for n in right.tolist()]


def _laid_as(parameter: Tensor, value: Tensor) -> Tensor:
    """A state of the optimizer in the memory layout of its parameter, as fused kernels need it."""
    if value.shape != parameter.shape:
        return value  # a count of steps
    return torch.empty_like(parameter).copy_(value)


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "adam":
        return torch.optim.Adam(
            network.parameters(),
            lr=recipe.learning_rate,
            betas=(recipe.momentum, 0.999),
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov and recipe.momentum > 0,
        fused=True,
    )
