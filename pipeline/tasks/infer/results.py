"""Writing what belongs to one source, all of it or nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy.typing as npt

from pipeline.atomic import write_text_aside
from pipeline.readers import Picture, write_mask, write_probabilities
from pipeline.tasks.infer.sources import Source

__all__ = ["folder_aside", "write_results"]

RASTER = ("PNG", "JPEG", "BMP", "TIFF")


@contextmanager
def folder_aside(out: Path) -> Iterator[Path]:
    """A hidden folder in the output folder to write to, gone at the end whatever happens.

    Raises: OSError: if the output folder cannot be made or written, before any work is done for nothing.
    """
    existed = out.exists()
    out.mkdir(parents=True, exist_ok=True)
    aside = out / f".part-{os.getpid()}"
    try:
        aside.mkdir(exist_ok=True)
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if not existed:
            with suppress(OSError):  # not empty: there are results
                out.rmdir()


def write_results(
    mask: npt.NDArray[Any],
    probabilities: npt.NDArray[Any] | None,
    picture: Picture,
    source: Source,
    out: Path,
    aside: Path,
    *,
    formats: Sequence[str],
    overlay: bool,
    quality: Callable[[list[str]], dict[str, Any]] | None = None,
) -> list[Path]:
    """Write masks, and what else is wanted; they appear under their names when all are written.

    Args:
        mask: Class indices, (W, H) or (W, H, D), display orientation.
        probabilities: (classes, W, H) or (classes, W, H, D), or None.
        picture: What they belong to.
        source: What the results are called.
        out: The output folder.
        aside: From `folder_aside`.
        formats: "png", "nifti", "auto".
        overlay: Whether to write pictures with the mask drawn in.
        quality: From the masks' names to what the gate says of them, if it says anything.
    Returns: The masks.
    """
    extra: list[Path] = []
    try:
        masks = _write_masks(mask, picture, source, aside, formats)
        if probabilities is not None:
            extra.append(aside / f"{source.stem}_prob.nii.gz")
            write_probabilities(probabilities, picture, extra[-1])
        if overlay:
            extra.append(_write_overlays(mask, picture, source, aside))
        verdict = aside / f"{source.stem}_quality.json"
        if quality is not None:
            content = quality([path.name for path in masks])
            write_text_aside(verdict, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
            extra.append(verdict)
        else:  # the verdict of an earlier run would be one of another mask
            (out / verdict.relative_to(aside)).unlink(missing_ok=True)
        # Masks last: where a mask is, all the rest is.
        for path in (*extra, *masks):
            _publish(path, out / path.relative_to(aside))
    finally:
        for path in aside.iterdir():
            _remove(path)
    return [out / path.relative_to(aside) for path in masks]


def _write_masks(
    mask: npt.NDArray[Any], picture: Picture, source: Source, folder: Path, formats: Sequence[str]
) -> list[Path]:
    written = []
    flat = picture.depth == 1
    auto = "png" if flat and picture.source_format in (*RASTER, "DICOM") else "nifti"
    for kind in dict.fromkeys(auto if name == "auto" else name for name in formats):
        if kind == "nifti" or flat:
            path = folder / f"{source.stem}_mask{'.nii.gz' if kind == 'nifti' else '.png'}"
            write_mask(mask, picture, path)
        else:
            path = folder / f"{source.stem}_mask"
            for number in range(picture.depth):
                one = picture.cut(number, f"{picture.path}#slice={number}")
                write_mask(mask[..., number], one, path / f"{_slice_name(picture, number)}.png")
        written.append(path)
    return written


def _write_overlays(mask: npt.NDArray[Any], picture: Picture, source: Source, folder: Path) -> Path:
    from pipeline.overlays import save_overlay

    if picture.depth == 1:
        path = folder / f"{source.stem}_overlay.png"
        save_overlay(picture.array, mask, path)
        return path
    path = folder / f"{source.stem}_overlay"
    for number in range(picture.depth):
        save_overlay(picture.array[:, :, number], mask[:, :, number], path / f"{_slice_name(picture, number)}.png")
    return path


def _slice_name(picture: Picture, number: int) -> str:
    """Numbered, so that the order is the volume's, whatever the files of a series are called."""
    return f"{number:0{len(str(picture.depth - 1))}d}"


def _publish(path: Path, final: Path) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and final.is_dir():  # only with --overwrite; fewer slices than before must not leave some
        shutil.rmtree(final)
    path.replace(final)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
