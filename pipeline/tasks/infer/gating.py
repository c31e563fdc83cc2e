"""Whether there is a gate to judge by, and the list of what a person must look at."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bundle import Bundle
from pipeline.errors import InvalidBundle, InvalidOption

if TYPE_CHECKING:
    from pipeline.gate import Gate, Verdict

__all__ = ["Judged", "gate_of", "quality_documents", "require_review_list", "review_table"]

COLUMNS = ("file", "predicted_dice", "distance", "reasons")


@dataclass(frozen=True)
class Judged:
    """What the gate says of one source.

    Attributes:
        file: The source.
        verdict: Of its mask; of a volume's whole.
    """

    file: str
    verdict: Verdict


def gate_of(bundle: Bundle, changed: bool) -> tuple[Gate | None, str]:
    """The bundle's gate, or None and why: masks are written without it, and nobody is told that they are good."""
    from pipeline.gate import gate_path, read_gate

    if not gate_path(bundle).is_file():
        return None, f"{bundle.name} has no gate. Fit one: planar calibrate {bundle.typed} --data datalist.json"
    if changed:
        return None, "The gate was fitted to the bundle's own weights and settings; leave out what changes them."
    try:
        return read_gate(bundle), ""
    except InvalidBundle as error:
        return None, str(error)


def quality_documents(out: Path, earlier: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """What messages call each source whose results an earlier inference wrote, and what the gate said of it.

    Args:
        out: Folder of the results.
        earlier: What results are called → what messages call the source.
    """
    paths = [(said, out / f"{stem}_quality.json") for stem, said in earlier.items()]
    return [(said, json.loads(path.read_text(encoding="utf-8"))) for said, path in paths if path.is_file()]


def require_review_list(path: Path) -> None:
    """Raise InvalidOption if what is there is no review list: an image that was named by mistake would be replaced.

    Raises:
        InvalidOption: likewise.
        OSError: if it cannot be read.
    """
    if not path.exists():
        return
    header = ",".join(COLUMNS).encode()
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(header)) in (header, b""):
                return
    raise InvalidOption(f"{path} is no review list. Give --review-list the name of a table to write: review.csv.")


def review_table(judged: Sequence[Judged], earlier: Iterable[tuple[str, Mapping[str, Any]]] = ()) -> str:
    """The sources that need review, as CSV.

    Args:
        judged: Sources of this inference.
        earlier: Name and `<name>_quality.json` of those that it passed over.
    """
    from pipeline.gate.verdict import REASON_SEPARATOR

    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for one in judged:
        verdict = one.verdict
        if verdict.decision == "review":
            predicted = "" if verdict.predicted_dice is None else f"{verdict.predicted_dice:.4f}"
            table.writerow([one.file, predicted, f"{verdict.distance:.4f}", verdict.cell])
    for name, said in earlier:
        if said["decision"] == "review":
            cells = ("" if said[key] is None else f"{said[key]:.4f}" for key in ("predicted_dice", "distance"))
            table.writerow([name, *cells, REASON_SEPARATOR.join(said["reasons"])])
    return out.getvalue()
