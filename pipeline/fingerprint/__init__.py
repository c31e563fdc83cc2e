"""What a data set looks like, in numbers: measures of single cases, gathered into one small document.

Names are imported when they are asked for: who needs the regions of a mask needs none of SciPy's other parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lazy import lazily

if TYPE_CHECKING:
    from pipeline.fingerprint.alike import Alike, near_duplicates
    from pipeline.fingerprint.case import CaseMeasures, grey_of, measure_case
    from pipeline.fingerprint.document import FORMAT, Fingerprint
    from pipeline.fingerprint.figures import CaseFigures
    from pipeline.fingerprint.gather import Gatherer, SetFacts
    from pipeline.fingerprint.histogram import Histogram
    from pipeline.fingerprint.order import Order, order_of
    from pipeline.fingerprint.remarkable import remarks
    from pipeline.fingerprint.telling import telling_cases
    from pipeline.fingerprint.thumbnails import TURNS, thumbnail, turned

__all__ = [
    "FORMAT",
    "TURNS",
    "Alike",
    "CaseFigures",
    "CaseMeasures",
    "Fingerprint",
    "Gatherer",
    "Histogram",
    "Order",
    "SetFacts",
    "grey_of",
    "measure_case",
    "near_duplicates",
    "order_of",
    "remarks",
    "telling_cases",
    "thumbnail",
    "turned",
]

__getattr__ = lazily(
    __name__,
    {
        **dict.fromkeys(("Alike", "near_duplicates"), "alike"),
        **dict.fromkeys(("CaseMeasures", "grey_of", "measure_case"), "case"),
        **dict.fromkeys(("FORMAT", "Fingerprint"), "document"),
        "CaseFigures": "figures",
        **dict.fromkeys(("Gatherer", "SetFacts"), "gather"),
        "Histogram": "histogram",
        **dict.fromkeys(("Order", "order_of"), "order"),
        "remarks": "remarkable",
        "telling_cases": "telling",
        **dict.fromkeys(("TURNS", "thumbnail", "turned"), "thumbnails"),
    },
)
