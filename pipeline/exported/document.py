"""models/program.onnx and what stands beside it: which weights and settings the program was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bundle import Bundle
from pipeline.digests import file_sha256
from pipeline.exported.refining import Step, step_from, step_record
from pipeline.gate import settings_sha256

if TYPE_CHECKING:
    from pipeline.gate import Gate

__all__ = ["FORMAT", "ProgramFile", "describe_program", "digests_of", "program_files", "program_of"]

FORMAT = "planar-program/3"


@dataclass(frozen=True)
class ProgramFile:
    """What is known of a program without loading it.

    Attributes:
        path: The ONNX file.
        classes: The background among them.
        channels: Of the network's input.
        neighbours: Slices to either side that are channels too.
        size_from: {"longest": pixels} or {"spacing_mm": mm}, see `Preparation`.
        padded_to: Size of the network's input (W, H), pixels.
        bfloat16: Whether the network may be computed in that, where a processor can.
        views: Of the gate that the program asks the network for; none without a gate.
        layers: Of that gate.
        refinement: What is done to its masks, which is no part of it.
    """

    path: Path
    classes: int
    channels: int
    neighbours: int
    size_from: Mapping[str, float]
    padded_to: tuple[int, int]
    bfloat16: bool = False
    views: tuple[tuple[float, float, float], ...] = ()
    layers: tuple[str, ...] = ()
    refinement: tuple[Step, ...] = ()

    def answers(self, gate: Gate) -> bool:
        """Whether the program has all that a gate asks the network for."""
        views = tuple((view.scale, view.degrees, view.gamma) for view in gate.views)
        return self.views == views and self.layers == tuple(name for name, _ in gate.reference.layers)


def program_files(bundle: Bundle) -> tuple[Path, Path]:
    """Where a bundle's program and its description are, there or not."""
    return bundle.root / "models" / "program.onnx", bundle.root / "models" / "program.json"


def digests_of(bundle: Bundle) -> dict[str, str]:
    """What a program is made from."""
    return {"checkpoint_sha256": file_sha256(bundle.weights), "settings_sha256": settings_sha256(bundle)}


def describe_program(
    file: ProgramFile, made_from: Mapping[str, str], checked: Mapping[str, Any], versions: Mapping[str, str]
) -> str:
    """The content of program.json.

    Args:
        file: The program, where it lies now.
        made_from: From `digests_of`, before it was made.
        checked: Against what, and how alike the masks were.
        versions: Of the packages that made it.
    """
    facts = {key: value for key, value in asdict(file).items() if key not in {"path", "refinement"}}
    document = {
        "format": FORMAT,
        **made_from,
        "program_sha256": file_sha256(file.path),
        **facts,
        "refinement": [step_record(step) for step in file.refinement],
        "checked": dict(checked),
        "made_with": dict(versions),
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def program_of(bundle: Bundle) -> tuple[ProgramFile | None, str]:
    """A bundle's program, or None and why it is not used; without a reason if the bundle has none."""
    path, described = program_files(bundle)
    there = [one for one in (path, described) if one.is_file()]
    if not there:
        return None, ""
    again = f"planar export {bundle.typed} makes a new one"
    if len(there) == 1:
        gone = described if there == [path] else path
        return None, f"{gone.name} is missing beside {there[0].name}; {again}"
    try:
        document = json.loads(described.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            return None, f"{path.name} is of another version of Planar; {again}"
        if document["checkpoint_sha256"] != file_sha256(bundle.weights):
            return None, f"{path.name} was made from other weights; {again}"
        if document["settings_sha256"] != settings_sha256(bundle):
            return None, f"configs/inference.yaml has changed since {path.name} was made; {again}"
        if document["program_sha256"] != file_sha256(path):
            return None, f"{path.name} is not the file that was checked; {again}"
        found = ProgramFile(
            path,
            int(document["classes"]),
            int(document["channels"]),
            int(document["neighbours"]),
            document["size_from"],
            _pair(document["padded_to"]),
            bool(document["bfloat16"]),
            tuple((float(a), float(b), float(c)) for a, b, c in document["views"]),
            tuple(map(str, document["layers"])),
            tuple(map(step_from, document["refinement"])),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None, f"{described.name} cannot be read; {again}"
    if find_spec("openvino") is None:
        return None, f"{path.name} needs OpenVINO (in Planar's checkout: pip install -c constraints.txt '.[export]')"
    return found, ""


def _pair(values: Sequence[Any]) -> tuple[int, int]:
    width, height = values
    return int(width), int(height)
