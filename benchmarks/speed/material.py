"""What all contestants get: the same films in every size, datalists, and bundles of the same networks."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from PIL import Image

import benchmarks
from benchmarks.cases import cases_of
from benchmarks.commands import run_logged
from benchmarks.speed.process import worker
from pipeline.bundle import Bundle, copy_bundle, find_bundle
from pipeline.datalist import Datalist, write_datalist
from pipeline.digests import file_sha256
from pipeline.errors import InvalidDatalist
from pipeline.exported import program_of

__all__ = ["BUNDLE", "ROOT", "STOCK", "UNET", "Material", "as_setting", "environment"]

BUNDLE = "cxr_lung_segmentation"
ROOT = Path(benchmarks.__file__).parent.parent
STOCK = Path(__file__).parent / "stock"
# The network of the stock bundle, and of ours where both have the same.
UNET: dict[str, Any] = {
    "_target_": "UNet",
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [16, 32, 64, 128, 256],
    "strides": [2, 2, 2, 2],
    "num_res_units": 2,
}
FLIPS = "test_time_flips"
PHANTOM_SIZE = 512
GRAIN = 2.0  # deviation of the noise, of 255: films do not compress like drawings
LABELS = {0: "background", 1: "lung"}


def environment() -> dict[str, str]:
    """Of every contestant's process: this checkout, and no words of libraries."""
    return {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "NO_ALBUMENTATIONS_UPDATE": "1"}


