"""Whether a training that was begun can go on, and with what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import yaml

from pipeline.atomic import write_text_aside
from pipeline.bundle import Bundle
from pipeline.datalist import Datalist
from pipeline.errors import InvalidBundle, InvalidDatalist, InvalidOption, MissingFile, OutputExists
from pipeline.tasks.lock import held, is_held

__all__ = [
    "Progress",
    "WhenStarted",
    "cases_digest",
    "cross_validated_on",
    "data_digest",
    "note_data",
    "progress_of",
    "require_checkpoint",
    "require_epochs_left",
    "require_free",
    "require_idle",
    "require_same_data",
    "training_in",
]


@dataclass(frozen=True)
class Progress:
    """How far a training has come, by its `last.pt`.

    Attributes:
        epochs: Epochs that were run.
        best_metric: Best validation score; -inf if there was none.
        best_epoch: Its epoch, or 0.
    """

    epochs: int
    best_metric: float
    best_epoch: int


def require_checkpoint(bundle: Bundle) -> None:
    """Raise MissingFile if the bundle is not a training that was begun."""
    if not (bundle.root / "models" / "last.pt").is_file():
        raise MissingFile(
            f"{bundle.root / 'models' / 'last.pt'} is not there; expected the checkpoint of a training that was "
            "begun. Give that training's folder, or leave out --resume."
        )


def training_in(bundle: Bundle) -> AbstractContextManager[None]:
    """Within it the bundle is being trained, and other processes can tell.

    Raises: InvalidOption: if another process trains it.
    """
    return held(bundle.root / "models", str(bundle.root))


def require_idle(bundle: Bundle) -> None:
    """Raise InvalidOption if a process trains the bundle now."""
    with training_in(bundle):
        pass


def require_free(folder: Path) -> None:
    """Raise OutputExists if a training's folder is not free; one that is running is not offered to be resumed."""
    if is_held(folder / "models"):
        raise OutputExists(f"{folder} is being trained now, by another process. Give another folder with -o.")
    if (folder / "models" / "last.pt").is_file():
        raise OutputExists(
            f"{folder} holds a training. Go on with it (planar train {quote(str(folder))} --data … --resume), or give "
            "another folder with -o."
        )
    if (folder / "models" / "model.pt").is_file():
        raise OutputExists(
            f"{folder} exists. It holds weights (models/model.pt), and no models/last.pt that a training could go on "
            "from. Give another folder with -o, or remove this one if nobody needs it."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputExists(f"{folder} exists. Give another folder with -o.")


def progress_of(bundle: Bundle) -> Progress:
    """How far the training in a bundle has come.

    Raises: InvalidBundle: if its `last.pt` is no checkpoint of a training.
    """
    import torch

    path = bundle.root / "models" / "last.pt"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        state, best = content["trainer"], content["best"]
        return Progress(
            state["iteration"] // state["epoch_length"], float(best["best_metric"]), int(best["best_epoch"])
        )
    except OSError:
        raise
    except Exception as error:
        raise InvalidBundle(
            f"{path}: is no checkpoint of a training, or is damaged. Begin again in another folder."
        ) from error


def require_epochs_left(bundle: Bundle, settings: Mapping[str, Any]) -> int:
    """How many epochs the training to resume has had.

    Raises: InvalidOption: if these are all.
    """
    done = progress_of(bundle).epochs
    config = yaml.safe_load(bundle.config("train").read_text(encoding="utf-8"))
    wanted = settings.get("max_epochs", config.get("max_epochs"))
    if isinstance(wanted, int) and done >= wanted:
        raise InvalidOption(
            f"{bundle.root}: has been trained for {done} epochs and max_epochs is {wanted}: nothing is left to do. "
            f"To train on, give more: --resume max_epochs={2 * done}."
        )
    return done


def data_digest(datalist: Datalist, parts: Sequence[str] = ("training", "validation")) -> str:
    """A digest of the cases of a datalist, and of who is in which part and fold; where the files lie is left out.

    Cases count by the pixels of picture and mask, where the datalist has their digests, else by their paths.
    """
    cases = [
        [
            part,
            str(item.get("image_sha256", item["image"])),
            str(item.get("label_sha256", item.get("label"))),
            str(item.get("label_coding", "")),
            item.get("fold"),
        ]
        for part in parts
        for item in datalist.part(part)
    ]
    text = json.dumps([datalist.labels, sorted(cases, key=str)])
    return hashlib.sha256(text.encode()).hexdigest()


def cases_digest(datalist: Datalist) -> str:
    """A digest of the training and validation cases together, whichever part and fold each is in."""
    cases = [str(item.get("image_sha256", item["image"])) for item in (*datalist.training, *datalist.validation)]
    return hashlib.sha256("\n".join(sorted(cases)).encode()).hexdigest()


def cross_validated_on(bundle: Bundle, datalist: Datalist, split: str) -> bool:
    """Whether a bundle's networks come of a cross-validation on these very cases.

    Its folds divide training and validation cases anew, so that each of them has trained all networks but one.
    """
    if split == "test" or not bundle.metadata.is_file():
        return False
    facts = json.loads(bundle.metadata.read_text(encoding="utf-8")).get("planar", {})
    return bool(facts.get("cross_validated_on_sha256") == cases_digest(datalist))


def note_data(bundle: Bundle, datalist: Datalist) -> None:
    """Write into a bundle's metadata what it is trained on, as a digest that says nothing of the pictures."""
    if bundle.metadata.is_file():
        content = json.loads(bundle.metadata.read_text(encoding="utf-8"))
        content["planar"] = {**content.get("planar", {}), "trained_on_sha256": data_digest(datalist)}
        write_text_aside(bundle.metadata, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def require_same_data(bundle: Bundle, datalist: Datalist, path: Path) -> bool:
    """Raise InvalidDatalist if a training is to go on with other cases than it was begun with.

    Its best validation score would be one of other cases, and no later epoch could be compared with it.

    Returns: Whether they are known to be the same; a bundle without metadata does not say.
    """
    if not bundle.metadata.is_file():
        return False
    before = json.loads(bundle.metadata.read_text(encoding="utf-8")).get("planar", {}).get("trained_on_sha256")
    if before is not None and before != data_digest(datalist):
        raise InvalidDatalist(
            f"{path}: its cases or their parts are not those that {bundle.root} was begun with. Resume with that "
            "datalist, or begin a training in another folder (planar train with -o)."
        )
    return before is not None


class WhenStarted:
    """Handler that does something once the checkpoint has been loaded.

    A training that is resumed with other settings writes them into its configs, so that these go on describing it and
    evaluation and inference agree with it; not before it is clear that the checkpoint goes with them.
    """

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action

    def attach(self, engine: Any) -> None:
        """Attach to the trainer, behind the handler that loads."""
        from ignite.engine import Events

        engine.add_event_handler(Events.STARTED, lambda _: self.action())
