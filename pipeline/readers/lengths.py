"""Whether a header says how long a pixel is, and in which unit; ITK takes 1 mm where it says nothing, whatever unit."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import UnsupportedImage

__all__ = ["NOTHING_SAID", "Lengths", "lengths_in"]

# Names of units in headers, in lower case → mm.
MILLIMETRES = {
    "mm": 1.0,
    "millimeter": 1.0,
    "millimetre": 1.0,
    "cm": 10.0,
    "centimeter": 10.0,
    "centimetre": 10.0,
    "m": 1000.0,
    "meter": 1000.0,
    "metre": 1000.0,
    "um": 0.001,
    "µm": 0.001,  # the micro sign
    "μm": 0.001,  # the Greek letter
    "micron": 0.001,
    "micrometer": 0.001,
    "micrometre": 0.001,
    "nm": 1e-6,
    "nanometer": 1e-6,
    "nanometre": 1e-6,
}
# What some software writes in place of a unit that it does not know.
NO_UNITS = ("", "?", "none", "unknown")


@dataclass(frozen=True)
class Lengths:
    """What a header says of lengths.

    Attributes:
        known: For each axis of pixels whether it gives their size.
        mm_per_unit: What one of its units is in millimetres.
        warning: What a user should know, or "".
    """

    known: tuple[bool, ...] = ()
    mm_per_unit: float = 1.0
    warning: str = ""

    def knows(self, shape: tuple[int, ...]) -> bool:
        """Whether the size of a pixel is known along each axis that has more than one.

        Args:
            shape: Of the image, without channels.
        """
        # An axis of channels comes first in most files, and has no size.
        known = list(self.known)
        while len(known) > len(shape) and False in known:
            known.remove(False)
        known += [False] * (len(shape) - len(known))
        return any(known) and all(one or size == 1 for one, size in zip(known, shape, strict=False))


NOTHING_SAID = Lengths()


def lengths_in(path: str, known: tuple[bool, ...], units: tuple[str, ...]) -> Lengths:
    """Lengths in the units that a header names.

    Args:
        path: The file, for messages.
        known: For each axis of pixels whether the header gives their size.
        units: Of these axes; none where the header names none, which means mm.
    Raises: UnsupportedImage: if they are several.
    """
    several = sorted({unit.strip() for unit in units if unit.strip().lower() not in NO_UNITS})
    if not several:
        return Lengths(known)
    factors = {MILLIMETRES.get(unit.lower(), MILLIMETRES.get(unit.lower().removesuffix("s"))) for unit in several}
    if len(factors) > 1:
        raise UnsupportedImage(f"{path}: lengths in {' and '.join(several)}; expected one unit. Export it again in mm.")
    factor = factors.pop()
    if factor is None:
        told = f"'{several[0]}' is no unit of length that is known: sizes are known in pixels only."
        return Lengths(tuple(False for _ in known), warning=told)
    return Lengths(known, factor, f"Lengths in {several[0]} were turned into mm." if factor != 1 else "")
