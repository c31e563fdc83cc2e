"""A trained release put together as the folder that is committed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.atomic import replace_folder
from pipeline.errors import InvalidBundle
from pipeline.report.model_card import BY_HAND, WRITTEN

__all__ = ["DOCUMENTS", "LARGEST_BYTES", "Made", "card_by_hand", "card_to_fill", "install"]

# Hand-written: NAME.md goes to the end of the model card, NAME.txt is the bundle's docs/data_license.txt.
DOCUMENTS = Path(__file__).parent / "documents"
LARGEST_BYTES = 15_000_000
METADATA = "configs/metadata.json"


@dataclass(frozen=True)
class Made:
    """What a release consists of.

    Attributes:
        planned: The bundle as it was planned.
        trained: Its trained copy, with card, gate and weights.
        reports: Pages without pictures, by the data that they are of.
        packs: Records of the training, `run`, of the evaluation that counts, `test`, and where there are such of the
            recipe, `recipe`, and of joined classes, `united`.
        record: What `docs/release.json` says.
    """

    planned: Path
    trained: Path
    reports: Mapping[str, Path]
    packs: Mapping[str, Path]
    record: Mapping[str, Any]


def install(made: Made, name: str, bundles: Path) -> Path:
    """Put a bundle together and give it its place; a former one goes when the new one is whole.

    Configs are the planned ones, so that they can be planned again; what training, scores and people have added to the
    metadata goes along. No picture of a case is in it.

    Args:
        made: What was made.
        name: Of the bundle.
        bundles: The folder of the bundles.
    Raises: InvalidBundle: if something is missing, or the weights are too large to be released.
    """
    terms = DOCUMENTS / f"{name}.txt"
    wanted = {
        "models/model.pt": made.trained / "models" / "model.pt",
        "models/gate.json": made.trained / "models" / "gate.json",
        "docs/README.md": made.trained / "docs" / "README.md",
        "docs/data_license.txt": terms,
        **{f"docs/{what}.zip": pack for what, pack in made.packs.items()},
        METADATA: made.trained / METADATA,
        **{f"docs/report_{data}.html": page for data, page in made.reports.items()},
    }
    for path in wanted.values():
        if not path.is_file():
            raise InvalidBundle(f"{path} is not there; expected it for the release of {name}.")
    size = wanted["models/model.pt"].stat().st_size
    if size > LARGEST_BYTES:
        raise InvalidBundle(
            f"{name}: the weights have {size / 1e6:.1f} MB; at most {LARGEST_BYTES / 1e6:g} are released. Train with "
            "checkpoints#half=true, or plan with fewer --max-parameters."
        )
    final = bundles / name
    aside = bundles / f".part-{os.getpid()}-{name}"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        shutil.copytree(made.planned, aside, ignore=shutil.ignore_patterns("models", "docs", "__pycache__", ".*"))
        for place, path in wanted.items():
            (aside / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, aside / place)
        text = json.dumps(made.record, indent=2, ensure_ascii=False) + "\n"
        (aside / "docs" / "release.json").write_text(text, encoding="utf-8")
        replace_folder(aside, final)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return final


def card_by_hand(name: str, united: Mapping[str, Mapping[str, Any]], half: Mapping[str, Any] | None) -> str:
    """What stands below the scores of a model card: the hand-written part, and figures that are of no run.

    Args:
        name: Of the bundle.
        united: Scores of classes that were joined, by data and union.
        half: What half precision costs; see `half.difference`.
    """
    text = (DOCUMENTS / f"{name}.md").read_text(encoding="utf-8").strip()
    if united:
        rows = [
            f"| {data.partition(',')[0]} | {label} | {figures['dice']['n']} | {_mean(figures['dice'])} |"
            for data, scores in united.items()
            for label, figures in scores.items()
            if label != "mean_of_classes"
        ]
        head = "| test cases of | class | subjects | Dice |\n|---|---|---|---|\n"
        said = "Means over subjects with 95 % intervals; the tables of cases are in `docs/united.zip`."
        text += f"\n\n### Classes joined\n\n{said}\n\n{head}" + "\n".join(rows)
    if half is not None:
        text += (
            f"\n\n### Half precision\n\nDice in float16 less Dice in float32, {half['weights']}, on the test part: "
            f"{half['difference']:+.6f} in the mean over {half['numbers']} numbers, {half['largest_of_a_case']:.6f} in "
            "the case that differs most."
        )
    return text


def card_to_fill(by_hand: str) -> str:
    """A card that `planar card` may write anew, keeping this end."""
    return f"{WRITTEN}\n\n{BY_HAND}\n\n{by_hand}\n"


def _mean(figures: Mapping[str, Any]) -> str:
    return f"{figures['mean']:.3f} ({figures['ci_low']:.3f} to {figures['ci_high']:.3f})"
