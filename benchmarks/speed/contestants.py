"""Who takes part in what, and with which settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.commands import PeerError
from benchmarks.nnunet.contestant import NnunetContestant
from benchmarks.nnunet.conversion import convert
from benchmarks.nnunet.environment import NnunetEnvironment
from benchmarks.speed.material import STOCK, Material, as_setting, environment
from benchmarks.speed.process import worker

__all__ = [
    "Entrant",
    "Peers",
    "Scale",
    "entrants_of_augmentation",
    "entrants_of_inference",
    "entrants_of_training",
    "entrants_of_variations",
    "missing_packages",
]

# What the command line calls a peer, and what its environment must have.
PACKAGES = {
    "nnunet": ("nnunetv2",),
    "lightning": ("lightning", "segmentation_models_pytorch", "albumentations"),
    "onnxruntime": ("onnxruntime", "onnxscript"),
    "openvino": ("openvino", "onnxscript"),
    "lungmask": ("lungmask",),
}
NEVER = 1_000_000_000
SLOW_FILES_ON_CPU = 12  # a pass of nnU-Net and lungmask: all files would take them longer than all others together


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        device: "cpu" or "gpu".
        cores: That may be used.
        batch: Pictures a training step.
        training_sizes, inference_sizes: Sides, pixels.
        inference_network: Side of the network's input for each of the inference sizes.
        films: Different films.
        files: Films a pass, for each of the inference sizes.
        turn_s: Of a turn, s.
        rounds: Turns of each.
        cold_rounds: Whole commands of each.
    """

    device: str
    cores: int
    batch: int
    training_sizes: tuple[int, ...]
    inference_sizes: tuple[int, ...]
    inference_network: tuple[int, ...]
    films: int
    files: tuple[int, ...]
    turn_s: float
    rounds: int
    cold_rounds: int

    @property
    def repeats(self) -> int:
        """How often an epoch takes each film, so that it has some thirty steps."""
        return max(1, -(-30 * self.batch // self.films))

    @property
    def workers(self) -> int:
        """Processes that load beside the training, in the peers as they would set it: none on two cores."""
        return 0 if self.cores <= 2 else min(8, self.cores - 1)


@dataclass(frozen=True)
class Peers:
    """Pythons of the environments that peers are installed in, by the peer's name; this one if none is named."""

    pythons: dict[str, Path] = field(default_factory=dict)

    def python(self, name: str) -> Path:
        """Of a peer."""
        return Path(self.pythons.get(name, Path(sys.executable)))


@dataclass(frozen=True)
class Entrant:
    """One contestant of a measurement.

    Attributes:
        name: Such as "stock/unet".
        title: In tables.
        network: Key of `Material.networks`, for the floor; "" for one of its own.
        precision: That it computes in, "fp32", "bf16" or "own".
        command: Of its process.
        patience_s: Until it is ready, and for a turn.
    """

    name: str
    title: str
    network: str
    precision: str
    command: list[str]
    patience_s: float = 600.0


def missing_packages(name: str, python: Path) -> str:
    """Why a peer cannot take part, or ""."""
    find = "import importlib.util as u, sys; print(' '.join(n for n in sys.argv[1:] if u.find_spec(n) is None))"
    try:
        done = subprocess.run(
            [str(python), "-c", find, *PACKAGES[name]], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{python} does not run ({type(error).__name__})"
    missing = done.stdout.split()
    return f"{', '.join(missing)} not installed for {python.name} of its environment" if missing else ""


def our_precision(device: str) -> str:
    """What `with_autocast` computes in here."""
    import torch

    from pipeline.networks import best_dtype

    return "bf16" if best_dtype("cuda" if device == "gpu" else "cpu") == torch.bfloat16 else "fp32"


def entrants_of_training(
    material: Material, scale: Scale, size: int, peers: Peers, skipped: dict[str, str]
) -> Iterator[Entrant]:
    """Who trains on films of a size; gets into `skipped` who cannot."""
    common = {"batch": scale.batch, "warm": 3 if scale.device == "cpu" else 20, "settle": 2 * scale.workers}
    files = material.folder / "settings"
    ours = our_precision(scale.device)
    for network, definition in material.networks.items():
        overrides: dict[str, Any] = {
            "network_def": definition,
            "image_size": [size, size],
            "batch_size": scale.batch,
            "max_epochs": NEVER,
            "val_interval": NEVER,
        }
        stock = overrides | {
            "datalist": str(material.datalist(size).resolve()),
            "num_workers": scale.workers,
            "repeats": scale.repeats,
        }
        given = common | {
            "config": str(STOCK / "train.yaml"),
            "bundle_root": str(material.stock_bundle(network).resolve()),
            "overrides": stock,
        }
        name = f"stock_{network}_train_{size}"
        yield Entrant(
            f"stock/{network}",
            f"MONAI bundle, {TITLES[network]}",
            network,
            "fp32",
            worker("monai_training", given, files / f"{name}.json"),
        )
        data = f"$monai.data.load_decathlon_datalist(@datalist, data_list_key='training') * {scale.repeats}"
        planar = [as_setting(key, value) for key, value in overrides.items()]
        planar += [f"train#dataset#data={data}", "train#dataset#hash_as_key=true", "cache_rate=1.0"]
        out = material.folder / "trained" / f"{network}_{size}"
        given = common | {
            "bundle": str(material.planar_bundle(network).resolve()),
            "datalist": str(material.datalist(size).resolve()),
            "out": str(out.resolve()),
            "overrides": planar,
        }
        yield Entrant(
            f"planar/{network}",
            f"Planar, {TITLES[network]}",
            network,
            ours,
            worker("planar_training", given, files / f"planar_{network}_train_{size}.json"),
        )
        given = common | {"network": definition, "size": size, "precision": ours}
        yield Entrant(
            f"network/{network}",
            f"the network alone, {TITLES[network]}",
            network,
            ours,
            worker("network_training", given, files / f"network_{network}_train_{size}.json"),
        )
    if _takes_part("lightning", peers, skipped):
        given = common | {
            "size": size,
            "cores": scale.cores,
            "pairs": material.training_pairs(size),
            "repeats": scale.repeats,
        }
        yield Entrant(
            "lightning",
            "Lightning, smp Unet resnet18, Albumentations",
            "",
            "own",
            worker("lightning_training", given, files / f"lightning_train_{size}.json", peers.python("lightning")),
        )
    if _takes_part("nnunet", peers, skipped):
        with _left_out("nnunet", skipped):
            yield _nnunet_training(material, scale, size, peers, common)


def entrants_of_variations(
    material: Material, scale: Scale, size: int, peers: Peers, skipped: dict[str, str]
) -> Iterator[Entrant]:
    """A step of each network in several ways: what pays, and what does not."""
    common = {"batch": scale.batch, "warm": 3 if scale.device == "cpu" else 20, "settle": 0, "size": size}
    ways: dict[str, tuple[str, dict[str, Any]]] = {
        "fp32": ("float32", {"precision": "fp32"}),
        "fp32_channels_last": ("float32, channels_last", {"precision": "fp32", "channels_last": True}),
        "bf16": ("bfloat16", {"precision": "bf16"}),
        "bf16_channels_last": ("bfloat16, channels_last", {"precision": "bf16", "channels_last": True}),
        "bf16_unfused": ("bfloat16, optimiser not fused", {"precision": "bf16", "fused": False}),
        "bf16_compiled": ("bfloat16, torch.compile", {"precision": "bf16", "compile": True}),
    }
    for network, definition in material.networks.items():
        for way, (title, options) in ways.items():
            file = material.folder / "settings" / f"variation_{network}_{way}_{size}.json"
            command = worker("network_training", common | {"network": definition} | options, file)
            precision = str(options["precision"])
            yield Entrant(f"{network}/{way}", f"{TITLES[network]}, {title}", network, precision, command)


def entrants_of_augmentation(
    material: Material, scale: Scale, size: int, peers: Peers, skipped: dict[str, str]
) -> Iterator[Entrant]:
    """The bundle's random transforms alone."""
    config = str(material.planar_bundle("planned").resolve() / "configs" / "train.yaml")
    common = {"batch": scale.batch, "warm": 4, "settle": 2 * scale.workers, "size": size, "config": config}
    common |= {"workers": scale.workers}
    loaders = f"{scale.workers} processes" if scale.workers else "in the process itself"
    for by, title in (("case", f"MONAI, case by case, {loaders}"), ("batch", "the batch at once")):
        file = material.folder / "settings" / f"augmentation_{by}_{size}.json"
        yield Entrant(by, title, "", "own", worker("augmentation", common | {"by": by}, file))


TITLES = {"unet": "UNet 16–256", "planned": "planned network"}


def _takes_part(name: str, peers: Peers, skipped: dict[str, str]) -> bool:
    why = missing_packages(name, peers.python(name))
    if why:
        skipped[name] = why
    return not why


@contextmanager
def _left_out(name: str, skipped: dict[str, str]) -> Iterator[None]:
    """A peer whose own preparation fails takes no part, and the page says why."""
    try:
        yield
    except PeerError as error:
        skipped[name] = " ".join(str(error).split())


def _nnunet(material: Material, scale: Scale, size: int, peers: Peers) -> tuple[NnunetEnvironment, str]:
    """nnU-Net's dataset of the films of a size, planned and preprocessed by its own commands; its folder's name."""
    own = NnunetEnvironment(peers.python("nnunet"), (material.folder / f"nnunet_{size}").resolve(), scale.cores)
    dataset = convert(material.datalist(size), own.raw)
    plans = own.preprocessed / dataset.folder.name / "nnUNetPlans.json"
    if not plans.is_file():
        NnunetContestant(own, dataset, "cuda" if scale.device == "gpu" else "cpu", 0.0).prepare()
    content = json.loads(plans.read_text(encoding="utf-8"))
    content["configurations"]["2d"]["batch_size"] = scale.batch
    plans.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")
    return own, dataset.folder.name


def _nnunet_training(material: Material, scale: Scale, size: int, peers: Peers, common: dict[str, Any]) -> Entrant:
    own, dataset = _nnunet(material, scale, size, peers)
    model = own.results / dataset / "nnUNetTrainer__nnUNetPlans__2d"
    given = common | {
        "dataset": dataset,
        "plans": "nnUNetPlans",
        "cores": scale.cores,
        "checkpoint": str(model / "fold_0" / "checkpoint_final.pth"),
        # A step of its network takes long on a CPU.
        "warm": 1 if scale.device == "cpu" else common["warm"],
        "settle": 0 if scale.device == "cpu" else common["settle"],
    }
    command = worker("nnunet_training", given, material.folder / "settings" / f"nnunet_train_{size}.json", own.python)
    title = "nnU-Net v2 2D, its own plan at this batch"
    return Entrant("nnunet", title, "", "own", _with(own.settings, command), 1200.0)


def _with(settings: dict[str, str], command: Sequence[str]) -> list[str]:
    """A command with variables of its own, by `env`, which is in every system that nnU-Net runs on."""
    path = os.pathsep.join([environment()["PYTHONPATH"], settings.get("PYTHONPATH", "")])
    return ["env", *(f"{name}={value}" for name, value in (settings | {"PYTHONPATH": path}).items()), *command]


def entrants_of_inference(
    material: Material, scale: Scale, size: int, peers: Peers, skipped: dict[str, str]
) -> Iterator[Entrant]:
    """Who predicts films of a size; gets into `skipped` who cannot."""
    place = scale.inference_sizes.index(size)
    side, count = scale.inference_network[place], scale.files[place]
    images = material.images(size, count).resolve()
    files, masks = material.folder / "settings", (material.folder / "masks").resolve()
    ours = our_precision(scale.device)
    for network, definition in material.networks.items():
        overrides = {
            "network_def": definition,
            "image_size": [side, side],
            "num_workers": scale.workers,
            "dataset_dir": str(images),
            "output_dir": str(masks / f"stock_{network}_{size}"),
        }
        root = str(material.stock_bundle(network).resolve())
        given = {"config": str(STOCK / "inference.yaml"), "bundle_root": root, "overrides": overrides}
        yield Entrant(
            f"stock/{network}",
            f"MONAI bundle, {TITLES[network]}, input {side}²",
            network,
            "fp32",
            worker("monai_inference", given, files / f"stock_{network}_infer_{size}.json"),
        )
        bundle = str(material.planar_bundle(network).resolve())
        given = {"bundle": bundle, "images": str(images), "out": str(masks / f"planar_{network}_{size}")}
        at_size = given | {"flips": False, "overrides": [as_setting("image_size", [side, side])]}
        yield Entrant(
            f"planar/{network}",
            f"Planar, {TITLES[network]}, input {side}², no flips",
            network,
            ours,
            worker("planar_inference", at_size, files / f"planar_{network}_infer_{size}.json"),
        )
        if network == "planned":
            for flips in (False, True):
                own = given | {"flips": flips, "overrides": []}
                how = (
                    f"as planned (input {material.own_side}²)"
                    if flips
                    else f"as planned (input {material.own_side}²), no flips"
                )
                name = f"planar/{network}/{'own' if flips else 'own_no_flips'}"
                file = files / f"planar_own_{flips}_infer_{size}.json"
                yield Entrant(name, f"Planar, {how}", "", ours, worker("planar_inference", own, file))
    if scale.device == "cpu":  # on a GPU the bundle itself is quicker
        with _left_out("planar export", skipped):
            yield from _with_programs(material, side, images, masks, files, ours)
    yield from _exported(material, scale, side, images, masks / f"exported_{size}", peers, skipped)
    if _takes_part("lungmask", peers, skipped):
        few = SLOW_FILES_ON_CPU if scale.device == "cpu" else None
        given = {"images": sorted(map(str, images.glob("*.png")))[:few], "out": str(masks / f"lungmask_{size}")}
        file = files / f"lungmask_infer_{size}.json"
        command = worker("lungmask_inference", given | {"gpu": scale.device == "gpu"}, file, peers.python("lungmask"))
        yield Entrant("lungmask", "lungmask, its U-Net R231", "", "own", command)
    if _takes_part("nnunet", peers, skipped):
        with _left_out("nnunet", skipped):
            yield from _nnunet_inference(material, scale, size, images, count, masks, peers, skipped)


def _with_programs(
    material: Material, side: int, images: Path, masks: Path, files: Path, precision: str
) -> Iterator[Entrant]:
    """`planar infer` with bundles whose program was exported."""
    own = f"as planned (input {material.own_side}²)"
    for network, at, flips, title in (
        *((one, side, False, f"{TITLES[one]}, input {side}², no flips") for one in material.networks),
        ("planned", None, False, f"{own}, no flips"),
        ("planned", None, True, own),
    ):
        name = f"{network}_{'own' if at is None else at}_{'flips' if flips else 'no_flips'}"
        bundle = str(material.exported_with(network, at, flips=flips).resolve())
        out = str(masks / f"program_{name}_{images.name}")
        given = {"bundle": bundle, "images": str(images), "out": out, "flips": True, "overrides": []}
        command = worker("planar_inference", given, files / f"program_{name}_{images.name}.json")
        floor = network if at is not None else ""
        yield Entrant(f"planar_program/{name}", f"Planar, exported, {title}", floor, precision, command)


def _exported(
    material: Material, scale: Scale, side: int, images: Path, out: Path, peers: Peers, skipped: dict[str, str]
) -> Iterator[Entrant]:
    names = [name for name in ("onnxruntime", "openvino") if _takes_part(name, peers, skipped)]
    if "openvino" in names and scale.device == "gpu":
        names.remove("openvino")
        skipped["openvino"] = "it is for processors"
    for name in names:
        for network in material.networks:
            model = export_onnx(material, network, side)
            given = {
                "runtime": name,
                "model": str(model.resolve()),
                "images": sorted(map(str, images.glob("*.png"))),
                "out": str(out / f"{name}_{network}"),
                "size": side,
                "cores": scale.cores,
                "precision": our_precision(scale.device).replace("fp", "f"),
            }
            file = material.folder / "settings" / f"{name}_{network}_{out.name}.json"
            title = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}[name]
            precision = "fp32" if name == "onnxruntime" else our_precision(scale.device)
            command = worker("exported_inference", given, file, peers.python(name))
            yield Entrant(
                f"{name}/{network}", f"{title}, {TITLES[network]}, input {side}²", network, precision, command
            )


def export_onnx(material: Material, network: str, side: int) -> Path:
    """A network of ours as an ONNX file for pictures of one size."""
    path = material.folder / f"{network}_{material.version}_{side}.onnx"
    if not path.is_file():
        import torch
        from monai.bundle import ConfigParser

        definition = {"network_def": material.networks[network]}
        model = ConfigParser(definition).get_parsed_content("network_def").eval()
        weights = material.planar_bundle(network) / "models" / "model.pt"
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        example = (torch.zeros(1, 1, side, side),)
        torch.onnx.export(model, example, str(path), input_names=["image"], output_names=["pred"], verbose=False)
    return path


def _nnunet_inference(
    material: Material,
    scale: Scale,
    size: int,
    images: Path,
    count: int,
    masks: Path,
    peers: Peers,
    skipped: dict[str, str],
) -> Iterator[Entrant]:
    # The largest training size's model: its own plan is for films of that size.
    trained = max(scale.training_sizes)
    if scale.device == "cpu":
        count = min(count, SLOW_FILES_ON_CPU)
        if size > 2 * trained:
            skipped[f"nnunet (inference {size})"] = f"it sees {trained}² at once, and on a CPU a film takes it minutes"
            return
    own, dataset = _nnunet(material, scale, trained, peers)
    model = own.results / dataset / "nnUNetTrainer__nnUNetPlans__2d"
    if not (model / "fold_0" / "checkpoint_final.pth").is_file():
        return
    named = images.with_name(f"{images.name}_nnunet")  # its files end in the number of their channel
    if not named.is_dir():
        named.mkdir()
        for image in images.glob("*.png"):
            (named / f"{image.stem}_0000.png").symlink_to(image.resolve())
    given = {
        "model": str(model),
        "images": [[name] for name in sorted(map(str, named.glob("*.png")))[:count]],
        "out": str(masks / f"nnunet_{size}"),
        "processes": max(1, min(3, scale.cores)),
        "flips": False,
        "count": count,
    }
    file = material.folder / "settings" / f"nnunet_infer_{size}.json"
    command = _with(own.settings, worker("nnunet_inference", given, file, own.python))
    yield Entrant("nnunet", f"nnU-Net v2 2D planned for {trained}², no mirroring", "", "own", command, 1200.0)
