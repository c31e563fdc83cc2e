from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from pipeline import networks
from pipeline.networks import (
    AveragedNetwork,
    FoldEnsemble,
    UNetWithHead,
    best_dtype,
    freeze_idle_biases,
    with_autocast,
)


@pytest.fixture
def bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that computes in bfloat16, whatever this one does: emulated it is slow and the same."""
    monkeypatch.setattr(networks, "best_dtype", lambda device: torch.bfloat16)


def small(seed: int = 0, classes: int = 3) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.InstanceNorm2d(4), nn.ReLU(), nn.Conv2d(4, classes, 1))


def picture(seed: int = 9) -> torch.Tensor:
    return torch.rand((2, 1, 12, 8), generator=torch.Generator().manual_seed(seed))


# --- precision ---


def test_the_processor_is_asked_and_an_old_torch_that_cannot_be_asked_means_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    monkeypatch.setattr(networks, "is_slow_in_bfloat16", lambda: False)
    assert best_dtype("cpu") is torch.bfloat16
    monkeypatch.setattr(networks, "is_slow_in_bfloat16", lambda: True)
    assert best_dtype("cpu") is torch.float32
    monkeypatch.setattr(networks, "is_slow_in_bfloat16", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert best_dtype("cpu") is torch.float32
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert best_dtype(torch.device("cpu")) is torch.float32


@pytest.mark.parametrize("supported", [True, False])
def test_cuda_gets_bfloat16_where_it_is_in_hardware(supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert best_dtype("cuda:1") is (torch.bfloat16 if supported else torch.float32)


def test_other_devices_compute_in_float32() -> None:
    assert best_dtype("meta") is torch.float32


@pytest.mark.usefixtures("bf16")
def test_the_weights_keep_their_names_values_and_type() -> None:
    network = small()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert with_autocast(network, "cpu") is network
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) and after[name].dtype == torch.float32 for name in before)
    small(1).load_state_dict(after)


@pytest.mark.usefixtures("bf16")
def test_the_network_computes_in_bfloat16_and_answers_in_float32() -> None:
    network, seen = small(), []
    network[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    exact = network(picture())
    rounded = with_autocast(network, "cpu")(picture())
    assert seen == [torch.float32, torch.bfloat16]
    assert rounded.dtype == torch.float32
    assert torch.allclose(rounded, exact, atol=0.05)
    assert not torch.equal(rounded, exact)


@pytest.mark.usefixtures("bf16")
def test_gradients_reach_the_float32_weights() -> None:
    network = with_autocast(small(), "cpu")
    network(picture()).square().mean().backward()
    gradients = [weight.grad for weight in network.parameters()]
    assert all(g is not None and g.dtype == torch.float32 and torch.isfinite(g).all() for g in gradients)
    assert gradients[-2].abs().sum() > 0


@pytest.mark.usefixtures("bf16")
def test_a_deep_copy_computes_with_its_own_weights() -> None:
    network = with_autocast(small(), "cpu")
    twin = copy.deepcopy(network)
    with torch.no_grad():
        for weight in twin.parameters():
            weight.zero_()
    assert (twin(picture()) == 0).all()
    assert (network(picture()) != 0).any()


@pytest.mark.usefixtures("bf16")
def test_several_outputs_of_deep_supervision_all_come_in_float32() -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 1)

        def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
            out = self.conv(image)
            return [out, out[..., ::2, ::2]]

    outputs = with_autocast(Deep(), "cpu")(picture())
    assert [out.dtype for out in outputs] == [torch.float32, torch.float32]
    assert outputs[1].shape[-2:] == (6, 4)


@pytest.mark.usefixtures("bf16")
def test_autocast_can_be_switched_off() -> None:
    network = small()
    exact = small()(picture())
    torch.testing.assert_close(with_autocast(network, "cpu", enabled=False)(picture()), exact, rtol=1e-4, atol=1e-4)
    assert "forward" not in vars(network)


def test_without_bfloat16_nothing_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "best_dtype", lambda device: torch.float32)
    assert "forward" not in vars(with_autocast(small(), "cpu"))


# --- biases that a norm takes away ---


def unet(norm: str) -> UNetWithHead:
    torch.manual_seed(0)
    return UNetWithHead(
        spatial_dims=2, in_channels=1, out_channels=2, channels=[4, 8], strides=[2], num_res_units=2, norm=norm
    )


def test_biases_before_an_instance_norm_have_no_effect_and_are_not_trained() -> None:
    network = unet("INSTANCE")
    before = network(picture())
    freeze_idle_biases(network)
    frozen = [name for name, weight in network.named_parameters() if not weight.requires_grad]
    # All but those of the residual convolutions, the last block, whose output stays as it is, and the head.
    assert len(frozen) == 5
    assert all(name.endswith("conv.bias") for name in frozen)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight += 3.0 if name in frozen else 0.0
    torch.testing.assert_close(network(picture()), before, rtol=1e-4, atol=1e-4)


def test_other_biases_are_trained() -> None:
    for network in (unet("BATCH"), small()):
        freeze_idle_biases(network)
        assert all(weight.requires_grad for weight in network.parameters())


# --- ensembles and flips ---


def test_the_soft_max_of_an_ensemble_is_the_mean_of_the_members_probabilities() -> None:
    members = [small(seed) for seed in range(3)]
    out = torch.softmax(AveragedNetwork(members)(picture()), dim=1)
    expected = sum(torch.softmax(member(picture()), dim=1) for member in members) / 3
    assert torch.allclose(out, expected, atol=1e-6)


def test_flips_are_undone_before_the_mean_is_taken() -> None:
    class Position(nn.Module):
        """Logits that grow along x and y of what is put in, and know the pixel itself."""

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            x = torch.arange(image.shape[2])[:, None] * 0.1
            y = torch.arange(image.shape[3])[None, :] * 0.03
            return torch.cat([image * 4, (x + y).expand_as(image)], dim=1)

    flips = ((), (0,), (1,), (0, 1))
    image, expected = picture(), 0
    for flip in flips:
        axes = [axis + 2 for axis in flip]
        probabilities = torch.softmax(Position()(torch.flip(image, axes)), dim=1).numpy()
        for axis in axes:
            probabilities = probabilities.take(range(probabilities.shape[axis])[::-1], axis=axis)
        expected = expected + probabilities / 4
    out = torch.softmax(AveragedNetwork([Position()], flips)(image), dim=1)
    assert torch.allclose(out, torch.as_tensor(expected), atol=1e-6)
    assert not torch.allclose(out, torch.softmax(AveragedNetwork([Position()])(image), dim=1), atol=1e-2)


def test_flips_in_one_batch_give_what_one_after_the_other_gives() -> None:
    flips, asked = ((), (0,), (1,)), []
    members = [small(0), small(1)]
    for member in members:
        member.register_forward_pre_hook(lambda module, inputs: asked.append(len(inputs[0])))
    apart = AveragedNetwork(members, flips)(picture())
    assert asked == [2] * 6
    asked.clear()
    together = AveragedNetwork(members, flips, at_once=6)
    assert torch.allclose(together(picture()), apart, atol=1e-5)
    assert asked == [6, 6]
    asked.clear()
    assert torch.equal(AveragedNetwork(members, flips, at_once=5)(picture()), apart)  # more than are wanted at once
    assert asked == [2] * 6
    assert not together.joined


def test_one_network_without_flips_keeps_its_probabilities_and_classes() -> None:
    network, image = small(), picture()
    out = AveragedNetwork([network])(image)
    assert torch.allclose(torch.softmax(out, dim=1), torch.softmax(network(image), dim=1), atol=1e-6)
    assert torch.equal(out.argmax(dim=1), network(image).argmax(dim=1))


def test_impossible_classes_stay_finite() -> None:
    class Certain(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.cat([image * 0 + 500, image * 0 - 500], dim=1)

    out = AveragedNetwork([Certain()])(picture())
    assert torch.isfinite(out).all()
    assert torch.allclose(torch.softmax(out, dim=1)[:, 0], torch.ones(2, 12, 8))


@pytest.mark.parametrize(("members", "flips"), [([], ((),)), ([small()], ())])
def test_nothing_to_average_is_an_error(members: list[nn.Module], flips: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="at least one network and one pass"):
        AveragedNetwork(members, flips)(picture())


# --- the networks of a cross-validation as one ---


def ensemble(*seeds: int) -> FoldEnsemble:
    made = FoldEnsemble(small(99), len(seeds))
    made.load_state_dict(FoldEnsemble.joined([small(seed).state_dict() for seed in seeds]))
    return made


def test_a_fold_ensemble_answers_as_the_mean_of_its_members() -> None:
    out = ensemble(0, 1, 2)(picture())
    expected = AveragedNetwork([small(seed) for seed in range(3)])(picture())
    assert torch.allclose(out, expected, atol=1e-6)
    assert torch.isfinite(out).all()


def test_members_are_copies_and_not_one_network_several_times() -> None:
    made = FoldEnsemble(small(), 3)
    with torch.no_grad():
        for weight in made.networks[0].parameters():
            weight.zero_()
    assert all((member(picture()) != 0).any() for member in made.networks[1:])


def test_a_fold_ensemble_takes_the_weights_of_one_network_as_an_ensemble_of_one() -> None:
    made = ensemble(0, 1, 2)
    made.load_state_dict(small(7).state_dict())
    assert len(made.networks) == 1
    assert torch.allclose(torch.softmax(made(picture()), 1), torch.softmax(small(7)(picture()), 1), atol=1e-6)


@pytest.mark.parametrize("members", [1, 2, 4])
def test_a_fold_ensemble_has_as_many_members_as_its_weights(members: int) -> None:
    made, weights = ensemble(0, 1), FoldEnsemble.joined([small(seed).state_dict() for seed in range(members)])
    made.load_state_dict(weights)
    assert len(made.networks) == members
    assert all(torch.equal(made.state_dict()[name], value) for name, value in weights.items())


def test_weights_of_another_network_do_not_load_into_a_fold_ensemble() -> None:
    with pytest.raises(RuntimeError, match="loading state_dict"):
        ensemble(0, 1).load_state_dict(nn.Conv2d(1, 2, 1).state_dict())


def test_weights_in_16_bits_are_computed_with_in_32() -> None:
    made = FoldEnsemble(small(99), 2)
    made.load_state_dict(FoldEnsemble.joined([small(seed).half().state_dict() for seed in (0, 1)]))
    assert all(weight.dtype == torch.float32 for weight in made.parameters())
    assert torch.allclose(made(picture()), ensemble(0, 1)(picture()), atol=0.01)


def test_a_fold_ensemble_can_be_scripted() -> None:
    made = ensemble(0, 1).eval()
    assert torch.allclose(torch.jit.script(made)(picture()), made(picture()), atol=1e-6)


@pytest.mark.usefixtures("bf16")
def test_a_fold_ensemble_computes_in_bfloat16_and_adds_in_float32() -> None:
    made, seen = ensemble(0, 1), []
    made.networks[1][0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    exact = made(picture())
    rounded = with_autocast(made, "cpu")(picture())
    assert seen == [torch.float32, torch.bfloat16]
    assert rounded.dtype == torch.float32
    assert torch.allclose(rounded.exp(), exact.exp(), atol=0.02)


def test_an_ensemble_of_nobody_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one member"):
        FoldEnsemble(small(), 0)


def headed() -> UNetWithHead:
    torch.manual_seed(0)
    return UNetWithHead(
        spatial_dims=2, in_channels=1, out_channels=3, channels=(8, 16, 32), strides=(2, 2), norm="INSTANCE"
    ).eval()


def test_the_classes_of_the_u_net_come_from_features_at_full_resolution() -> None:
    network = headed()
    assert network.head.weight.shape == (3, 8, 1, 1)
    assert network(torch.rand(2, 1, 32, 48)).shape == (2, 3, 32, 48)


def test_the_u_net_with_a_head_can_be_scripted_and_copied() -> None:
    network = headed()
    image = torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(torch.jit.script(network)(image), network(image))
    torch.testing.assert_close(copy.deepcopy(network)(image), network(image))
