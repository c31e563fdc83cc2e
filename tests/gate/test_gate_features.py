"""Features of the first member's unflipped pass, for any network and any inferer."""

import numpy as np
import pytest
import torch
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import UNet
from torch import nn

from pipeline.gate import FeatureTap, flips_of, innermost_layers, members_of
from pipeline.networks import AveragedNetwork, FoldEnsemble


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return UNet(2, 1, 2, channels=(4, 8, 12), strides=(2, 2), num_res_units=1, norm="instance").eval()


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(3))


def taken(net: nn.Module, layers: list[str], image: torch.Tensor, ask: object = None) -> list[np.ndarray]:
    tap = FeatureTap(net, layers)
    with torch.inference_mode(), tap.reading() as noted:
        net(image) if ask is None else ask(image, net)  # type: ignore[operator]
    return tap.vectors(noted, len(image))


def test_the_innermost_layers_are_those_of_the_lowest_resolution(picture: torch.Tensor) -> None:
    net = network()
    layers = innermost_layers(net, picture)
    shapes = {}
    handles = [
        net.get_submodule(name).register_forward_hook(lambda m, i, out, name=name: shapes.update({name: out.shape}))
        for name in layers
    ]
    net(picture)
    assert handles
    assert {tuple(shape[2:]) for shape in shapes.values()} == {(8, 8)}
    assert {shape[1] for shape in shapes.values()} == {8, 12}


def test_a_layer_that_pools_to_one_pixel_is_not_taken() -> None:
    net = nn.Sequential(nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.AdaptiveAvgPool2d(1))
    assert innermost_layers(net, torch.zeros(1, 1, 16, 16)) == ["0"]


def test_a_layer_that_is_asked_twice_is_not_taken() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.act = nn.Conv2d(1, 1, 3, padding=1), nn.ReLU()

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.act(self.convolution(self.act(image)))

    assert innermost_layers(Twice(), torch.zeros(1, 1, 8, 8)) == ["convolution"]


def test_members_are_found_through_ensembles_and_flips() -> None:
    one, two = network(0), network(1)
    ensemble = FoldEnsemble(one, 2)
    assert members_of(one) == [one]
    assert members_of(AveragedNetwork([one, two], [(), (0,)])) == [one, two]
    assert members_of(AveragedNetwork([ensemble], [(), (0,)])) == list(ensemble.networks)
    assert flips_of(AveragedNetwork([ensemble], [[], [0]])) == ((), (0,))
    assert flips_of(one) == ((),)


def test_flips_do_not_change_the_features(picture: torch.Tensor) -> None:
    net = network()
    layers = innermost_layers(net, picture)
    alone = taken(net, layers, picture)
    for flips in ([(), (0,)], [(0,), ()]):
        averaged = taken(AveragedNetwork([net, network(1)], flips), layers, picture)
        for one, other in zip(alone, averaged, strict=True):
            np.testing.assert_array_equal(one, other)


def test_flips_in_one_batch_do_not_change_the_features(picture: torch.Tensor) -> None:
    net = network()
    layers = innermost_layers(net, picture)
    batch = torch.cat([picture, 2 * picture.flip(2)])
    alone = taken(net, layers, batch)
    for flips in ([(), (0,)], [(0,), (), (1,)]):
        found = taken(AveragedNetwork([net, network(1)], flips, at_once=6), layers, batch)
        for one, other in zip(alone, found, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_windows_of_a_picture_are_averaged_and_pictures_are_kept_apart(picture: torch.Tensor) -> None:
    net = network()
    inferer = SlidingWindowInferer(roi_size=(16, 16), sw_batch_size=3, overlap=0.0)
    layers = innermost_layers(net, picture[:, :, :16, :16])
    batch = torch.cat([picture, 2 * picture.flip(2)])
    found = taken(net, layers, batch, inferer)
    windows = [batch[:1, :, x : x + 16, y : y + 16] for x in (0, 16) for y in (0, 16)]
    by_hand = [np.mean(parts, axis=0) for parts in zip(*(taken(net, layers, part) for part in windows), strict=True)]
    for part, expected in zip(found, by_hand, strict=True):
        assert part.shape == (2, expected.shape[1])
        np.testing.assert_allclose(part[:1], expected, atol=1e-5)


def test_no_hook_is_left_behind(picture: torch.Tensor) -> None:
    net = network()
    layers = innermost_layers(net, picture)
    taken(net, layers, picture)
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in net.modules())
