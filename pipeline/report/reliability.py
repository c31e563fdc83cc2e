"""Whether the network's confidence can be believed: the calibration diagram."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from pipeline.report.chart import Axis, Chart, colour
from pipeline.report.measures import share
from pipeline.report.page import number

__all__ = ["calibration_diagram"]


def calibration_diagram(calibration: pd.DataFrame) -> Markup:
    """Accuracy against confidence by bin, over the share of the pixels that each bin holds.

    Args:
        calibration: bin_low, bin_high, pixels, confidence, accuracy; one row a bin.
    """
    table = calibration[calibration["pixels"] > 0]
    total = float(table["pixels"].sum()) or 1.0
    low = min(0.0 if table["bin_low"].min() < 0.5 else 0.5, 1.0)
    chart = Chart(Axis("confidence", low, 1.0), Axis("accuracy; share of pixels", 0.0, 1.0))
    chart.bars(
        [(row.bin_low, row.bin_high, row.pixels / total) for row in table.itertuples()], "var(--soft)", name="pixels"
    )
    chart.diagonal()
    points = [(row.confidence, row.accuracy) for row in table.itertuples()]
    chart.line(points, colour(0), name="accuracy")
    tips = [
        f"confidence {row.bin_low:.2f} to {row.bin_high:.2f}, mean {row.confidence:.3f}\n"
        f"accuracy {row.accuracy:.3f}\n{number(int(row.pixels))} pixels, {share(row.pixels / total)}"
        for row in table.itertuples()
    ]
    chart.dots([(x, y, tip) for (x, y), tip in zip(points, tips, strict=True)], colour(0))
    return chart.svg("Calibration: accuracy against confidence by bin")
