"""Who predicts: the bundle itself, or the program that was exported from it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bundle import Bundle
from pipeline.cores import asked_threads, usable_cores
from pipeline.errors import InvalidBundle
from pipeline.exported import ProgramFile, program_of
from pipeline.tasks.infer.exported import ExportedPredictor
from pipeline.tasks.infer.prediction import Predicts, Watches

if TYPE_CHECKING:
    from pipeline.gate import Gate

__all__ = ["MOST_SLICES", "Chosen", "predictor_for", "program_for"]

# Starting torch and MONAI takes as long as so many pictures do. Where there is a GPU the bundle is quicker beyond.
MOST_SLICES = 32
# Threads that compute a picture each. More would have to wait for decoding, which they all do with Python.
MOST_AT_ONCE = 8


@dataclass(frozen=True)
class Chosen:
    """Who predicts.

    Attributes:
        predict: The predictor.
        watch: What the gate judges by; None without a gate.
        instead: Why a program that is there is not used; "" if it is, or if there is none.
    """

    predict: Predicts
    watch: Watches | None
    instead: str = ""

    @property
    def ran(self) -> str:
        """Which way the pictures went, in one line; "" where there is no choice."""
        if not isinstance(self.predict, ExportedPredictor):
            return f"By the bundle itself: {self.instead}." if self.instead else ""
        said = "By the exported program (models/program.onnx)"
        others = "; ".join(f"{len(names)} by the bundle itself: {why}" for why, names in self.predict.left.items())
        return f"{said}; {others}." if others else f"{said}."


def program_for(bundle: Bundle, *, changed: bool, slices: int | None) -> tuple[ProgramFile | None, str]:
    """The bundle's exported program where it does the same and is done sooner, or None and why not.

    Args:
        bundle: Whose inference.
        changed: Whether weights, settings or flips are others than the bundle's.
        slices: How many there are; None if that is not known.
    """
    found, reason = program_of(bundle)
    if found is None:
        return None, reason
    if changed:
        return None, "the program has the bundle's own weights, settings and flips"
    if (slices is None or slices > MOST_SLICES) and _has_gpu():
        return None, f"on a GPU it is quicker than the program for more than {MOST_SLICES} slices"
    return found, ""


def predictor_for(
    bundle: Bundle,
    weights: Sequence[Path],
    settings: Mapping[str, Any],
    *,
    test_time_flips: bool,
    gate: Gate | None,
    program: ProgramFile | None,
    instead: str,
) -> Chosen:
    """Who predicts.

    Args:
        bundle: Whose inference.
        weights: One checkpoint, or several that are averaged.
        settings: Overrides of the inference config.
        test_time_flips: Whether to average over the config's flips.
        gate: Which judges; None for none.
        program: From `program_for`.
        instead: Likewise.
    """

    def itself() -> tuple[Predicts, Watches | None]:
        if gate is not None:
            from pipeline.tasks.infer.quality import watched_predictor

            return watched_predictor(bundle, gate)
        from pipeline.tasks.infer.predictor import Predictor

        return Predictor(bundle, weights, settings, test_time_flips=test_time_flips), None

    if program is not None and gate is not None and not program.answers(gate):
        instead = f"the program was made for another gate; planar export {bundle.typed} makes a new one"
    elif program is not None:
        try:
            at_once = min(MOST_AT_ONCE, asked_threads() or usable_cores())
            predict = ExportedPredictor(program, gate, itself, at_once)
        except InvalidBundle as error:
            instead = str(error)
        else:
            return Chosen(predict, predict if gate is not None else None)
    return Chosen(*itself(), instead)


def _has_gpu() -> bool:
    """Whether the bundle itself would compute on one; torch, which takes its time, is asked where there is a driver."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    import torch

    return torch.cuda.is_available()
