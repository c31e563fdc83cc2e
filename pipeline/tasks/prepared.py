"""The folder that a training runs in: a copy of a bundle that is made for it, or the training that goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.bundle import (
    Bundle,
    Recipe,
    copy_bundle,
    deeply_supervised,
    find_recipe,
    knows_unions,
    note_on_classes,
    require_normalised,
    single_network,
    without_mirroring,
)
from pipeline.digests import file_sha256
from pipeline.errors import InvalidOption
from pipeline.tasks.device import require_device
from pipeline.tasks.evaluate import compare_classes
from pipeline.tasks.resuming import (
    note_data,
    require_checkpoint,
    require_epochs_left,
    require_free,
    require_idle,
    require_same_data,
)
from pipeline.tasks.start_weights import StartWeights, find_start
from pipeline.tasks.union_lists import require_unions_known
from pipeline.tasks.workflow import default_folder

if TYPE_CHECKING:
    from pipeline.datalist import Datalist

__all__ = ["Prepared", "Wishes", "copied", "going_on"]


@dataclass(frozen=True)
class Wishes:
    """What is asked of a copy, besides its settings.

    Attributes:
        recipe: The settings that it is trained by.
        start: The weights that it begins with.
    """

    recipe: Recipe | None = None
    start: StartWeights | None = None

    @classmethod
    def of(cls, recipe: str | None, start_from: str | None, *, resume: bool) -> Wishes:
        """Found by their names or paths.

        Raises: InvalidOption: if a training that goes on is given one.
        """
        if resume and recipe is not None:
            raise InvalidOption("--resume goes on by the training's own configs, which have its recipe: drop --recipe.")
        if resume and start_from is not None:
            raise InvalidOption("--resume goes on with the training's own weights: drop --start-from.")
        return cls(
            None if recipe is None else find_recipe(recipe), None if start_from is None else find_start(start_from)
        )

    @property
    def keys(self) -> frozenset[str]:
        """Config keys that the recipe sets."""
        return self.recipe.keys if self.recipe is not None else frozenset()

    @property
    def tags(self) -> dict[str, str]:
        """For the MLflow run."""
        by, start = self.recipe, self.start
        return {
            **({"planar.recipe": by.name, "planar.recipe_sha256": file_sha256(by.path)} if by is not None else {}),
            **(start.tags if start is not None else {}),
        }


# Once one of these is there, something would be lost; the weights that a training begins with lie elsewhere too.
CHECKPOINTS = ("last.pt", "model.pt")


@dataclass(frozen=True)
class Prepared:
    """A bundle that is ready to be trained.

    Attributes:
        bundle: Where.
        notes: What the user should know.
        made: What was made for it, and no more: the folder may be the working folder, with the runs in it.
        same_cases: Whether it goes on, and with the cases that it was begun with.
        epochs_before: Epochs that it has had, if it goes on.
    """

    bundle: Bundle
    notes: list[str] = field(default_factory=list)
    made: tuple[Path, ...] = ()
    same_cases: bool = False
    epochs_before: int = 0

    def withdraw(self) -> None:
        """Remove what was made, unless there is a checkpoint, so that the command can be given again."""
        if any((self.bundle.root / "models" / name).is_file() for name in CHECKPOINTS):
            return
        for path in self.made:
            if path == self.bundle.root:
                with suppress(OSError):  # something else is in it
                    path.rmdir()
            elif path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def going_on(
    bundle: Bundle, content: Datalist, datalist: Path, settings: Mapping[str, Any], on_loading: Callable[[], None]
) -> Prepared:
    """A training that goes on where it stands.

    Args:
        bundle: Its folder.
        content: What `datalist` says.
        settings: For the train config.
        on_loading: Called when all that can be checked fast is right.
    Raises: InvalidBundle, InvalidDatalist, InvalidOption: if it cannot, or with other data.
    """
    require_checkpoint(bundle)
    require_idle(bundle)
    on_loading()
    _require_device(settings)
    notes = compare_classes(bundle, bundle.labels("train"), datalist)
    epochs_before = require_epochs_left(bundle, settings)
    same_cases = require_same_data(bundle, content, datalist)
    return Prepared(bundle, list(notes), same_cases=same_cases, epochs_before=epochs_before)


def copied(
    source: Bundle,
    out: Path | None,
    content: Datalist,
    datalist: Path,
    settings: Mapping[str, Any],
    wishes: Wishes,
    on_loading: Callable[[], None],
) -> Prepared:
    """A copy of a bundle for a training on a datalist, whose classes it gets.

    Args:
        source: The bundle.
        out: Folder of the copy; default `runs/<bundle>/train-<time>`.
        content: The datalist.
        datalist: Where it is.
        settings: For the configs; they win over the recipe.
        wishes: Recipe and start weights.
        on_loading: Called when all that can be checked fast is right.
    Raises: InvalidBundle, InvalidOption, OutputExists: before anything is written.
    """
    labels = dict(enumerate(content.labels))
    notes = note_on_classes(source.labels("train"), labels)
    folder = out or default_folder(source, "train")
    require_free(folder)
    on_loading()
    _require_device(settings)
    if wishes.start is not None:
        wishes.start.require_readable()
    made = [] if folder.exists() else [folder.resolve()]
    recipe = wishes.recipe
    if recipe is not None:
        require_normalised(recipe.overrides, train_config(source))
    if recipe is not None and deeply_supervised(source):
        raise InvalidOption(
            f"{source.name} learns with deep supervision, which the network of a recipe has not. Give a bundle that "
            "was planned without it."
        )
    require_unions_known(
        content,
        datalist,
        known=recipe is None and knows_unions(source),
        by=source.name if recipe is None else f"the recipe {recipe.name}",
    )
    mirroring = without_mirroring(source, labels, recipe)
    if mirroring:
        notes.append("A class is a left or a right one: pictures are mirrored neither in training nor in inference.")
    if recipe is not None:
        notes.append(f"Trained by the recipe {recipe.name}, not by the bundle's own settings.")
    network = {} if "network_def" in wishes.keys else single_network(source)
    trained_on = f"{content.name} ({len(content.training)} training cases)"
    bundle = copy_bundle(source, folder, labels, network | mirroring | dict(settings), trained_on, recipe)
    note_data(bundle, content)
    if wishes.start is not None:
        wishes.start.put_into(bundle)
    return Prepared(bundle, notes, (*bundle.root.iterdir(), bundle.root / "eval", *made))


def _require_device(settings: Mapping[str, Any]) -> None:
    """Raise InvalidOption if the settings name a device that is not there; this loads torch."""
    if "device" in settings:
        require_device(settings["device"])


def train_config(bundle: Bundle) -> dict[str, Any]:
    """The train config of a bundle as it stands in its file."""
    content: dict[str, Any] = yaml.safe_load(bundle.config("train").read_text(encoding="utf-8"))
    return content
