"""A bundle's inference as one ONNX program: pre-processing, network, flips and the way back to the picture's grid.

`planar export` makes it (`build`, which needs torch, MONAI and onnx); `planar infer` runs it on a processor with
OpenVINO (`document`, `parts`, `program`) and nothing of torch or MONAI, whose imports alone take longer than a few
pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.exported.document import ProgramFile, describe_program, digests_of, program_files, program_of
from pipeline.exported.program import Program
from pipeline.exported.refining import refined
from pipeline.lazy import lazily

if TYPE_CHECKING:
    from pipeline.exported.build import build_program, plain_copy
    from pipeline.exported.finishing import split_refinement

__all__ = [
    "Program",
    "ProgramFile",
    "build_program",
    "describe_program",
    "digests_of",
    "plain_copy",
    "program_files",
    "program_of",
    "refined",
    "split_refinement",
]

__getattr__ = lazily(__name__, {"build_program": "build", "plain_copy": "build", "split_refinement": "finishing"})
