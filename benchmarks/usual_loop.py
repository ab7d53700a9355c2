"""The training loop that PyTorch tutorials teach, which benchmarks/training.py measures.

A DataLoader with torchvision's transforms for each sample, fp32, binarizers written with clamp,
round and detach, and torch's SGD with its defaults.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from moo_bnas.data import ImageData
from moo_bnas.networks.binary_layers import Activation, BinaryConv2d
from moo_bnas.networks.layers import LayerSpec
from moo_bnas.networks.module import SpecModule, build

SHIFT = 4
"""Pixels by which training images are shifted at most, in both systems."""


class UsualConv2d(BinaryConv2d):
    """A binary convolution as tutorials write it."""

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight
        binary = torch.sign(w) * w.abs().mean()
        return functional.conv2d(x, (binary - w).detach() + w, None, self.stride, self.padding)


class UsualActivation(nn.Module):
    """A binary activation as tutorials write it."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.clamp(0, 1)
        return (x.round() - x).detach() + x


class UsualDataset(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's CIFAR10 returns them: from an array, through PIL and transforms."""

    def __init__(self, data: ImageData) -> None:
        images = data.train.images[data.train.rows].transpose(0, 2, 3, 1)
        self._images = images.squeeze(3) if images.shape[3] == 1 else images
        self._labels = data.train.labels
        _, channels, size, _ = data.train.images.shape
        self._transform = transforms.Compose(
            [
                transforms.RandomCrop(size, padding=SHIFT),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.5,) * channels, (0.25,) * channels),
            ]
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self._images[index])
        return self._transform(image), int(self._labels[index])


def usual_network(specs: list[LayerSpec]) -> SpecModule:
    """The same network with the usual binarizers."""
    network = build(specs)
    for name, layer in network.layers.items():
        if isinstance(layer, BinaryConv2d):
            layer.__class__ = UsualConv2d  # keeps the initial weights
        elif isinstance(layer, Activation):
            network.layers[name] = UsualActivation()
    return network


def usual_loop(
    data: ImageData,
    specs: list[LayerSpec],
    batch_size: int,
    device: torch.device,
    loader_workers: int,
) -> Callable[[], None]:
    """A function that trains one epoch."""
    loader = DataLoader(
        UsualDataset(data),
        batch_size=batch_size,
        shuffle=True,
        num_workers=loader_workers,
        pin_memory=device.type == "cuda",
        persistent_workers=loader_workers > 0,
    )
    network = usual_network(specs).to(device).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)

    def run() -> None:
        loss_sum = 0.0
        for images, labels in loader:
            x = images.to(device, non_blocking=True)
            y = labels.to(device, non_blocking=True)
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(x), y)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item()  # as tutorials do: waits for the GPU in every step

    return run
