"""Two evaluations image by image, each image a dot that can be hovered."""

from __future__ import annotations

from markupsafe import Markup

from pipeline.report.chart import Axis, Chart, colour, ticks
from pipeline.report.choice import thinned_to_both_ends
from pipeline.report.comparison import Comparison

__all__ = ["difference_plots"]

DOTS = 300


def difference_plots(comparison: Comparison) -> list[tuple[str, Markup]]:
    """(caption, chart): the difference of Dice of every image by rank, and one Dice against the other."""
    table = comparison.by_image()
    one, other = comparison.first, comparison.second
    table["rank"] = range(1, len(table) + 1)
    shown = thinned_to_both_ends(table.to_dict("records"), DOTS)
    left_out = f" {len(shown)} of {len(table)} images are drawn: both ends, and the others at even steps." * (
        len(shown) < len(table)
    )
    if not shown:
        return []
    several = " (mean over the classes)" if len(one.view.classes) > 1 else ""
    dots = [
        (
            row,
            f"{one.view.short[row['image_first']]}\nsubject {row['subject'][:12]}\n{one.letter} {row['dice_first']:.3f}"
            f", {other.letter} {row['dice_second']:.3f}: {row['difference']:+.3f}".replace("-0.", "−0."),
        )
        for row in shown
    ]
    gap = 0.5 + 0.02 * len(table)
    marks = [value for value in ticks(1, len(table), 6) if value >= 1 and value == int(value)]
    by_rank = Chart(
        Axis("image, by rank", 1 - gap, len(table) + gap, marks),
        Axis.around(f"Dice of {other.letter} − Dice of {one.letter}", [row["difference"] for row in shown] + [0.0]),
    )
    by_rank.rule(y=0.0)
    # Red where the second is worse, blue where it is better, as for prediction and reference: not by colour alone.
    for name, number, shape, wanted in (
        (f"{other.letter} worse", 1, 2, lambda value: value < 0),
        ("equal", 4, 1, lambda value: value == 0),
        (f"{other.letter} better", 0, 0, lambda value: value > 0),
    ):
        own = [(row["rank"], row["difference"], tip) for row, tip in dots if wanted(row["difference"])]
        if own:
            by_rank.dots(own, colour(number), name=name, shape=shape)
    values = [value for row in shown for value in (row["dice_first"], row["dice_second"])]
    against = Chart(
        Axis.around(f"Dice of {one.letter}", values, include=(1.0,)),
        Axis.around(f"Dice of {other.letter}", values, include=(1.0,)),
        height=360.0,
    )
    against.diagonal()
    against.dots([(row["dice_first"], row["dice_second"], tip) for row, tip in dots], colour(0))
    return [
        (f"Difference of Dice{several} of every image, from the worst for {other.letter} to the best.{left_out}",
         by_rank.svg(f"Difference of Dice between {other.letter} and {one.letter}, image by image")),
        (f"Dice{several} of {other.letter} against {one.letter}: above the dashed line {other.letter} is better.",
         against.svg(f"Dice of {other.letter} against Dice of {one.letter}, one dot an image")),
    ]  # fmt: skip
