"""Pictures of a training while it runs: some validation cases at each better epoch, and the curves."""

from __future__ import annotations

import logging
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.errors import InvalidBundle
from pipeline.history import read_history
from pipeline.overlays import draw_agreement
from pipeline.report.curve_picture import draw_curves

if TYPE_CHECKING:
    from ignite.engine import Engine

    from pipeline.checkpoints import Checkpoints
    from pipeline.tracking import RunRecorder

__all__ = ["TrainingPictures", "case_sheet"]

# Side of a case on the sheet, pixels, and the height of its line of text.
SIDE, TEXT = 256, 16
COLOURS = 64
# Drawing may take this share of the time; what is left is drawn when the training ends.
SHARE = 0.005
LEGEND = "red: network, blue: reference, white: both"

Case = tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.uint8]]


class TrainingPictures:
    """Draws the same few validation cases at each epoch that is better than all before, and the curves so far.

    They become `pictures/validation_epoch_0012.png` and `pictures/curves.png` of the run. Attach it to the validator
    behind the checkpoints; `ValidationRecorder` does that.

    Args:
        recorder: Of the run.
        checkpoints: Which know the best epoch.
        history: `history.csv` of the training.
        cases: How many, spread evenly over the validation cases; 0 for the curves alone.
        channel: Which is shown, such as the slice between its neighbours; None for grey values or for red, green, blue.
    """

    def __init__(
        self,
        recorder: RunRecorder,
        checkpoints: Checkpoints,
        history: str | None = None,
        cases: int = 4,
        channel: int | None = None,
    ) -> None:
        self.recorder = recorder
        self.checkpoints = checkpoints
        self.history = Path(history) if history else None
        self.cases = cases
        self.channel = channel
        self._began = self._spent = 0.0
        self._seen = 0
        self._order: Sequence[int] = ()
        self._wanted: dict[int, Case | None] = {}
        self._due: tuple[int, list[tuple[str, Case]], float] | None = None

    def attach(self, engine: Engine) -> None:
        """Attach to the validator."""
        from ignite.engine import Events

        engine.add_event_handler(Events.STARTED, self._choose)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._keep)
        engine.add_event_handler(Events.COMPLETED, self._look)
        self.recorder.at_end.append(lambda _: self.finish())

    def finish(self) -> None:
        """Draw what has been left, and the curves of the whole training."""
        self._draw()
        self._draw_curves()

    def _choose(self, validator: Engine) -> None:
        """The same cases each time: the validation set is not shuffled."""
        self._began = self._began or time.perf_counter()
        self._seen = 0
        loader = validator.state.dataloader
        sampler = getattr(loader, "sampler", None)
        # Of several processes each has every so manieth case.
        shared = "Distributed" in type(sampler).__name__
        self._order = list(sampler) if sampler is not None and shared else range(len(loader.dataset))
        count = len(self._order)
        step = count / max(min(self.cases, count), 1)
        self._wanted = {int((k + 0.5) * step): None for k in range(min(self.cases, count))}

    def _keep(self, validator: Engine) -> None:
        output = validator.state.output
        # Decollated, or one batch.
        items = (
            output if isinstance(output, list) else [{key: v[k] for key, v in output.items()} for k in _range(output)]
        )
        for position, item in enumerate(items, self._seen):
            if position in self._wanted:
                image = _plain(item["image"], self.channel)
                self._wanted[position] = (image, _indices(item["pred"]), _indices(item["label"]))
        self._seen += len(items)

    def _look(self, validator: Engine) -> None:
        trainer = self.checkpoints.state.get("trainer")
        if not self.recorder.is_open or trainer is None or self.checkpoints.best_epoch != trainer.state.epoch:
            return
        kept = [
            (self._name(self._order[position]), case) for position, case in self._wanted.items() if case is not None
        ]
        self._due = (int(trainer.state.epoch), kept, self.checkpoints.best_metric)
        if self._spent <= SHARE * (time.perf_counter() - self._began):
            try:
                self._draw()
                self._draw_curves()
            except Exception as error:  # no reason to end a training
                logging.getLogger(__name__).warning("No more pictures of this training: %s", error)
                self.cases, self._due = 0, None

    def _draw(self) -> None:
        if self._due is None:
            return
        began = time.perf_counter()
        (epoch, cases, score), self._due = self._due, None
        if cases:
            self._log(case_sheet(cases, f"epoch {epoch}: {score:.4f}   {LEGEND}"), f"validation_epoch_{epoch:04d}.png")
        self._spent += time.perf_counter() - began

    def _draw_curves(self) -> None:
        began = time.perf_counter()
        with suppress(OSError, InvalidBundle):  # before the first epoch's end there is none
            curves = draw_curves(read_history(self.history)) if self.history is not None else None
            if curves is not None:
                self._log(curves, "curves.png")
        self._spent += time.perf_counter() - began

    def _log(self, picture: Image.Image, name: str) -> None:
        with tempfile.TemporaryDirectory(prefix="planar-") as folder:
            path = Path(folder) / name
            picture.quantize(COLOURS, method=Image.Quantize.FASTOCTREE).save(path, format="PNG")
            self.recorder.record.file(path, "pictures")

    def _name(self, position: int) -> str:
        return self.recorder.case_name("validation", position)


def case_sheet(cases: list[tuple[str, Case]], title: str) -> Image.Image:
    """Cases beside one another, each with both outlines.

    Args:
        cases: For each its name, and image (W, H) or (W, H, 3), predicted and reference class indices, (W, H).
        title: Stands above them.
    """
    sheet = Image.new("RGB", (SIDE * len(cases), SIDE + 2 * TEXT), "black")
    draw = ImageDraw.Draw(sheet)
    draw.text((3, 2), title, fill="white")
    for number, (name, (image, predicted, reference)) in enumerate(cases):
        step = max(1, math.ceil(max(predicted.shape) / (2 * SIDE)))  # drawing costs by the pixel
        drawn = draw_agreement(*(array[::step, ::step] for array in (image, predicted, reference)))
        panel = Image.fromarray(np.ascontiguousarray(drawn.swapaxes(0, 1)))
        scale = SIDE / max(panel.size)
        panel = panel.resize((max(1, round(panel.width * scale)), max(1, round(panel.height * scale))))
        sheet.paste(panel, (SIDE * number + (SIDE - panel.width) // 2, TEXT + (SIDE - panel.height) // 2))
        draw.text((SIDE * number + 3, TEXT + SIDE + 2), name, fill="white")
    return sheet


def _range(output: Mapping[str, Any]) -> range:
    return range(len(output["image"]))


def _plain(image: Any, channel: int | None) -> NDArray[Any]:
    """(W, H), or (W, H, 3) of colours, of a channel-first tensor."""
    array = np.asarray(image.detach().float().cpu())
    return np.moveaxis(array, 0, -1) if channel is None and len(array) == 3 else array[channel or 0]


def _indices(one_hot: Any) -> NDArray[np.uint8]:
    """Class indices, (W, H), of a one-hot mask, or of one that is indices already."""
    array = np.asarray(one_hot.detach().cpu())
    if len(array) == 1:
        return array[0].astype(np.uint8)
    indices = np.zeros(array.shape[1:], np.uint8)
    for number in range(1, len(array)):
        indices[array[number] > 0.5] = number
    return indices
