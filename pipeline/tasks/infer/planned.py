"""Which DICOM objects an inference will make of images, known before it is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.bundle import Bundle
from pipeline.dicom_seg import result_series_uid
from pipeline.digests import file_sha256
from pipeline.tasks.infer.archive import Model
from pipeline.tasks.infer.wanted import Wanted

__all__ = ["Planned", "planned_results", "with_job"]


@dataclass(frozen=True)
class Planned:
    """Objects of one kind that images will have.

    Attributes:
        kind: "dicomseg" or "sc".
        series: SeriesInstanceUID.
        instances: SOPInstanceUIDs.
    """

    kind: str
    series: str
    instances: frozenset[str]


def with_job(model: Model, bundle: Bundle, settings: Mapping[str, Any]) -> Model:
    """A model whose results are called by what goes into them, and not by what they hold.

    Args:
        model: The model.
        bundle: Whose inference config makes the masks.
        settings: Whatever else changes them.
    """
    content = [
        model.algorithm.weights_sha256,
        model.algorithm.version,
        model.algorithm.software,
        sorted((index, repr(term)) for index, term in model.terms.items()),
        file_sha256(bundle.config("inference")),
        {key: str(value) for key, value in settings.items()},
    ]
    return replace(model, job=hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest())


def planned_results(
    model: Model, wanted: Wanted, source_series: str, images: Sequence[tuple[str, int]]
) -> list[Planned]:
    """The DICOM objects of one source, a kind each.

    Args:
        model: With a job.
        wanted: What is to be written.
        source_series: SeriesInstanceUID of the images.
        images: SOPInstanceUID and frame of each slice, in any order.
    """
    digest = model.algorithm.digest
    found = []
    if "dicomseg" in wanted.formats:
        instances = [model.instance_of(f"seg {wanted.seg_type}", images)]
        found.append(Planned("dicomseg", result_series_uid("seg", source_series, digest), _known(instances)))
    if "sc" in wanted.formats:
        instances = [model.instance_of("sc", [image]) for image in images]
        found.append(Planned("sc", result_series_uid("sc", source_series, digest), _known(instances)))
    return found


def _known(instances: Sequence[str | None]) -> frozenset[str]:
    return frozenset(one for one in instances if one is not None)
