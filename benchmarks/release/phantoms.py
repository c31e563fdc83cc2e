"""What a network learns before it sees the few slices of a small set: the digital phantom's."""

from __future__ import annotations

import yaml

from benchmarks.release.finishing import Finishing
from pipeline.datalist import read_datalist

__all__ = ["WithPhantoms"]

SERIES = 10
# Of the pictures that a training sees, as many again: it is to know where a heart lies, not how a phantom looks.
SHARE = 1 / 3
# The phantom's own classes: 1 and 2 the lungs, 3 the heart, 5 the trachea.
NAMES = {1: "lung", 2: "lung", 3: "heart", 5: "trachea"}
CLASSES = 10


class WithPhantoms(Finishing):
    """A training that begins with one on CT slices of phantoms, whose masks are exact and of all classes."""

    def start(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """The option of `planar train`; the steps before it are "train_phantoms".

        Args:
            labels: Of the task, background first; the phantom's other parts are background.
        """
        folder, name = self.setting.out / "phantoms", f"{self.release.name}_phantoms"
        made = ["phantom", folder, "-n", str(SERIES), "--kind", "ct", "--format", "dicom", "--workers", "2"]
        self.step("phantoms", [*made, "--overwrite"], None)
        words = {number: word if (word := NAMES.get(number)) in labels else labels[0] for number in range(CLASSES)}
        coding = ",".join(f"{number}={word}" for number, word in words.items())
        told = ["--levels", coding, "--subjects", f"{folder / 'index.csv'}:subject", "--name", "phantoms"]
        parts = ["--split", "0.9,0.1,0", "--keep-empty-slices", "0.5"]
        listed = self.list_of(name)
        self.step(
            "index_phantoms",
            ["index", folder / "ct", folder / "ct_masks", *told, *parts, "-o", listed, "--overwrite"],
            None,
            ["phantoms"],
        )
        trained = self.setting.out / "trained" / name
        epochs = f"max_epochs={self.phantom_epochs(len(read_datalist(listed).training))}"
        # A test of the phantom's own heart says nothing of a patient's: no run is kept.
        self.step(
            "train_phantoms",
            ["train", self.bundle, "--data", listed, "-o", trained, epochs, "repeats=1", "--no-tracking"],
            trained,
            ["plan", "index_phantoms"],
        )
        return "--start-from", str(trained)

    def phantom_epochs(self, slices: int) -> int:
        """Epochs in which SHARE of the pictures are seen that the plan lets the training see."""
        config = yaml.safe_load((self.bundle / "configs" / "train.yaml").read_text(encoding="utf-8"))
        own = len(read_datalist(self.list_of(self.release.training)).training)
        return max(1, round(SHARE * config["max_epochs"] * config.get("repeats", 1) * own / slices))
