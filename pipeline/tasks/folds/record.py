"""What a cross-validation is, and how far each of its folds has come, as files in its folder.

folds.json        what is cross-validated: data, settings, number of folds
datalist.json     the datalist, each case with its fold
fold0.json …      what each fold trains and validates on
bundle/           the bundle that each fold trains a copy of
fold0/ …          those copies, with their weights; `fold.json` in each says what it came to
parent_run.json   the MLflow run over those of the folds
cases.csv …       all training cases, scored out of fold: written when the last fold is done
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.atomic import write_text_aside
from pipeline.bundle import OF_THE_MACHINE
from pipeline.errors import InvalidOption, MissingFile

__all__ = ["FoldState", "FoldsRecord", "is_folds", "read_folds", "read_state", "write_folds", "write_state"]

FORMAT = "planar-folds/1"
FILE = "folds.json"


@dataclass(frozen=True)
class FoldsRecord:
    """What is cross-validated.

    Attributes:
        root: The folder.
        bundle: Name of the bundle.
        folds: Number of folds.
        seed: What subjects were divided with.
        data: Name of the datalist.
        data_sha256: Digest of its cases and their folds.
        settings: Overrides of the train config.
    """

    root: Path
    bundle: str
    folds: int
    seed: int
    data: str
    data_sha256: str
    settings: dict[str, Any] = field(default_factory=dict)

    def datalist(self, fold: int) -> Path:
        """What a fold trains and validates on."""
        return self.root / f"fold{fold}.json"

    def folder(self, fold: int) -> Path:
        """The bundle that a fold trains."""
        return self.root / f"fold{fold}"

    def require_same(self, other: FoldsRecord) -> None:
        """Raise InvalidOption if another cross-validation is meant than the one that is here."""
        mine, theirs = ({**asdict(record), "root": ""} for record in (self, other))
        for name, said in (("bundle", "the bundle"), ("folds", "a number of folds of")):
            if mine[name] != theirs[name]:
                raise self._differs(said, mine[name], theirs[name])
        if self.data_sha256 != other.data_sha256:
            raise self._differs("cases of the digest", self.data_sha256[:12], other.data_sha256[:12])
        self.require_settings(other.settings)

    def require_settings(self, settings: Mapping[str, Any]) -> None:
        """Raise InvalidOption if settings differ from those that the folds are trained with."""
        mine, theirs = (
            {key: value for key, value in given.items() if key not in OF_THE_MACHINE}
            for given in (self.settings, settings)
        )
        for key in [*mine, *theirs]:
            if mine.get(key) != theirs.get(key):
                raise self._differs(f"the setting {key}", mine.get(key, "unset"), theirs.get(key, "unset"))

    def _differs(self, what: str, here: object, given: object) -> InvalidOption:
        return InvalidOption(
            f"{self.root}: begun with {what} {here}, now {given}: such folds cannot be put together. Go on with what "
            "it was begun with, or begin another cross-validation in another folder with -o."
        )


@dataclass(frozen=True)
class FoldState:
    """What a fold came to.

    Attributes:
        fold: Its number.
        training_cases: Cases that it was trained on.
        validation_cases: Cases that it validated on.
        epochs: Epochs that were run.
        best_metric: Best validation score during training.
        best_epoch: Its epoch.
        seconds: Duration of the training, s; of stretches that were stopped, that of their epochs.
        run_id: Its MLflow run.
        out_of_fold: Mean Dice over its images by class, on each picture's own grid; None before they are scored.
    """

    fold: int
    training_cases: int
    validation_cases: int
    epochs: int
    best_metric: float
    best_epoch: int
    seconds: float
    run_id: str | None = None
    out_of_fold: dict[str, float | None] | None = None

    @property
    def mean_dice(self) -> float | None:
        """Out-of-fold Dice, mean over the classes."""
        return (self.out_of_fold or {}).get("mean_of_classes")


def is_folds(folder: Path) -> bool:
    """Whether a folder holds a cross-validation."""
    return (folder / FILE).is_file()


def read_folds(folder: Path) -> FoldsRecord:
    """The cross-validation in a folder.

    Raises:
        MissingFile: if there is none.
        InvalidOption: if its record cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        raise MissingFile(
            f"{path} is not there; expected the folder of a cross-validation. Make one with: planar train BUNDLE "
            f"--data datalist.json --folds 5 -o {folder}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError(f"expected the format {FORMAT}")
        return FoldsRecord(root=folder.resolve(), **content)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidOption(
            f"{path}: cannot be read as the record of a cross-validation ({error}). Begin again in another folder."
        ) from error


def write_folds(record: FoldsRecord, folder: Path) -> None:
    """Write a cross-validation's record into a folder."""
    content = {"format": FORMAT, **{key: value for key, value in asdict(record).items() if key != "root"}}
    write_text_aside(folder / FILE, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_state(record: FoldsRecord, fold: int) -> FoldState | None:
    """What a fold came to, or None if it has not been trained to its end."""
    path = record.folder(fold) / "fold.json"
    return FoldState(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def write_state(record: FoldsRecord, state: FoldState) -> None:
    """Write down what a fold came to."""
    write_text_aside(record.folder(state.fold) / "fold.json", json.dumps(asdict(state), indent=2) + "\n")
