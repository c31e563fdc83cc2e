"""Writing what belongs to one source, all of it or nothing."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pipeline.atomic import replace_folder, write_text_aside
from pipeline.readers import write_mask, write_probabilities
from pipeline.tasks.infer.output_folder import folder_made
from pipeline.tasks.infer.sources import RESULTS

if TYPE_CHECKING:
    from pipeline.tasks.infer.archive import Model
    from pipeline.tasks.infer.segmented import Segmented
    from pipeline.tasks.infer.wanted import Wanted

__all__ = ["Written", "clear", "folder_aside", "write_results"]

RASTER = ("PNG", "JPEG", "BMP", "GIF", "TIFF")


@contextmanager
def folder_aside(out: Path) -> Iterator[Path]:
    """A hidden folder in the output folder to write to, gone at the end whatever happens.

    Raises:
        OutputExists: if it is a file.
        OSError: if the output folder cannot be made or written, before any work is done for nothing.
    """
    with folder_made(out):
        aside: Path | None = None
        try:
            # A name of its own: in containers all processes have one number, and one that was killed leaves its folder.
            aside = Path(tempfile.mkdtemp(prefix=".part-", dir=out))
            yield aside
        finally:
            if aside is not None:
                shutil.rmtree(aside, ignore_errors=True)


@dataclass(frozen=True)
class Written:
    """Results of one source that lie ready.

    Attributes:
        folder: Where they lie.
        pieces: Their paths there, masks last: where a mask is, all the rest is.
        masks: Those that are masks.
        gone: Names of results that an earlier run may have left and that this source no longer has.
    """

    folder: Path
    pieces: tuple[Path, ...]
    masks: tuple[Path, ...]
    gone: tuple[Path, ...]

    def publish(self, out: Path) -> list[Path]:
        """Give all of them their names below the output folder; the masks."""
        for path in self.gone:
            (out / path).unlink(missing_ok=True)
        for path in self.pieces:
            _publish(path, out / path.relative_to(self.folder))
        clear(self.folder)
        return [out / path.relative_to(self.folder) for path in self.masks]


def write_results(
    result: Segmented,
    aside: Path,
    wanted: Wanted,
    *,
    model: Model | None = None,
    documents: Mapping[str, Callable[[list[str]], dict[str, Any]] | None] = MappingProxyType({}),
) -> Written:
    """Write masks, and what else is wanted; nothing is left if that fails.

    Args:
        result: What was found of one source.
        aside: Empty folder to write to.
        wanted: What to write.
        model: What made the mask, for DICOM objects and previews.
        documents: End of a JSON file's name → from the masks' names to its content, or None if there is to be none.
    """
    stem = result.source.stem
    extra: list[Path] = []
    try:
        masks = _write_masks(result, aside, wanted, model)
        if wanted.probabilities and result.probabilities is not None:
            extra.append(aside / f"{stem}_prob.nii.gz")
            write_probabilities(result.probabilities, result.picture, extra[-1])
        if wanted.overlay:
            extra.append(_write_overlays(result, aside))
        if wanted.preview and model is not None:
            from pipeline.tasks.infer.preview import save_preview

            extra.append(aside / f"{stem}_preview.png")
            save_preview(result.shown(model), extra[-1])
        for end, content_of in documents.items():
            path = aside / f"{stem}_{end}.json"
            if content_of is not None:
                content = content_of([mask.name for mask in masks])
                write_text_aside(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
                extra.append(path)
    except BaseException:
        clear(aside)
        raise
    # What an earlier run left under these names would be of another mask. Folders stay: they may hold what is not ours.
    ours = (Path(f"{stem}{end}") for end in RESULTS if Path(end).suffix)
    gone = tuple(path for path in ours if aside / path not in {*extra, *masks})
    return Written(aside, (*extra, *masks), tuple(masks), gone)


def clear(folder: Path) -> None:
    """Remove what is in a folder."""
    for path in folder.iterdir():
        _remove(path)


def _write_masks(result: Segmented, folder: Path, wanted: Wanted, model: Model | None) -> list[Path]:
    written = []
    picture = result.picture
    flat = picture.depth == 1
    auto = "png" if flat and picture.source_format in (*RASTER, "DICOM") else "nifti"
    for kind in dict.fromkeys(auto if name == "auto" else name for name in wanted.formats):
        path = folder / f"{result.source.stem}{_ending(kind, flat)}"
        if kind in ("dicomseg", "sc"):
            _write_archived(result, kind, wanted.seg_type, model, path)
        elif kind == "nifti" or flat:
            write_mask(result.mask, picture, path)
        else:
            for number in range(picture.depth):
                one = picture.cut(number, f"{picture.path}#slice={number}")
                write_mask(result.mask[..., number], one, path / f"{result.slice_name(number)}.png")
        written.append(path)
    return written


def _ending(kind: str, flat: bool) -> str:
    if kind == "nifti":
        return "_mask.nii.gz"
    if kind == "dicomseg":
        return "_seg.dcm"
    if kind == "sc":
        return "_sc.dcm" if flat else "_sc"
    return "_mask.png" if flat else "_mask"


def _write_archived(result: Segmented, kind: str, seg_type: str, model: Model | None, path: Path) -> None:
    from pipeline.tasks.infer.archive import write_captures, write_segmentation

    if result.images is None or model is None:
        raise ValueError(f"{kind} needs the DICOM images and the model")
    if kind == "sc":
        write_captures(result, result.images, model, path)
    else:
        write_segmentation(result, result.images, model, seg_type, path)


def _write_overlays(result: Segmented, folder: Path) -> Path:
    from pipeline.overlays import save_overlay

    picture, mask, stem = result.picture, result.mask, result.source.stem
    if picture.depth == 1:
        path = folder / f"{stem}_overlay.png"
        save_overlay(picture.array, mask, path)
        return path
    path = folder / f"{stem}_overlay"
    for number in range(picture.depth):
        save_overlay(picture.array[:, :, number], mask[:, :, number], path / f"{result.slice_name(number)}.png")
    return path


def _publish(path: Path, final: Path) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and final.is_dir():  # only with --overwrite; fewer slices than before must not leave some
        replace_folder(path, final)
    else:
        path.replace(final)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
