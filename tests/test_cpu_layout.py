"""What keeps to a CPU's layout computes as PyTorch and MONAI do, in training too; the weights stay as they are."""

from __future__ import annotations

import copy

import pytest
import torch
from monai.networks.layers.simplelayers import SkipConnection
from torch import nn

from pipeline.cpu_layout import laid_out_for_cpu


def pictures(**options: torch.dtype) -> torch.Tensor:
    return torch.randn(3, 5, 12, 9, generator=torch.Generator().manual_seed(3)).to(**options) * 4 + 7


def pair(affine: bool) -> tuple[nn.InstanceNorm2d, nn.InstanceNorm2d]:
    plain = nn.InstanceNorm2d(5, affine=affine)
    if affine:
        with torch.no_grad():
            plain.weight.copy_(torch.linspace(-2, 3, 5))
            plain.bias.copy_(torch.linspace(4, -1, 5))
    return plain, laid_out_for_cpu(copy.deepcopy(plain))


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("training", [True, False])
def test_values_and_gradients_are_those_of_pytorch(affine: bool, layout: torch.memory_format, training: bool) -> None:
    found = []
    for norm in pair(affine):
        image = pictures().requires_grad_()
        out = norm.train(training)(image.contiguous(memory_format=layout))
        out.mul(torch.linspace(0, 1, out.numel()).view_as(out)).sum().backward()
        found.append([out.detach(), image.grad, *(weight.grad for weight in norm.parameters())])
    assert len(found[0]) == (4 if affine else 2)
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_bfloat16_stays_and_its_statistics_are_float32s() -> None:
    plain, quick = pair(affine=False)
    rounded = pictures(dtype=torch.bfloat16)
    exact = plain(rounded.float())
    out = quick(rounded)
    assert out.dtype == torch.bfloat16
    # Half a step of bfloat16 at most: nothing but the result is rounded.
    assert ((out.float() - exact).abs() <= exact.abs() * 2**-8 + 1e-6).all()


def test_no_sample_sees_another() -> None:
    _, quick = pair(affine=False)
    image = pictures()
    torch.testing.assert_close(quick(image)[1:2], quick(image[1:2]))


def test_names_and_values_of_weights_stay() -> None:
    network = nn.Sequential(nn.Conv2d(1, 5, 3), nn.InstanceNorm2d(5, affine=True), nn.BatchNorm2d(5))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert laid_out_for_cpu(network) is network
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert after["0.weight"].is_contiguous(memory_format=torch.channels_last)


def test_a_deep_copy_uses_its_own_weights() -> None:
    _, quick = pair(affine=True)
    twin = copy.deepcopy(quick)
    with torch.no_grad():
        twin.weight.zero_()
        twin.bias.fill_(2)
    assert (twin(pictures()) == 2).all()
    assert not (quick(pictures()) == 2).any()


def test_running_statistics_and_volumes_are_left_to_pytorch() -> None:
    network = nn.Sequential(nn.InstanceNorm2d(5, track_running_stats=True), nn.InstanceNorm3d(5))
    laid_out_for_cpu(network)
    assert all("forward" not in vars(module) for module in network.modules())


def test_one_picture_without_a_batch_is_taken_too() -> None:
    plain, quick = pair(affine=False)
    torch.testing.assert_close(quick(pictures()[0]), plain(pictures()[0]))


def test_a_single_pixel_is_refused_as_pytorch_does() -> None:
    plain, quick = pair(affine=False)
    for norm in (plain, quick):
        with pytest.raises(ValueError, match="more than 1"):
            norm(torch.zeros(2, 5, 1, 1))


@pytest.mark.parametrize(("first", "second"), [(4, 8), (16, 16), (3, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_skip_connections_are_monais_and_their_gradients_lie_by_themselves(
    first: int, second: int, dtype: torch.dtype
) -> None:
    found, layouts = [], []
    torch.manual_seed(0)
    plain = SkipConnection(nn.Conv2d(first, second, 1)).to(dtype)
    for skip in (plain, laid_out_for_cpu(copy.deepcopy(plain))):
        image = torch.randn(2, first, 6, 5, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
        skip.submodule.register_full_backward_hook(
            lambda module, into, out: layouts.append(out[0].is_contiguous(memory_format=torch.channels_last))
        )
        out = skip(image.contiguous(memory_format=torch.channels_last))
        weights = torch.linspace(-1, 1, out.numel()).view_as(out).to(dtype)
        out.backward(weights.contiguous(memory_format=torch.channels_last))
        found.append([out.detach(), image.grad, *(weight.grad for weight in skip.parameters())])
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected)
    assert layouts == [False, True]


def test_other_connections_are_left_to_monai() -> None:
    network = nn.Sequential(SkipConnection(nn.Identity(), mode="add"), SkipConnection(nn.Identity(), dim=2))
    laid_out_for_cpu(network)
    assert all("forward" not in vars(module) for module in network)


@pytest.mark.parametrize(("stride", "padding"), [((2, 2), 0), ((1, 3), "valid"), ((2, 2), 1)])
def test_convolutions_of_single_pixels_that_leave_some_out_are_pytorchs(stride: tuple[int, int], padding: str) -> None:
    plain = nn.Conv2d(5, 8, 1, stride, padding)
    found = []
    for convolution in (plain, laid_out_for_cpu(copy.deepcopy(plain))):
        image = pictures().requires_grad_()
        out = convolution(image)
        out.mul(torch.linspace(0, 1, out.numel()).view_as(out)).sum().backward()
        found.append([out.detach(), image.grad, *(weight.grad for weight in convolution.parameters())])
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_their_gradients_stay_within_their_memory() -> None:
    convolution = laid_out_for_cpu(nn.Conv2d(8, 8, 1, 2))
    out = convolution(pictures()[:, :1].expand(-1, 8, -1, -1))
    node = out.grad_fn
    # What oneDNN is asked for: no steps between pixels, of which its gradient of few channels goes astray.
    while node is not None and "Convolution" not in type(node).__name__:
        node = node.next_functions[0][0]
    assert node is not None
    assert tuple(node._saved_stride) == (1, 1)
