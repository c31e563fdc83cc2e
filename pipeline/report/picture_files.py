"""The pictures of a report as files."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from pipeline.atomic import replace_folder
from pipeline.errors import InvalidOption, OutputExists, PlanarError
from pipeline.fragments import split_fragment
from pipeline.readers import stem_of
from pipeline.report.choice import spread
from pipeline.report.confusion_picture import draw_confusion
from pipeline.report.curve_picture import draw_curves
from pipeline.report.evaluation import EvaluationView
from pipeline.report.material import Material
from pipeline.report.pictures import CasePicture, read_case
from pipeline.report.privacy import without_folders
from pipeline.report.sheets import collage, overlay, triptych
from pipeline.report.strips import COLLAGE, caption_of, cases_shown, ranked_images

__all__ = ["require_drawable", "require_free_folder", "write_pictures"]

FOLDERS = TRIPTYCHS, OVERLAYS = "triptychs", "overlays"
FILES = NINE, CONFUSION, CURVES = "collage.png", "confusion.png", "curves.png"


def require_drawable(evaluation: EvaluationView, has_datalist: bool) -> None:
    """Raise InvalidOption if there is nothing to draw cases from."""
    if has_datalist and "mask" in evaluation.images:
        return
    why = "the evaluation kept no masks" if has_datalist else "give the datalist with --data"
    raise InvalidOption(f"{evaluation.folder}: there is nothing to draw cases from: {why}.")


def require_free_folder(folder: Path, overwrite: bool) -> None:
    """Raise OutputExists if the folder holds pictures that must not be replaced."""
    if folder.is_file():
        raise OutputExists(f"{folder} is a file; expected the name of a folder. Give one with --pictures.")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise OutputExists(f"{folder} is not empty. Give --overwrite to write into it, or another folder.")


def write_pictures(material: Material, folder: Path, advance: Callable[[], None] = lambda: None) -> list[str]:
    """Write what can be drawn of an evaluation as PNG files.

    `triptychs/` and `overlays/` have the cases that the page shows, the worst first; `collage.png` has nine from the
    worst to the best, `confusion.png` the matrix, `curves.png` loss and Dice of the training. They take the place of
    those that an earlier report has left there; other files stay.

    Args:
        material: What is known; a datalist is needed for the cases, a bundle for the curves.
        folder: Where they go.
        advance: Called after each case.
    Returns: What could not be drawn, one line each.
    Raises: InvalidOption: without a datalist or masks there are no cases.
    """
    require_drawable(material.evaluation, material.source is not None)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=folder) as aside:
        notes = _draw(material, Path(aside), advance)
        for name in FOLDERS:
            if (Path(aside) / name).is_dir():
                replace_folder(Path(aside) / name, folder / name)
            else:
                shutil.rmtree(folder / name, ignore_errors=True)
        for name in FILES:
            if (Path(aside) / name).is_file():
                (Path(aside) / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    return notes


def _draw(material: Material, folder: Path, advance: Callable[[], None]) -> list[str]:
    evaluation = material.evaluation
    items = material.source.items if material.source is not None else {}
    masks = dict(zip(evaluation.images["image"], evaluation.images["mask"], strict=True))
    notes: list[str] = []
    drawn: dict[str, CasePicture] = {}
    for number, name in enumerate(_worst_first(evaluation, cases_shown(material)), 1):
        short = evaluation.short[name]
        try:
            case = read_case(items[name], [evaluation.folder / masks[name]], scored=[evaluation.dice_of(name)])
        except PlanarError as error:
            notes.append(f"{short} is not drawn: {without_folders(str(error))}")
            continue
        finally:
            advance()
        drawn[name] = case
        caption = caption_of(evaluation, name)
        file = f"{number:02d}_{_plain(short)}.png"
        _save(triptych(case, evaluation.classes, f"{short}: {caption}"), folder / TRIPTYCHS / file)
        _save(overlay(case, evaluation.classes, "predicted"), folder / OVERLAYS / file)
    nine = [name for name in spread(ranked_images(evaluation), COLLAGE) if name in drawn]
    if nine:
        cases = [(f"{evaluation.short[name]}: {_dice(evaluation, name)}", drawn[name]) for name in nine]
        _save(collage(cases, "From the worst to the best"), folder / NINE)
    _save(draw_confusion(evaluation.files.confusion), folder / CONFUSION)
    curves = draw_curves(material.history) if material.history else None
    if curves is not None:
        _save(curves, folder / CURVES)
    else:
        notes.append(f"No {CURVES}: the bundle has no history of a training.")
    return notes


def _worst_first(evaluation: EvaluationView, names: list[str]) -> list[str]:
    rank = {name: place for place, name in enumerate(ranked_images(evaluation))}
    return sorted(names, key=lambda name: rank.get(name, len(rank)))


def _dice(evaluation: EvaluationView, name: str) -> str:
    value = float(evaluation.images.set_index("image")["dice"].loc[name])
    return f"Dice {value:.3f}"


def _plain(name: str) -> str:
    """A name that is a file's on every system, with the number of a slice."""
    file, number = split_fragment(name)
    stem = stem_of(file) + (f"_slice_{number:04d}" if number is not None else "")
    return re.sub(r"[^\w.-]+", "_", stem).strip("_") or "case"


def _save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, format="PNG", optimize=True)
