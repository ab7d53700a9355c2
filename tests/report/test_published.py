from __future__ import annotations

import pytest

from moo_bnas.definition import Definition, load_definition, parse_definition
from moo_bnas.evaluation import Precision
from moo_bnas.networks.cost import flops
from moo_bnas.report.published import published


def changed(name: str, section: str, **options: object) -> Definition:
    values = load_definition(name).model_dump()
    values[section].update(options)
    return parse_definition(values, "test")


@pytest.mark.parametrize(
    ("name", "table"), [("vgg_small_cifar10", "Table 1"), ("resnet18_imagenet", "Table 2")]
)
def test_the_printed_flops_are_those_that_are_counted(name: str, table: str) -> None:
    definition = load_definition(name)
    network, found = definition.make_network(), published(definition)
    assert found is not None
    assert found.source == f"Shen et al. 2019, {table}"
    printed = {row.name: row.flops for row in found.rows}
    references: list[tuple[str, int, Precision]] = [("Full-Precision", 1, "full")]
    references += [(f"Uniform-{r}x", r, "binary") for r in (1, 2, 3, 4)]
    for model, ratio, precision in references:
        counted = flops(network, [ratio * w for w in network.base_widths], precision)
        assert float(f"{counted:.3g}") == printed[model]


def test_other_networks_and_images_have_none() -> None:
    assert published(load_definition("digits")) is None
    assert published(load_definition("resnet18_cifar10")) is None
    assert published(changed("vgg_small_cifar10", "network", base_width=64)) is None
    assert published(changed("resnet18_imagenet", "data", classes=100)) is None


def test_a_copy_in_a_folder_is_known_by_its_name() -> None:
    values = load_definition("vgg_small_cifar10").model_dump()
    folder = {"name": "folder", "image_size": 32, "classes": 10}
    copy = parse_definition({**values, "data": {**folder, "path": "CIFAR-10/jpeg"}}, "test")
    assert published(copy) == published(load_definition("vgg_small_cifar10"))
    assert published(parse_definition({**values, "data": {**folder, "path": "x"}}, "test")) is None
