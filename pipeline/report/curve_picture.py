"""Loss and scores by epoch as a small picture, for places that show no pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

from pipeline.report.chart import Axis, colour, tick_texts, ticks

__all__ = ["draw_curves"]

Rows = Sequence[Mapping[str, float]]

WIDTH, HEIGHT = 420, 280
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 22, 24
INK, FRAME, GRID = "#333333", "#999999", "#e4e4e4"
# What is shown, and on which of the two charts.
CHARTS = (
    ("loss of training", ("train_loss",)),
    ("Dice: training batches (blue), validation (orange)", ("train_mean_dice", "val_mean_dice")),
)


def draw_curves(history: Rows) -> Image.Image | None:
    """The loss on the left, Dice on the right, by epoch; None while there is nothing to show.

    Args:
        history: Rows as `pipeline.history.read_history` gives them; NaN where there is no value.
    """
    charts = [
        (title, [name for name in names if any(math.isfinite(row.get(name, math.nan)) for row in history)])
        for title, names in CHARTS
    ]
    charts = [(title, names) for title, names in charts if names]
    if not charts:
        return None
    picture = Image.new("RGB", (WIDTH * len(charts), HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    for number, (title, names) in enumerate(charts):
        _draw_chart(draw, WIDTH * number, title, history, names)
    return picture


def _draw_chart(draw: ImageDraw.ImageDraw, left: int, title: str, history: Rows, names: Sequence[str]) -> None:
    epochs = [row["epoch"] for row in history]
    across = Axis("epoch", min(epochs) - 0.5, max(epochs) + 0.5)
    score = names[0] != "train_loss"
    values = [row.get(name, math.nan) for row in history for name in names]
    up = Axis.around(title, values, include=(1.0,) if score else (0.0,))
    box = (left + LEFT, TOP, left + WIDTH - RIGHT, HEIGHT - BOTTOM)

    def place(x: float, y: float) -> tuple[float, float]:
        return box[0] + across.share(x) * (box[2] - box[0]), box[3] - up.share(y) * (box[3] - box[1])

    marks = up.tick_values
    for mark, text in zip(marks, tick_texts(marks), strict=True):
        y = place(epochs[0], mark)[1]
        draw.line([(box[0], y), (box[2], y)], fill=GRID)
        draw.text((box[0] - 4, y), text.replace("−", "-"), fill=INK, anchor="rm")
    for mark in (mark for mark in ticks(across.low, across.high, 6) if mark == int(mark)):
        draw.text((place(mark, marks[0])[0], box[3] + 4), f"{mark:.0f}", fill=INK, anchor="ma")
    draw.rectangle(box, outline=FRAME)
    draw.text((box[0], 5), title, fill=INK)
    for number, name in enumerate(names):
        # A score that only some epochs have is joined across the others.
        points = [place(row["epoch"], row[name]) for row in history if math.isfinite(row.get(name, math.nan))]
        stroke = colour(number if len(names) > 1 else 0)
        if len(points) > 1:
            draw.line(points, fill=stroke, width=2)
        else:
            draw.circle(points[0], 3, fill=stroke)
