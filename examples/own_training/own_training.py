"""An example of an evaluator that trains: small networks in plain PyTorch, in a space of their own.

Genes are the number of hidden layers and their width; the cost is the number of weights. The images
are those of [data], whichever they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from moo_bnas.evaluators import Evaluator, OwnCost, Result, Task


def perceptron(inputs: int = 64, classes: int = 10, epochs: int = 3) -> Evaluator:
    """Multi-layer perceptrons.

    The options come from a definition: whatever [evaluator] holds beside `name` and `seed`.

    Args:
        inputs: Numbers per image.
        classes: Number of classes.
        epochs: Passes over the training images.
    """

    def evaluate(task: Task) -> Result | None:
        """Trains one network, and scores it on the validation images."""
        import torch  # here and not above: the driver needs only the costs
        from torch import nn

        images = task.images
        torch.manual_seed(task.seed)
        device = torch.device(task.device)

        def tensors(split):  # type: ignore[no-untyped-def]
            pixels = torch.from_numpy(split.images[split.rows]).to(device)
            return pixels.flatten(1).float() / 255, torch.from_numpy(split.labels[split.rows])

        x, y = tensors(images.train)
        y = y.to(device)
        width, depth = int(task.values["width"]), int(task.values["depth"])
        sizes = [inputs, *([width] * depth)]
        hidden = [
            layer
            for before, after in pairwise(sizes)
            for layer in (nn.Linear(before, after), nn.ReLU())
        ]
        network = nn.Sequential(*hidden, nn.Linear(sizes[-1], classes)).to(device)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        for _ in range(epochs):
            for batch in torch.randperm(len(x)).split(64):
                if task.should_stop():
                    return None  # the candidate goes to another worker
                optimizer.zero_grad()
                nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()
                optimizer.step()
        network.eval()
        x, y = tensors(images.scoring)
        with torch.inference_mode():
            hits = (network(x).argmax(1).cpu() == y).float().mean().item()
        return Result(100 * hits, epochs=epochs, images=len(y))

    def weights(values: Mapping[str, float]) -> float:
        width, depth = values["width"], values["depth"]
        return inputs * width + (depth - 1) * width**2 + width * classes

    return Evaluator(evaluate, costs=[OwnCost("weights", "weights", "", weights)])
