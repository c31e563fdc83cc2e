"""A candidate takes a model's place when it is better on the same validation set; the former one is kept."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.atomic import write_text_aside, written_aside
from pipeline.bundle import Bundle
from pipeline.digests import file_sha256

__all__ = ["Decision", "former_weights", "promote", "record"]


@dataclass(frozen=True)
class Decision:
    """What came of a training.

    Attributes:
        taken: Whether the candidate took the model's place.
        dice: Of the candidate on the validation set, mean over classes and images.
        dice_before: Of the model that was there; None if there was none.
        cases: Validation images.
        version: Of the bundle now.
        sha256: Of the weights that are there now.
        run_id: MLflow run of the training.
        when: UTC, ISO 8601.
    """

    taken: bool
    dice: float
    dice_before: float | None
    cases: int
    version: str
    sha256: str
    run_id: str | None
    when: str


def promote(
    bundle: Bundle, candidate: Path, *, dice: float, dice_before: float | None, cases: int, run_id: str | None
) -> Decision:
    """Take the candidate's weights if it is better, and write down what was decided.

    Args:
        bundle: Whose `models/model.pt`; the former one becomes `models/former/model-<version>-<digest>.pt`.
        candidate: Weights.
        dice: Of the candidate.
        dice_before: Of the bundle's own weights, on the same images; None if it has none.
        cases: Number of those images.
        run_id: MLflow run of the training.
    """
    taken = dice_before is None or dice > dice_before
    version = version_of(bundle)
    if taken:
        if bundle.weights.is_file():
            former = former_weights(bundle)
            if not former.is_file():
                with written_aside(former) as aside:
                    shutil.copyfile(bundle.weights, aside)
        version = _next(version)
        with written_aside(bundle.weights) as aside:
            shutil.copyfile(candidate, aside)
        before = "none" if dice_before is None else f"{dice_before:.4f}"
        _describe(bundle, version, f"Trained on annotations: Dice {dice:.4f} on {cases} images, before {before}")
    when = datetime.now(UTC).isoformat(timespec="seconds")
    sha256 = file_sha256(bundle.weights)
    decision = Decision(taken, dice, dice_before, cases, version, sha256, run_id, when)
    with (bundle.root / "models" / "decisions.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(decision)) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return decision


def record(bundle: Bundle) -> list[Decision]:
    """What came of the trainings of a bundle, in order."""
    path = bundle.root / "models" / "decisions.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [Decision(**json.loads(line)) for line in lines if line.endswith("}")]


def former_weights(bundle: Bundle) -> Path:
    """Where the weights that are there now are kept when others take their place."""
    name = f"model-{version_of(bundle)}-{file_sha256(bundle.weights)[:12]}.pt"
    return bundle.root / "models" / "former" / name


def version_of(bundle: Bundle) -> str:
    """The bundle's version, as its metadata say."""
    try:
        return str(json.loads(bundle.metadata.read_text(encoding="utf-8")).get("version") or "0.0.0")
    except (OSError, ValueError, AttributeError):
        return "0.0.0"


def _next(version: str) -> str:
    *rest, last = version.split(".")
    return ".".join([*rest, str(int(last) + 1) if last.isdecimal() else f"{last}.1"])


def _describe(bundle: Bundle, version: str, line: str) -> None:
    try:
        content = json.loads(bundle.metadata.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    content["version"] = version
    content["changelog"] = {version: line, **content.get("changelog", {})}
    # Scores are those of the former weights.
    content.pop("eval_metrics", None)
    write_text_aside(bundle.metadata, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
