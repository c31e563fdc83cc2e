"""Predicted and reference masks of all cases out of fold, kept on disk while they are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pipeline.datalist import subject_of

__all__ = ["MaskKeeper", "Observed"]

Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Observed:
    """One case's masks.

    Attributes:
        image: The picture.
        subject: Whose it is.
        fold: Which network has not seen it.
        file: Where the masks are.
    """

    image: str
    subject: str
    fold: int
    file: Path

    def masks(self) -> tuple[Mask, Mask]:
        """Prediction and reference: class indices, (W, H)."""
        with np.load(self.file) as content:
            return content["prediction"], content["reference"]


class MaskKeeper:
    """Handler of an evaluator: writes the masks of each case into a folder.

    Args:
        folder: Where.
        fold: The fold that is evaluated.
    """

    def __init__(self, folder: Path, fold: int) -> None:
        self.folder = folder
        self.fold = fold
        self.cases: list[Observed] = []

    def attach(self, engine: Any) -> None:
        """Attach to an evaluator whose output holds "pred" and "label", one-hot or as class indices."""
        from ignite.engine import Events

        self.folder.mkdir(parents=True, exist_ok=True)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.keep)

    def keep(self, engine: Any) -> None:
        """Write the cases of one iteration."""
        for case, item in zip(engine.state.output, engine.state.batch, strict=True):
            image = str(case["image"].meta["filename_or_obj"])
            file = self.folder / f"{self.fold}-{len(self.cases)}.npz"
            np.savez_compressed(file, prediction=_classes(case["pred"]), reference=_classes(case["label"]))
            subject = subject_of({**item, "image": image})
            self.cases.append(Observed(image, subject, self.fold, file))


def _classes(mask: torch.Tensor) -> Mask:
    """Class indices, (W, H). Of a one-hot mask `max` gives them in a twentieth of the time of `argmax`."""
    plain = torch.as_tensor(mask).as_subclass(torch.Tensor)
    return (plain[0] if len(plain) == 1 else plain.max(0).indices).to(torch.uint8).cpu().numpy()
