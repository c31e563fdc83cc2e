"""How large the pixels of a DICOM picture are, and how a film lies.

References: DICOM PS3.3, 10.7.1.3 (Pixel Spacing Value Order and Calibration), C.7.6.1.1.1 (Patient Orientation).
"""

from __future__ import annotations

from typing import Any

from pipeline.readers.functional_groups import functional_group, numbers

__all__ = ["film_remark", "spacing_of_film"]

# A point source magnifies; beyond this the header is wrong.
MAGNIFICATIONS = (1.0, 10.0)
LARGEST_PIXEL_MM = 100.0
DIRECTIONS = frozenset("LRAPHF")


def spacing_of_film(ds: Any) -> tuple[tuple[float, float] | None, str, str]:
    """Pixel size of a DICOM picture.

    PixelSpacing; without it ImagerPixelSpacing, which is measured at the detector and divided by the magnification
    where that is known; without both NominalScannedPixelSpacing of a digitised film. Zero is no size.

    Returns: Size (x, y) in mm or None, the name of its source, and what a user should know, or "".
    """
    measures = functional_group(ds, 0, "PixelMeasuresSequence")
    told = ""
    for item, keyword in (
        (measures, "PixelSpacing"),
        (ds, "PixelSpacing"),
        (ds, "ImagerPixelSpacing"),
        (ds, "NominalScannedPixelSpacing"),
    ):
        if item is None or item.get(keyword) in (None, ""):
            continue
        found = numbers(item, keyword, 2)
        if found is None or min(found) <= 0 or max(found) > LARGEST_PIXEL_MM:
            told = told or f"{keyword} {'is' if found is None else _listed(found)} no size"
            continue
        row, column = found
        if keyword != "ImagerPixelSpacing":
            return (column, row), keyword, ""
        return _at_the_patient(ds, (column, row))
    return None, "unknown", f"{told or 'There is no PixelSpacing'}: sizes are known in pixels only.{_aspect_remark(ds)}"


def _listed(values: tuple[float, ...]) -> str:
    return "\\".join(f"{value:g}" for value in values) + " is"


def _at_the_patient(ds: Any, spacing_mm: tuple[float, float]) -> tuple[tuple[float, float], str, str]:
    """Detector pixels by the magnification between patient and detector."""
    factor = numbers(ds, "EstimatedRadiographicMagnificationFactor", 1)
    if factor is None or factor[0] == 0:
        return spacing_mm, "ImagerPixelSpacing", ""
    if not MAGNIFICATIONS[0] <= factor[0] <= MAGNIFICATIONS[1]:
        told = f"EstimatedRadiographicMagnificationFactor {factor[0]:g} cannot be: sizes are those at the detector."
        return spacing_mm, "ImagerPixelSpacing", told
    source = "ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor"
    return (spacing_mm[0] / factor[0], spacing_mm[1] / factor[0]), source, ""


def _aspect_remark(ds: Any) -> str:
    aspect = numbers(ds, "PixelAspectRatio", 2)
    if aspect is None or min(aspect) <= 0 or aspect[0] == aspect[1]:
        return ""
    return f" Pixels are not square: PixelAspectRatio {aspect[0]:g}\\{aspect[1]:g} (height to width)."


def film_remark(ds: Any) -> str:
    """What is unusual about how a projection film lies, or "".

    A film is read as it is stored, which is how viewers show it; PatientOrientation is wrong too often to turn by it.
    """
    value = ds.get("PatientOrientation")
    if value is None or isinstance(value, str) or len(value) != 2 or not all(value):
        return ""
    row, column = (str(direction)[0] for direction in value)
    if not all(set(str(direction)) <= DIRECTIONS for direction in value):
        return ""
    if row in "FH" and column in "LRAP":
        what = "it lies on its side"
    elif column == "H" and row in "LRAP":
        what = "it is upside down"
    elif (row, column) == ("R", "F"):
        what = "the patient's right is on its right, left and right are mirrored"
    else:
        return ""
    return f"PatientOrientation {value[0]}\\{value[1]}: {what}. It is read as stored."
