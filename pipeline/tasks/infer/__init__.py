"""Segment new images with a bundle; masks come back on the grid of each source.

Names are imported when they are asked for: files need nothing of what speaks with an archive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lazy import lazily

if TYPE_CHECKING:
    from pipeline.tasks.infer.gating import Judged
    from pipeline.tasks.infer.outcome import InferenceResult
    from pipeline.tasks.infer.retrieved import FromArchive
    from pipeline.tasks.infer.returned import Returned
    from pipeline.tasks.infer.run import infer
    from pipeline.tasks.infer.sources import Refusal

__all__ = ["FromArchive", "InferenceResult", "Judged", "Refusal", "Returned", "infer"]

__getattr__ = lazily(
    __name__,
    {
        "FromArchive": "retrieved",
        "InferenceResult": "outcome",
        "Judged": "gating",
        "Refusal": "sources",
        "Returned": "returned",
        "infer": "run",
    },
)
