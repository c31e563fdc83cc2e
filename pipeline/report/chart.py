"""Charts as small inline SVG: a few hundred bytes of frame, and each dot can be hovered.

Colours and type come from the page (`page.css`), so that a chart is light or dark with it. Coordinates are rounded to
a tenth of a unit: the same figures give the same bytes.

Why not a library: a report is one file that is mailed and filed. Measured for one report's charts: these are 42 kB with
hover, keyboard focus and dark mode; matplotlib's SVG is 67 kB with none of them; plotly.js is 4.5 MB a page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from pipeline.report.page import SERIES

__all__ = ["Axis", "Chart", "colour", "tick_texts", "ticks"]

# Units of the view box; about CSS pixels where two charts stand side by side on a desk.
WIDTH, HEIGHT = 440.0, 270.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 12.0, 10.0, 42.0
FONT = 11.0
LETTER = 0.56 * FONT  # mean width of a letter

Point = tuple[float, float]


def colour(number: int) -> str:
    """The colour of a series, from 0."""
    return SERIES[number % len(SERIES)]


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, about as many as wanted, at steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    raw = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((power * factor for factor in (1, 2, 5, 10) if raw <= power * factor * 1.0001), power * 10)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def tick_texts(values: Sequence[float]) -> list[str]:
    """What is written at ticks: the same number of decimals at all of them, thousands and millions as k and M."""
    largest = max((abs(value) for value in values), default=0.0)
    if largest >= 1e4:
        return [_with_prefix(value) for value in values]
    if 0 < largest < 1e-2:
        return ["0" if value == 0 else _scientific(value) for value in values]
    decimals = max((len(f"{value:.6f}".rstrip("0").partition(".")[2]) for value in values), default=0)
    return [f"{value:.{decimals}f}".replace("-", "−") for value in values]


def _with_prefix(value: float) -> str:
    scale, end = next(((s, e) for s, e in ((1e9, " G"), (1e6, " M"), (1e3, " k")) if abs(value) >= s), (1.0, ""))
    return f"{value / scale:g}{end}".replace("-", "−")


def _scientific(value: float) -> str:
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}".replace("-", "−")


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: Its name, with the unit.
        low, high: Its ends.
        marks: Where it has ticks; round numbers if None.
        log: Whether it goes by factors; then both ends are above 0.
    """

    label: str
    low: float
    high: float
    marks: Sequence[float] | None = None
    log: bool = False

    @classmethod
    def around(
        cls, label: str, values: Iterable[float], *, include: Sequence[float] = (), margin: float = 0.05
    ) -> Axis:
        """An axis that holds all finite values and `include`; with a margin, but not behind a value of `include`."""
        known = [value for value in values if math.isfinite(value)]
        low, high = min([*known, *include], default=0.0), max([*known, *include], default=1.0)
        if not high > low:
            low, high = (low - 0.5, high + 0.5) if low == 0 else (low - abs(low) / 2, high + abs(high) / 2)
        gap = margin * (high - low)
        return cls(label, low if low in include else low - gap, high if high in include else high + gap)

    @classmethod
    def by_factors(cls, label: str, values: Iterable[float]) -> Axis:
        """A logarithmic axis that holds all values above 0, with a margin."""
        known = [value for value in values if math.isfinite(value) and value > 0] or [1.0]
        return cls(label, min(known) / 1.25, max(known) * 1.25, log=True)

    @property
    def tick_values(self) -> list[float]:
        """Where the ticks are."""
        if self.marks is not None:
            return [*self.marks]
        if not self.log:
            return ticks(self.low, self.high)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1,), (1, 3), (1, 2, 5)):
            found = [f * 10.0**p for p in powers for f in factors if self.low <= f * 10.0**p <= self.high]
            if len(found) > 3:
                return found
        return found if len(found) > 1 else ticks(self.low, self.high)

    def share(self, value: float) -> float:
        """How far along the axis a value is, 0 to 1 within it; NaN for one that it cannot show."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low) if value > 0 else math.nan
        return (value - self.low) / (self.high - self.low)


@dataclass
class Chart:
    """A frame with axes, to which lines, dots, bars and notes are added from back to front.

    Attributes:
        x, y: The axes.
        height: Units of the view box.
        width: Units of the view box.
    """

    x: Axis
    y: Axis
    height: float = HEIGHT
    width: float = WIDTH
    _body: list[str] = field(default_factory=list)
    _keys: list[tuple[str, str, str]] = field(default_factory=list)

    def line(
        self, points: Iterable[Point], stroke: str, *, name: str = "", dash: bool = False, width: float = 1.6
    ) -> None:
        """A line through the points; a point that is not finite interrupts it."""
        path, pen = [], "M"
        for x, y in points:
            if not (math.isfinite(x) and math.isfinite(y)):
                pen = "M"
                continue
            path.append(f"{pen}{self._x(x):g} {self._y(y):g}")
            pen = "L"
        dashes = ' stroke-dasharray="4 3"' if dash else ""
        if path:
            self._body.append(
                f'<path d="{"".join(path)}" fill="none" stroke="{stroke}" stroke-width="{width}"{dashes}/>'
            )
        self._key(name, stroke, "dash" if dash else "line")

    def band(self, points: Sequence[tuple[float, float, float]], fill: str, *, name: str = "") -> None:
        """A band of (x, low, high)."""
        around = [(x, low) for x, low, _ in points] + [(x, high) for x, _, high in reversed(points)]
        path = "L".join(f"{self._x(x):g} {self._y(y):g}" for x, y in around)
        self._body.append(f'<path d="M{path}Z" fill="{fill}" fill-opacity=".18"/>')
        self._key(name, fill, "area")

    def bars(self, bars: Iterable[tuple[float, float, float]], fill: str, *, base: float = 0.0, name: str = "") -> None:
        """Upright bars of (left, right, top) from `base`."""
        for left, right, top in bars:
            x, y = self._x(left), self._y(max(top, base))
            width, height = self._x(right) - x, self._y(min(top, base)) - y
            self._body.append(
                f'<rect x="{x:g}" y="{y:g}" width="{_tenth(max(width - 0.6, 0.4)):g}" height="{_tenth(height):g}" '
                f'fill="{fill}" fill-opacity=".3"/>'
            )
        self._key(name, fill, "area")

    def dots(self, dots: Iterable[tuple[float, float, str]], fill: str, *, name: str = "", shape: int = 0) -> None:
        """Dots of (x, y, tip), each of which can be hovered, tapped and reached by the keyboard.

        Args:
            dots: Those that are not finite are left out. Text of several lines is a tip of several lines.
            fill: Colour.
            name: For the key.
            shape: 0 circle, 1 square, 2 triangle, 3 diamond; then from the beginning.
        """
        drawn = [
            f'<path d="{_shape(shape, float(self._x(x)), float(self._y(y)))}" data-tip="{escape(tip)}"/>'
            for x, y, tip in dots
            if math.isfinite(self.x.share(x)) and math.isfinite(self.y.share(y))
        ]
        # The unseen rim makes a dot large enough for a finger.
        self._body.append(
            f'<g fill="{fill}" fill-opacity=".8" stroke="transparent" stroke-width="9" pointer-events="all">'
            f"{''.join(drawn)}</g>"
        )
        self._key(name, fill, str(shape))

    def rule(self, *, x: float | None = None, y: float | None = None, name: str = "") -> None:
        """A thin line across the chart at one value, with its name along it."""
        if x is not None:
            at = self._x(x)
            self._body.append(
                f'<path d="M{at:g} {TOP:g}V{self._bottom:g}" stroke="var(--soft)" stroke-dasharray="2 3"/>'
            )
            right = self.x.share(x) > 0.6
            anchor, shift = ("end", -4) if right else ("start", 4)
            self._body.append(_text(float(at) + shift, TOP + FONT, name, anchor, "var(--soft)"))
        if y is not None:
            at = self._y(y)
            self._body.append(
                f'<path d="M{LEFT:g} {at:g}H{self._right:g}" stroke="var(--soft)" stroke-dasharray="2 3"/>'
            )
            self._body.append(_text(self._right - 2, float(at) - 4, name, "end", "var(--soft)"))

    def diagonal(self) -> None:
        """The line on which both values are equal, within both axes."""
        low, high = max(self.x.low, self.y.low), min(self.x.high, self.y.high)
        if high > low:
            self.line([(low, low), (high, high)], "var(--soft)", dash=True, width=1)

    def svg(self, label: str) -> Markup:
        """The chart.

        Args:
            label: What it shows, for those who cannot see it.
        """
        keys, rows = self._legend()
        height = self.height + rows * 16
        parts = [
            f'<svg viewBox="0 {-16 * rows} {self.width:g} {height:g}" role="group" aria-label="{escape(label)}" '
            f'font-family="var(--font)" font-size="{FONT:g}" data-tip-group="">',
            *keys,
            *self._frame(),
            *self._body,
            "</svg>",
        ]
        return Markup("".join(parts))

    @property
    def _right(self) -> float:
        return self.width - RIGHT

    @property
    def _bottom(self) -> float:
        return self.height - BOTTOM

    def _x(self, value: float) -> float:
        return _tenth(LEFT + self.x.share(value) * (self._right - LEFT))

    def _y(self, value: float) -> float:
        return _tenth(self._bottom - self.y.share(value) * (self._bottom - TOP))

    def _key(self, name: str, stroke: str, kind: str) -> None:
        if name:
            self._keys.append((name, stroke, kind))

    def _frame(self) -> Iterable[str]:
        across, up = (self.x.tick_values, self.y.tick_values)
        grid = "".join(f"M{self._x(v):g} {TOP:g}V{self._bottom:g}" for v in across)
        grid += "".join(f"M{LEFT:g} {self._y(v):g}H{self._right:g}" for v in up)
        yield f'<path d="{grid}" stroke="var(--rule)" stroke-width=".8" fill="none"/>'
        yield f'<path d="M{LEFT:g} {TOP:g}V{self._bottom:g}H{self._right:g}" stroke="var(--soft)" fill="none"/>'
        for value, text in zip(across, tick_texts(across), strict=True):
            yield _text(self._x(value), self._bottom + 15, text, "middle", "var(--soft)")
        for value, text in zip(up, tick_texts(up), strict=True):
            yield _text(LEFT - 6, self._y(value) + 4, text, "end", "var(--soft)")
        middle = (LEFT + self._right) / 2
        yield _text(middle, self.height - 8, self.x.label, "middle", "currentColor")
        height = (TOP + self._bottom) / 2
        yield (
            f'<text transform="translate(12 {height:g}) rotate(-90)" text-anchor="middle" fill="currentColor">'
            f"{escape(self.y.label)}</text>"
        )

    def _legend(self) -> tuple[list[str], int]:
        """The key above the chart, in as many rows as it takes, and their number."""
        drawn, row, at = [], 1, LEFT
        for name, stroke, kind in self._keys:
            wide = 20 + len(name) * LETTER + 12
            if at > LEFT and at + wide > self._right:
                row, at = row + 1, LEFT
            y = TOP - 4 - 16 * row
            drawn.append((row, at, y, name, stroke, kind))
            at += wide
        rows = row if self._keys else 0
        parts = []
        for number, at, _, name, stroke, kind in drawn:
            y = -16 * (rows - number) - 4
            parts += [_swatch(at, y, stroke, kind), _text(at + 20, y + 4, name, "start", "currentColor")]
        return parts, rows


def _swatch(x: float, y: float, stroke: str, kind: str) -> str:
    if kind.isdigit():
        return f'<path d="{_shape(int(kind), x + 7, y)}" fill="{stroke}"/>'
    if kind == "area":
        return f'<rect x="{x:g}" y="{y - 5:g}" width="14" height="10" fill="{stroke}" fill-opacity=".3"/>'
    dashes = ' stroke-dasharray="4 3"' if kind == "dash" else ""
    return f'<path d="M{x:g} {y:g}h14" stroke="{stroke}" stroke-width="2"{dashes}/>'


def _shape(number: int, x: float, y: float) -> str:
    """The outline of a dot around (x, y)."""
    x, y = _tenth(x), _tenth(y)
    return (
        f"M{x:g} {y:g}m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
        f"M{x:g} {y:g}m-2.7-2.7h5.4v5.4h-5.4z",
        f"M{x:g} {y:g}m0-3.6l3.4 6h-6.8z",
        f"M{x:g} {y:g}m0-3.8l3.8 3.8l-3.8 3.8l-3.8-3.8z",
    )[number % 4]


def _text(x: float, y: float, text: str, anchor: str, fill: str) -> str:
    return f'<text x="{_tenth(x):g}" y="{_tenth(y):g}" text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'


def _tenth(value: float) -> float:
    return round(value, 1) + 0.0
