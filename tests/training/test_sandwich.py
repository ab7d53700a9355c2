from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from moo_bnas.evolution.space import Genotype, SearchSpace
from moo_bnas.networks import make_network
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.module import SpecModule, build
from moo_bnas.training.inheritance import inherit
from moo_bnas.training.sandwich import Sandwich

NETWORKS = {
    "vgg_small": make_network("vgg_small", ImageShape(8, 1, 10), base_width=4),
    "resnet18": make_network("resnet18", ImageShape(32, 3, 10), base_width=4, stem="small"),
}


class Family:
    """A network, its space, and how its modules are made."""

    def __init__(self, name: str) -> None:
        self.network = NETWORKS[name]
        self.space = SearchSpace(self.network.genes, (0.25, 0.5, 1.0, 2.0))
        self.image = self.network.image

    def make(self, genotype: Genotype) -> SpecModule:
        widths = self.space.widths_of(genotype, self.network.base_widths)
        return build(self.network.layers(widths, "binary"))

    def batch(self) -> torch.Tensor:
        return torch.randn(16, self.image.channels, self.image.size, self.image.size)


@pytest.fixture(params=NETWORKS)
def family(request: pytest.FixtureRequest) -> Family:
    torch.manual_seed(0)
    return Family(request.param)


def test_a_narrower_network_learns_in_the_first_channels_of_the_widest(family: Family) -> None:
    """The reference is a network of its own that inherits the same channels."""
    genes = len(family.space.genes)
    genotype = tuple(i % 3 for i in range(genes))
    widest, images = family.make((3,) * genes).train(), family.batch()
    before = {name: tensor.clone() for name, tensor in widest.state_dict().items()}
    alone = family.make(genotype).train()
    inherit(alone, widest.state_dict())
    labels = torch.arange(16) % 10
    functional.cross_entropy(alone(images), labels).backward()  # type: ignore[no-untyped-call]
    logits = Sandwich(family.space, family.make).logits(genotype, widest, images, 0.0)
    functional.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
    wide = dict(widest.named_parameters())
    for name, parameter in alone.named_parameters():
        gradient = wide[name].grad
        assert gradient is not None
        assert parameter.grad is not None
        here = tuple(slice(n) for n in parameter.shape)
        torch.testing.assert_close(gradient[here], parameter.grad, rtol=1e-4, atol=1e-6)
        outside = gradient.clone()
        outside[here] = 0
        assert not outside.any(), name
    for name, tensor in widest.state_dict().items():  # its statistics, too
        assert torch.equal(tensor, before[name]), name


def test_each_step_trains_the_narrowest_and_two_random_networks() -> None:
    family = Family("vgg_small")
    sandwich = Sandwich(family.space, family.make)
    drawn = sandwich.draw(100, torch.Generator().manual_seed(1))
    assert drawn == sandwich.draw(100, torch.Generator().manual_seed(1))
    assert [len(step) for step in drawn] == [3] * 100
    assert {step[0] for step in drawn} == {(0,) * 6}
    random = [network for step in drawn for network in step[1:]]
    for gene in range(6):  # 200 draws of 4 ratios: 50 each, 5.5 standard deviations are 34
        counts = [sum(network[gene] == ratio for network in random) for ratio in range(4)]
        assert all(abs(count - 50) < 34 for count in counts)