@dataclass
class Material:
    """Films and bundles in a folder; what is there already is not made again, unless the shipped bundle has changed.

    Attributes:
        folder: Where.
        count: Films.
        cores: Processes that make phantoms.
        data: Datalist with films of one class; None for phantoms.
    """

    folder: Path
    count: int
    cores: int
    data: Path | None = None

    def films(self, size: int, count: int) -> list[tuple[Path, Path]]:
        """So many films of that side with their masks, PNG; more than there are differ in their noise."""
        folder = self.folder / f"films_{size}"
        pairs = [tuple(folder / kind / f"film_{k:04d}.png" for kind in ("images", "masks")) for k in range(count)]
        for number, (image, mask) in enumerate(pairs):
            if mask.is_file():
                continue
            image.parent.mkdir(parents=True, exist_ok=True)
            mask.parent.mkdir(exist_ok=True)
            grey, lungs = self._originals[number % len(self._originals)]
            big = Image.fromarray(grey).resize((size, size), Image.Resampling.BICUBIC)
            noise = np.random.default_rng([size, number]).normal(0, GRAIN, (size, size))
            Image.fromarray((np.asarray(big) + noise).clip(0, 255).astype(np.uint8)).save(image)
            Image.fromarray(lungs).resize((size, size), Image.Resampling.NEAREST).save(mask)
        return [(image, mask) for image, mask in pairs]

    def images(self, size: int, count: int) -> Path:
        """A folder with so many films and nothing else."""
        folder = self.folder / f"images_{size}_{count}"
        if not folder.is_dir():
            folder.mkdir(parents=True)
            for image, _ in self.films(size, count):
                (folder / image.name).hardlink_to(image)  # links to files are passed over in folders
        return folder

    def datalist(self, size: int) -> Path:
        """Films of that side with their masks: three quarters to train on, the rest to validate and test on."""
        path = self.folder / f"datalist_{size}.json"
        if not path.is_file():
            items = [
                {
                    "image": image.relative_to(self.folder).as_posix(),
                    "label": mask.relative_to(self.folder).as_posix(),
                    "label_coding": "threshold:127",
                    "subject": f"subject_{number:04d}",
                }
                for number, (image, mask) in enumerate(self.films(size, self.count))
            ]
            held = max(1, len(items) // 8)
            write_datalist(
                Datalist(
                    f"films_{size}",
                    list(LABELS.values()),
                    modality="DX",
                    training=items[2 * held :],
                    validation=items[:held],
                    test=items[held : 2 * held],
                ),
                path,
            )
        return path

    def training_pairs(self, size: int) -> list[tuple[str, str]]:
        """Absolute paths of the films to train on, with their masks."""
        items = json.loads(self.datalist(size).read_text(encoding="utf-8"))["training"]
        return [
            (str((self.folder / one["image"]).resolve()), str((self.folder / one["label"]).resolve())) for one in items
        ]

    @property
    def own_side(self) -> int:
        """The longer side of the input that the bundle was planned for, pixels."""
        config = yaml.safe_load(find_bundle(BUNDLE).config("inference").read_text(encoding="utf-8"))
        return int(max(config["image_size"]))

    @cached_property
    def networks(self) -> dict[str, dict[str, Any]]:
        """Definitions of the networks: that of the stock bundle, and the one that Planar plans."""
        train = yaml.safe_load(find_bundle(BUNDLE).config("train").read_text(encoding="utf-8"))
        return {"unet": UNET, "planned": {**train["network_def"], "out_channels": len(LABELS)}}

    @cached_property
    def version(self) -> str:
        """Of the shipped bundle, for names: whatever is made of its configs and weights is of another with another."""
        bundle = find_bundle(BUNDLE)
        files = [*sorted((bundle.root / "configs").glob("*.yaml")), bundle.weights]
        return hashlib.sha256("".join(map(file_sha256, files)).encode()).hexdigest()[:8]

    def stock_bundle(self, network: str) -> Path:
        """The stock bundle with weights of a network."""
        return self._with_weights(self.folder / f"stock_{network}_{self.version}", network)

    def planar_bundle(self, network: str) -> Path:
        """Ours, as it is or with another network."""
        folder = self.folder / f"planar_{network}_{self.version}"
        if not folder.is_dir():
            change = {} if network == "planned" else {"network_def": self.networks[network]}
            copy_bundle(find_bundle(BUNDLE), folder, LABELS, change)
        return self._with_weights(folder, network)

    @cached_property
    def exported_bundle(self) -> Path:
        """The shipped bundle with the program that `planar export` makes of it."""
        folder = self.folder / f"exported_{self.version}" / BUNDLE
        if program_of(Bundle(folder, BUNDLE))[0] is None:
            shutil.copytree(find_bundle(BUNDLE).root, folder, dirs_exist_ok=True)
            self._export(folder)
        return folder

    def exported_with(self, network: str, side: int | None, *, flips: bool) -> Path:
        """Ours with a network, for a side of its input (None: as planned), and the program of that.

        Raises: PeerError: without the packages of planar[export].
        """
        folder = self.folder / f"exported_{network}_{side or 'own'}_{'flips' if flips else 'no_flips'}_{self.version}"
        if program_of(Bundle(folder, folder.name))[0] is None:
            if not folder.is_dir():
                change = {"network_def": self.networks[network]} if network != "planned" else {}
                size = {"image_size": [side, side]} if side is not None else {}
                copy_bundle(find_bundle(BUNDLE), folder, LABELS, change | size | ({} if flips else {FLIPS: [[]]}))
            self._export(self._with_weights(folder, network))
        return folder

    def _export(self, bundle: Path) -> None:
        export = "from pipeline.cli.main import main; main()"
        command = [sys.executable, "-c", export, "export", str(bundle.resolve())]
        run_logged(command, self.folder / "logs" / "export.log", environment())

    def _with_weights(self, bundle: Path, network: str) -> Path:
        weights = bundle / "models" / "model.pt"
        if not weights.is_file():
            weights.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(find_bundle(BUNDLE).weights if network == "planned" else self._first_weights, weights)
        return bundle

    @cached_property
    def _first_weights(self) -> Path:
        path = self.folder / "first_weights.pt"
        if not path.is_file():
            given = {
                "network": UNET,
                "pairs": [[str(part) for part in pair] for pair in self.films(256, self.count)],
                "steps": 80,
                "out": [str(path)],
            }
            command = worker("first_weights", given, self.folder / "settings" / "first_weights.json")
            run_logged(command, self.folder / "logs" / "first_weights.log", environment())
        return path

    @cached_property
    def _originals(self) -> Sequence[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
        """Grey films and masks of 0 and 255, rows first."""
        return self._given(self.data) if self.data is not None else self._phantoms()

    def _phantoms(self) -> list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
        folder = self.folder / "phantoms"
        if not (folder / "index.csv").is_file():
            make = (
                "import sys; from pathlib import Path; from pipeline.tasks.phantom import make_phantoms; "
                "make_phantoms(Path(sys.argv[1]), int(sys.argv[2]), size=int(sys.argv[3]), format='png', "
                "workers=int(sys.argv[4]), overwrite=True)"
            )
            command = [sys.executable, "-c", make, folder, self.count, PHANTOM_SIZE, self.cores]
            run_logged([str(word) for word in command], self.folder / "logs" / "phantoms.log", environment())
        names = sorted(path.name for path in (folder / "images").glob("*.png"))
        return [tuple(_grey(folder / kind / name) for kind in ("images", "masks")) for name in names]  # type: ignore[misc]

    def _given(self, data: Path) -> list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
        found = []
        for case in cases_of(data)[: self.count]:
            pixels = case.picture().array
            grey = np.asarray(pixels if pixels.ndim == 2 else pixels.mean(axis=-1), np.float64).T
            low, high = np.percentile(grey, (0.1, 99.9))
            scaled = ((grey - low) / max(high - low, 1e-6)).clip(0, 1) * 255
            found.append((scaled.astype(np.uint8), np.where(case.reference().T > 0, 255, 0).astype(np.uint8)))
        if not found:
            raise InvalidDatalist(f"{data} has no cases. Index a folder of films with their masks.")
        return found


def _grey(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as opened:
        return np.asarray(opened.convert("L"))


def as_setting(key: str, value: Any) -> str:
    """`key=value` for `planar train` and `planar infer`, which read JSON as YAML."""
    return f"{key}={json.dumps(value)}"
