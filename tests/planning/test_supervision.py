"""Deep supervision: asked for in the task spec, counted in the plan, written with stock MONAI parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from ignite.engine import Engine
from ignite.handlers import EMAHandler
from monai.bundle import ConfigParser
from monai.networks.nets import DynUNet

from pipeline.errors import InvalidOption
from pipeline.fingerprint import Fingerprint
from pipeline.gate import innermost_layers
from pipeline.labels import LabelCoding
from pipeline.networks import FoldEnsemble, with_autocast
from pipeline.planning import Machine, PlanOptions, TaskSpec, bundle_files, make_plan, read_task_spec, write_bundle
from pipeline.training_dice import dice_of_scores

Maker = Callable[..., dict[str, Any]]
SPEC = TaskSpec("a_task", ("background", "lung"), LabelCoding.parse("index"))
ON, OFF = replace(SPEC, deep_supervision=True), replace(SPEC, deep_supervision=False)
CONFIGS = ("train", "multi_gpu_train", "evaluate", "inference")


def written(document: dict[str, Any], spec: TaskSpec, **options: Any) -> dict[str, str]:
    return bundle_files(
        make_plan(Fingerprint(document), spec, PlanOptions(**options)), "a_segmentation", {"classes": {}}
    )


@pytest.fixture
def parsed(fingerprint: Maker, tmp_path: Path) -> ConfigParser:
    """The train config of a small deeply supervised bundle."""
    path = tmp_path / "train.yaml"
    path.write_text(written(fingerprint(), ON)["configs/train.yaml"])
    parser = ConfigParser()
    parser.read_config(path)
    parser.update({"network_def#filters": [4, 4, 8, 8, 8, 8], "device": torch.device("cpu")})
    return parser


# --- the task spec ---


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("", None),
        ("deep_supervision: auto", None),
        ("deep_supervision: true", True),
        ("deep_supervision: false", False),
    ],
)
def test_a_task_spec_asks_for_deep_supervision_or_leaves_it_open(line: str, asked: bool | None, tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(f"labels: [background, lung]\nmasks: index\n{line}\n")
    assert read_task_spec(path).deep_supervision is asked


@pytest.mark.parametrize("value", ["2", "1", "sometimes", "[true]", "null"])
def test_anything_else_is_refused_by_name(value: str, tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(f"labels: [background, lung]\nmasks: index\ndeep_supervision: {value}\n")
    with pytest.raises(InvalidOption, match=r"task\.yaml: deep_supervision is .*expected true, false or auto"):
        read_task_spec(path)


# --- the plan ---


def test_without_it_the_configs_are_the_same_whether_it_was_refused_or_left_open(fingerprint: Maker) -> None:
    refused, left = written(fingerprint(), OFF), written(fingerprint(), SPEC)
    assert all(refused[f"configs/{kind}.yaml"] == left[f"configs/{kind}.yaml"] for kind in CONFIGS)
    assert "| deep supervision | off |" in refused["docs/README.md"]
    assert not any("deep supervision" in text for text in left.values())
    assert ("deep supervision", "off") in [
        row[:2] for row in make_plan(Fingerprint(fingerprint()), SPEC, PlanOptions()).table()
    ]


def test_with_it_every_config_has_the_same_supervised_network_and_training_says_why(fingerprint: Maker) -> None:
    content = written(fingerprint(), ON)
    networks = [yaml.safe_load(content[f"configs/{kind}.yaml"])["network_def"] for kind in CONFIGS]
    assert networks[0]["_target_"] == "DynUNet"
    assert all(network == networks[0] for network in networks)
    above = content["configs/train.yaml"].partition("\nnetwork_def:")[0]
    assert "deep supervision" in above[above.rindex("\nlabels:") :].lower()
    assert "| deep supervision | 3 heads |" in content["docs/README.md"]


def test_its_parameters_are_those_of_the_network_and_keep_to_the_limit(fingerprint: Maker, tmp_path: Path) -> None:
    plan = make_plan(Fingerprint(fingerprint()), ON, PlanOptions(max_parameters=300_000))
    config = yaml.safe_load(bundle_files(plan, "a_segmentation", {"classes": {}})["configs/train.yaml"])["network_def"]
    network = DynUNet(**{key: value for key, value in config.items() if key != "_target_"} | {"out_channels": 2})
    assert sum(weight.numel() for weight in network.parameters()) == plan.network.parameters <= 300_000


@pytest.mark.parametrize("size", [128, 512])
def test_a_shallow_network_has_fewer_heads_than_upward_steps(size: int, fingerprint: Maker) -> None:
    network = make_plan(Fingerprint(fingerprint(width=size, height=size)), ON, PlanOptions()).network
    assert 1 <= network.heads <= min(3, len(network.channels.value) - 2)


def test_its_time_and_memory_are_counted(fingerprint: Maker) -> None:
    document = fingerprint(cases=(300, 20, 40))
    plain, deep = (make_plan(Fingerprint(document), spec, PlanOptions()) for spec in (SPEC, ON))
    seen = [plan.schedule.epochs.value * plan.scale.megapixels for plan in (plain, deep)]
    assert seen[0] > 2.5 * seen[1]
    assert deep.schedule.seconds <= 1800
    tight = make_plan(Fingerprint(document), ON, PlanOptions(machine=Machine("cpu", 2, 0.7)))
    assert tight.schedule.step_gb < deep.schedule.step_gb


# --- the network that is written ---


def test_every_weight_learns_and_the_score_is_that_of_full_resolution(parsed: ConfigParser) -> None:
    network = parsed.get_parsed_content("network")
    image, label = torch.rand(2, 1, 64, 64), (torch.rand(2, 1, 64, 64) > 0.5).float()
    outputs = network.train()(image)
    assert outputs.shape == (2, 4, 2, 64, 64)
    loss = parsed.get_parsed_content("loss")
    value = loss(outputs.unbind(1), label)
    value.backward()
    # Of several processes, one whose weight has no gradient waits for the others in vain.
    assert all(
        weight.grad is not None and weight.grad.abs().sum() > 0 for weight in network.parameters() if weight.ndim
    )
    parts = [0.5**level * loss.loss(outputs[:, level], label) for level in range(4)]
    assert value.item() == pytest.approx(sum(part.item() for part in parts), rel=1e-5)
    score = parsed.get_parsed_content("train#key_metric")["train_mean_dice"]
    score.update(score._output_transform({"pred": outputs.detach(), "label": label}))
    expected = dice_of_scores(outputs[:, 0].detach(), label).mean()
    assert score.compute() == pytest.approx(float(expected), abs=1e-6)
    assert network.eval()(image).shape == (2, 2, 64, 64)


def test_validation_takes_the_one_output_that_it_gets(parsed: ConfigParser) -> None:
    pred, label = torch.rand(2, 64, 64), (torch.rand(1, 64, 64) > 0.5).float()
    done = parsed.get_parsed_content("validate#postprocessing")({"pred": pred, "label": label})
    assert torch.equal(done["pred"][1], pred.argmax(0).float())


def test_the_averaged_weights_load_strictly_into_one_network_and_into_an_ensemble(parsed: ConfigParser) -> None:
    torch.manual_seed(0)
    network = with_autocast(parsed.get_parsed_content("network_def"), "cpu").train()
    averaging = EMAHandler(network, momentum=0.5)
    before = network.output_block.conv.conv.bias[0].item()

    def step(_engine: Engine, _batch: int) -> None:
        network(torch.rand(2, 1, 64, 64)).mean().backward()
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(0.01)

    engine = Engine(step)
    averaging.attach(engine)
    engine.run([0])
    weights = averaging.ema_model.state_dict()
    # Each weight has two names in a DynUNet, and is averaged once all the same.
    assert weights["output_block.conv.conv.bias"][0].item() == pytest.approx(before + 0.005)
    fresh = ConfigParser(parsed.get()["network_def"] | {"out_channels": 2}).get_parsed_content()
    fresh.load_state_dict(weights)
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        expected = fresh.eval()(image).softmax(1)
        rounded = averaging.ema_model.eval()(image).softmax(1)  # bfloat16 where the processor has it
        assert (rounded - expected).abs().mean() < 0.02
        ensemble = FoldEnsemble(fresh)
        ensemble.load_state_dict(FoldEnsemble.joined([weights, weights]))
        assert torch.allclose(ensemble.eval()(image).exp(), expected, atol=1e-5)


def test_the_gate_finds_the_innermost_layers(parsed: ConfigParser) -> None:
    network = parsed.get_parsed_content("network_def").eval()
    layers = innermost_layers(network, torch.rand(1, 1, 64, 64))
    assert layers
    assert all(layer.startswith("bottleneck.") for layer in layers)


def test_without_it_the_network_stays_a_unet(fingerprint: Maker) -> None:
    for spec in (SPEC, OFF):
        assert (
            yaml.safe_load(written(fingerprint(), spec)["configs/train.yaml"])["network_def"]["_target_"]
            == "pipeline.networks.UNetWithHead"
        )


@pytest.mark.slow
def test_a_supervised_bundle_trains_an_epoch_is_resumed_and_infers(
    fingerprint: Maker, phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.tasks.infer import infer
    from pipeline.tasks.train import train

    # The config takes a compute thread a core, which wait for one another on a busy machine.
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    bundle, trained = tmp_path / "films_segmentation", tmp_path / "trained"
    write_bundle(make_plan(Fingerprint(fingerprint()), ON, PlanOptions()), bundle, {"classes": {}})
    settings = ["repeats=1", "val_interval=1", "num_workers=0", "image_size=[64,64]", "batch_size=4"]
    train(str(bundle), phantom_datalist, trained, [*settings, "max_epochs=1"], tracking=False)
    done = train(str(trained), phantom_datalist, overrides=["max_epochs=2"], resume=True, tracking=False).bundle
    assert len((done.root / "models" / "history.csv").read_text().splitlines()) == 3
    weights = torch.load(done.weights, weights_only=True)
    # Two names a weight in a DynUNet, stored once.
    assert done.weights.stat().st_size < 1.1 * 4 * sum(value.numel() for value in unique(weights)) + 100_000
    films = phantom_datalist.parent / "phantom" / "images"
    assert infer(str(done.root), [str(films)], tmp_path / "masks").segmented == 16


def unique(weights: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    return list({value.data_ptr(): value for value in weights.values()}.values())
