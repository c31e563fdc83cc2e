"""The network of the drishti recipe."""

import pytest
import torch
from monai.networks.nets import BasicUNet

from pipeline.published import ClassicUNet


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("channels", "classes", "number"), [(3, 2, 34_527_106), (3, 1, 34_527_041), (1, 1, 34_525_889)]
)
def test_it_has_the_published_number_of_parameters(channels: int, classes: int, number: int) -> None:
    with torch.device("meta"):
        assert parameters(ClassicUNet(channels, classes)) == number


@pytest.mark.parametrize("upsample", ["deconv", "nontrainable", "pixelshuffle"])
def test_monais_network_of_these_widths_has_another_number(upsample: str) -> None:
    with torch.device("meta"):
        other = BasicUNet(2, 3, 2, (64, 128, 256, 512, 1024, 64), act="RELU", norm="BATCH", upsample=upsample)
    assert parameters(other) != 34_527_106


def test_the_parts_are_as_many_as_its_page_says() -> None:
    with torch.device("meta"):
        network = ClassicUNet(3, 2)
    parts = [parameters(part) for part in (network.down, network.rise, network.up, network.head)]
    assert parts == [18_851_136, 6_269_760, 9_406_080, 130]
    for number in parts:
        assert f"{number:,}" in (ClassicUNet.__doc__ or "")


def test_it_keeps_the_size_and_every_level_bears_on_every_pixel() -> None:
    torch.manual_seed(0)
    network = ClassicUNet(1, 2, (4, 8, 16)).eval()
    image = torch.rand(1, 1, 16, 24, requires_grad=True)
    scores = network(image)
    assert scores.shape == (1, 2, 16, 24)
    scores[0, 0, 8, 12].backward()
    reached = (image.grad[0, 0] != 0).nonzero()
    assert (reached.max(0).values - reached.min(0).values).min() >= 14  # more than two 3×3 convolutions see
