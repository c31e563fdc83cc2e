"""The handler that writes down what each case scored."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import monai
import pandas as pd
from ignite.engine import Engine, Events

from pipeline import __version__
from pipeline.atomic import write_text_aside
from pipeline.errors import GeometryMismatch, InvalidDatalist
from pipeline.metrics.overlap import EMPTY_MASK_POLICY, OVERLAP_METRICS, overlap_scores
from pipeline.metrics.summary import AGGREGATION, summarise

__all__ = ["CaseTable"]


class CaseTable:
    """Write `cases.csv` (one row a case and class) and `metrics.json` (the figures, their rules, and the same rows).

    Attach it to an evaluator whose output holds one-hot "pred" and "label" on the reference's own grid. The means of
    the foreground classes also go to `engine.state.metrics` as "<metric>_<class>", where other handlers find them.

    Args:
        output_dir: Folder of the two files; made if missing.
        labels: Class index → name; index 0 is background and not scored.
    """

    def __init__(self, output_dir: str | os.PathLike[str], labels: Mapping[int, str]) -> None:
        self.folder = Path(output_dir)
        self.labels = {int(index): str(name) for index, name in labels.items() if int(index) != 0}
        self.rows: list[dict[str, Any]] = []

    def attach(self, engine: Engine) -> None:
        """Attach to an evaluator."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.COMPLETED, self.finish)

    def start(self, engine: Engine) -> None:
        """Forget the rows of a former run."""
        self.rows = []

    def collect(self, engine: Engine) -> None:
        """Score the cases of one iteration."""
        # The engine's output holds image, label and prediction alone; the rest of the case is in its batch.
        for case, item in zip(engine.state.output, engine.state.batch, strict=True):
            name = str(case["image"].meta["filename_or_obj"])
            prediction, reference = case["pred"], case["label"]
            if prediction.shape != reference.shape:
                raise GeometryMismatch(
                    f"{name}: the prediction is {_size(prediction)}, the mask {_size(reference)}; expected one grid. "
                    "Run `planar index` again: it refuses such pairs."
                )
            scores = overlap_scores(prediction, reference)
            for index, label in self.labels.items():
                self.rows.append(
                    {
                        "image": name,
                        "subject": str(item.get("subject", name)),
                        "class": label,
                        **{metric: float(scores[metric][index]) for metric in OVERLAP_METRICS},
                        "reference_pixels": int(scores["reference_pixels"][index]),
                        "predicted_pixels": int(scores["predicted_pixels"][index]),
                    }
                )

    def finish(self, engine: Engine) -> None:
        """Write both files and publish the means."""
        if not self.rows:
            raise InvalidDatalist("There was no case to score. Choose a split that has cases.")
        cases = pd.DataFrame(self.rows)
        summary = summarise(cases)
        for label in self.labels.values():
            for metric in OVERLAP_METRICS:
                value = summary[label]["per_image"][metric]["mean"]
                if value is not None:
                    engine.state.metrics[f"{metric}_{label}"] = value
        record = {
            "summary": summary,
            "n_cases": int(cases["image"].nunique()),
            "n_subjects": int(cases["subject"].nunique()),
            "rules": {"empty_masks": EMPTY_MASK_POLICY, "aggregation": AGGREGATION, "units": "shares of 1; pixels"},
            "versions": {"planar": __version__, "monai": monai.__version__},
            # By way of pandas, which writes null where a metric is undefined: NaN is not JSON.
            "cases": json.loads(cases.to_json(orient="records")),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text_aside(self.folder / "cases.csv", cases.to_csv(index=False, float_format="%.6f"))
        write_text_aside(self.folder / "metrics.json", json.dumps(record, indent=2, allow_nan=False) + "\n")


def _size(mask: Any) -> str:
    return "×".join(str(n) for n in mask.shape[1:])
