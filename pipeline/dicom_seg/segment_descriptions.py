"""Classes as the items of a segment sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import highdicom as hd
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import codes

from pipeline.dicom_seg.algorithm import LONG_STRING, Algorithm, Annotation
from pipeline.dicom_seg.colours import cielab_of
from pipeline.dicom_seg.terms import Code, Term

__all__ = ["segment_descriptions"]


def segment_descriptions(terms: Mapping[int, Term], algorithm: Algorithm | Annotation) -> list[Any]:
    """One item a class, numbered as the classes are.

    Args:
        terms: Class index → term, from 1 without gaps.
        algorithm: That made the segments, or that people drew them.
    Returns: Items of SegmentSequence (PS3.3, C.8.20.4).
    """
    return [_description(index, term, algorithm) for index, term in sorted(terms.items())]


def _description(index: int, term: Term, algorithm: Algorithm | Annotation) -> Any:
    item = hd.seg.SegmentDescription(
        segment_number=index,
        segment_label=term.label[:LONG_STRING],
        segmented_property_category=_concept(term.category),
        segmented_property_type=_concept(term.kind),
        **_made_by(algorithm),
    )
    if term.side is not None:
        kind = item.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [_concept(term.side)]
    item.RecommendedDisplayCIELabValue = cielab_of(term.colour)
    return item


def _made_by(algorithm: Algorithm | Annotation) -> dict[str, Any]:
    if isinstance(algorithm, Annotation):
        return {"algorithm_type": hd.seg.SegmentAlgorithmTypeValues.MANUAL}
    return {
        "algorithm_type": hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        "algorithm_identification": hd.AlgorithmIdentificationSequence(
            name=algorithm.name,
            family=codes.cid7162.ArtificialIntelligence,
            version=algorithm.version,
            source="Planar",
            parameters={
                "weights_sha256": " ".join(algorithm.weights_sha256),
                "software": algorithm.software,
            },
        ),
    }


def _concept(code: Code) -> CodedConcept:
    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)
