"""The handler that writes down what each case scored."""

from __future__ import annotations

import json
import os
import shutil
import weakref
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ignite.engine import Engine, Events

from pipeline.digests import file_sha256
from pipeline.errors import GeometryMismatch, IncompleteResult
from pipeline.metrics.case_names import DatalistNames, MaskNames, relative_names
from pipeline.metrics.definitions import METRICS, Tolerance
from pipeline.metrics.folder import write_evaluation
from pipeline.metrics.result_files import require_no_results
from pipeline.metrics.tally import Tally
from pipeline.readers import write_mask

__all__ = ["CaseTable", "discard_unfinished"]


class CaseTable:
    """Write an evaluation's folder: `cases.csv`, `metrics.json`, `confusion.csv`, `calibration.csv` and `masks/`.

    Attach it to an evaluator whose output holds one-hot "pred" and "label" on the reference's own grid, and for the
    calibration the classes' "probabilities". The files appear together when every case has been scored, or not at all.
    The means over images also go to `engine.state.metrics` as "<metric>_<class>", where other handlers find them; NaN
    where no image has the metric.

    Args:
        output_dir: Folder of the files; made if missing.
        labels: Class index → name; index 0 is background and not scored.
        datalist: Where the cases come from, for their names, subjects and digests. None: names are relative to the
            folder that all images have in common.
        split: Part of the datalist, for the record.
        bundle_root: The bundle, for the record.
        checkpoint: File of the weights, whose digest goes into the record.
        nsd_tolerance: Of the surface Dice, ``{"mm": 2.0, "px": 2.0}``.
        save_masks: Whether to write the predicted class indices as PNG on each source's grid.
        overwrite: Whether to replace an evaluation that is in the folder.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        labels: Mapping[int, str],
        datalist: str | os.PathLike[str] | None = None,
        split: str | None = None,
        bundle_root: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        nsd_tolerance: Mapping[str, float] | None = None,
        save_masks: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.folder = Path(output_dir)
        self.labels = {int(index): str(name) for index, name in labels.items()}
        self.datalist = datalist
        self.split = split
        self.bundle_root = bundle_root
        self.checkpoint = checkpoint
        self.tolerance = Tolerance.of(nsd_tolerance)
        self.save_masks = save_masks
        self.overwrite = overwrite

    def attach(self, engine: Engine) -> None:
        """Attach to an evaluator."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.COMPLETED, self.finish)

    def start(self, engine: Engine) -> None:
        """Forget a former run, and refuse to replace its results unless that is wanted."""
        if not self.overwrite:
            require_no_results(self.folder)
        self._tally = Tally(self.labels, self.tolerance)
        self._names = DatalistNames(self.datalist) if self.datalist is not None else None
        self._mask_names = MaskNames()
        self._about = self._facts()
        self._aside = _aside(self.folder)
        # However the run ends, also where nobody catches its error, unfinished masks go with it.
        self._clean = weakref.finalize(self, shutil.rmtree, self._aside, ignore_errors=True)

    def collect(self, engine: Engine) -> None:
        """Score the cases of one iteration."""
        # The engine's output holds image, label and prediction alone; the rest of the case is in its batch.
        for case, item in zip(engine.state.output, engine.state.batch, strict=True):
            meta = case["image"].meta
            path = str(meta["filename_or_obj"])
            known = self._names.item(path) if self._names is not None else {"image": path}
            if case["pred"].shape != case["label"].shape:
                raise GeometryMismatch(
                    f"{known['image']}: the prediction is {_size(case['pred'])}, the mask {_size(case['label'])}; "
                    "expected one grid. Run `planar index` again: it refuses such pairs."
                )
            prediction = _indices(case["pred"])
            mask = ""
            if self.save_masks:
                mask = f"masks/{self._mask_names.name(path)}"
                write_mask(prediction, meta, self._aside / mask)
            self._tally.add(
                known["image"],
                prediction,
                _indices(case["label"]),
                subject=known.get("subject", item.get("subject")),
                image_sha256=known.get("image_sha256", ""),
                spacing_mm=meta.get("spacing_mm", known.get("spacing_mm")),
                probabilities=_array(case["probabilities"]) if "probabilities" in case else None,
                mask=mask,
            )

    def finish(self, engine: Engine) -> None:
        """Write the files and publish the means.

        Raises: IncompleteResult: if the run was ended before every case had been scored.
        """
        self._require_all(engine)
        if self._names is None:
            self._tally.rename(relative_names(self._tally.images))
        masks = self._aside / "masks" if self.save_masks and self._tally.rows else None
        record = write_evaluation(self.folder, self._tally, self._about, masks=masks, overwrite=self.overwrite)
        self._clean()
        measured = [name for name in METRICS if name != "ece" or record["calibration"] is not None]
        for label in list(self.labels.values())[1:]:
            for metric in measured:
                mean = record["summary"][label]["per_image"][metric]["mean"]
                engine.state.metrics[f"{metric}_{label}"] = float("nan") if mean is None else mean

    def _require_all(self, engine: Engine) -> None:
        dataset = getattr(engine.state.dataloader, "dataset", None)
        expected = len(dataset) if isinstance(dataset, Sized) else None
        done = len(self._tally.images)
        ended = engine.state.iteration < (engine.state.epoch_length or 0)
        if ended or (expected is not None and done != expected):
            of = "all" if expected is None else f"{expected}"
            raise IncompleteResult(
                f"{self.folder}: the evaluation ended after {done} of {of} cases, and nothing was written. "
                "Run it again to the end."
            )

    def _facts(self) -> dict[str, Any]:
        about: dict[str, Any] = {"split": self.split, "data": self._names.name if self._names is not None else None}
        if self.bundle_root is not None:
            root = Path(self.bundle_root).resolve()
            about["bundle"] = root.name
            metadata = root / "configs" / "metadata.json"
            if metadata.is_file():
                about["trained_on"] = json.loads(metadata.read_text(encoding="utf-8")).get("data_source")
        if self.checkpoint is not None and Path(self.checkpoint).is_file():
            about["checkpoint_sha256"] = file_sha256(self.checkpoint)
        return about


def discard_unfinished(folder: Path) -> None:
    """Remove what an evaluation of this process has left in a folder, and the folder if there is nothing else."""
    shutil.rmtree(_aside(folder), ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _aside(folder: Path) -> Path:
    return folder / f".part-{os.getpid()}"


def _indices(one_hot: torch.Tensor) -> npt.NDArray[np.uint8]:
    """Class indices, (W, H), of a one-hot mask, (classes, W, H)."""
    plain = torch.as_tensor(one_hot.as_tensor() if hasattr(one_hot, "as_tensor") else one_hot)
    index = torch.zeros(plain.shape[1:], dtype=torch.uint8, device=plain.device)
    # An arg-max over the first axis takes ten times as long on a large film.
    for number in range(1, len(plain)):
        index[plain[number] > 0.5] = number
    return np.asarray(index.cpu().numpy())


def _array(probabilities: torch.Tensor) -> npt.NDArray[np.float32]:
    plain = probabilities.as_tensor() if hasattr(probabilities, "as_tensor") else probabilities
    return np.asarray(plain.detach().float().cpu().numpy())


def _size(mask: Any) -> str:
    return "×".join(str(n) for n in mask.shape[1:])
