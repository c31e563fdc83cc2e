"""The cases that a report shows: the worst, the median and the best, and nine from the worst to the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.errors import PlanarError
from pipeline.report.choice import extremes, spread
from pipeline.report.evaluation import EvaluationView
from pipeline.report.material import Material
from pipeline.report.pictures import panels, read_case
from pipeline.report.privacy import without_folders

__all__ = ["COLLAGE", "Pictures", "Strip", "caption_of", "cases_shown", "pictures_of", "ranked_images"]

COLLAGE = 9
PANELS = ("Image", "Reference", "Prediction", "Both outlines")


@dataclass(frozen=True)
class Strip:
    """One case in pictures.

    Attributes:
        name: The image's short name.
        caption: Subject and scores.
        pictures: (alternative text, data URI) of each panel.
        small: Data URI of the last panel, for the collage; "" where there is none.
    """

    name: str
    caption: str
    pictures: list[tuple[str, str]]
    small: str = ""


@dataclass(frozen=True)
class Pictures:
    """The cases that are shown; those that could not be drawn are left out.

    Attributes:
        extremes: "worst", "median", "best" → images.
        spread: Images at even steps of rank.
        drawn: Image → its strip.
    """

    extremes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    spread: Sequence[str] = ()
    drawn: Mapping[str, Strip] = field(default_factory=dict)

    def strips(self, names: Sequence[str]) -> list[Strip]:
        """The strips of some images."""
        return [self.drawn[name] for name in names if name in self.drawn]


def cases_shown(material: Material) -> list[str]:
    """The images that will be drawn, each once; none without a datalist or masks."""
    evaluation = material.evaluation
    if material.source is None or "mask" not in evaluation.images:
        return []
    ranked = ranked_images(evaluation)
    wanted = [*(name for names in extremes(ranked).values() for name in names), *spread(ranked, COLLAGE)]
    return [*dict.fromkeys(wanted)]


def pictures_of(material: Material, notes: list[str], advance: Callable[[], None] = lambda: None) -> Pictures:
    """Draw the cases.

    Args:
        material: Of which the evaluation and the source are used.
        notes: Takes a line for what could not be drawn, and why.
        advance: Called after each case.
    """
    evaluation, source = material.evaluation, material.source
    if source is None:
        notes.append("No pictures: the datalist was not given (--data).")
        return Pictures()
    if "mask" not in evaluation.images:
        notes.append("No pictures: the evaluation kept no masks (save_masks in evaluate.yaml).")
        return Pictures()
    masks = dict(zip(evaluation.images["image"], evaluation.images["mask"], strict=True))
    drawn = {}
    for name in cases_shown(material):
        short, mask = evaluation.short[name], masks[name]
        try:
            if not mask or not (evaluation.folder / mask).is_file():
                notes.append(f"{short} is not shown: its mask is not in the evaluation folder.")
                continue
            case = read_case(source.items[name], [evaluation.folder / mask], scored=[evaluation.dice_of(name)])
            *uris, small = panels(case, evaluation.classes)
            drawn[name] = Strip(short, caption_of(evaluation, name), list(zip(PANELS, uris, strict=True)), small)
        except PlanarError as error:
            notes.append(f"{short} is not shown: {without_folders(str(error))}")
        finally:
            advance()
    ranked = ranked_images(evaluation)
    return Pictures(extremes(ranked), spread(ranked, COLLAGE), drawn)


def caption_of(evaluation: EvaluationView, name: str) -> str:
    """Subject and scores of one image."""
    rows = evaluation.cases[evaluation.cases["image"] == name].to_dict("records")
    shown = [measure for measure in evaluation.measures if measure.key in ("dice", "hd95")]
    parts = []
    for row in rows:
        own = f"{row['class']} " if len(rows) > 1 else ""
        unit = str(row.get("distance_unit") or "")
        figures = [
            f"{measure.label} {measure.text(row[measure.key])}{f' {unit}' * measure.has_unit}" for measure in shown
        ]
        parts.append(own + ", ".join(figures))
    return f"subject {str(rows[0]['subject'])[:8]}: {'; '.join(parts)}"


def ranked_images(evaluation: EvaluationView) -> list[str]:
    """The images that have a Dice, the worst first."""
    return [str(name) for name in evaluation.images.dropna(subset=["dice"])["image"]]
