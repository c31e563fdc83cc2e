"""From inputs to written masks, one source after the other; what cannot be done is listed and the rest goes on."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.bundle import find_bundle, parse_overrides
from pipeline.errors import InvalidOption, OutputExists, PlanarError, user_error_within
from pipeline.readers import (
    DicomSeries,
    Picture,
    find_pictures,
    group_series,
    read_picture,
    read_series,
    slices_in,
    write_mask,
    write_probabilities,
)
from pipeline.tasks.evaluate import require_weights
from pipeline.tasks.infer.naming import output_names
from pipeline.tasks.workflow import quiet_libraries

__all__ = ["FORMATS", "InferenceResult", "Refusal", "infer"]

FORMATS = ("auto", "png", "nifti")
SLICES_AT_ONCE = 8
RASTER = ("PNG", "JPEG", "BMP", "TIFF")
# Errors of the place that is written to: the next file would meet them too.
FATAL = {errno.ENOSPC, errno.EROFS, errno.EDQUOT}


@dataclass(frozen=True)
class Refusal:
    """A source that got no mask, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class InferenceResult:
    """What an inference came to.

    Attributes:
        out: The output folder.
        masks: Mask files, in the order of the sources; a volume as PNG counts as its folder.
        slices: Pictures and slices that were segmented.
        refused: Sources without a mask.
        warnings: What readers had to say, by file.
        labels: Class index → name: what the values in the masks mean.
        seconds: Duration without the loading of libraries and weights, s.
    """

    out: Path
    masks: tuple[Path, ...]
    slices: int
    refused: tuple[Refusal, ...]
    warnings: tuple[str, ...]
    labels: dict[int, str]
    seconds: float


@dataclass(frozen=True, eq=False)
class _Source:
    """A picture, a volume file, or a DICOM series, with the result's name."""

    path: Path
    slices: list[str]
    series: DicomSeries | None
    stem: str

    def picture(self) -> Picture:
        """Decoded whole, for its grid and for overlays."""
        return read_series(self.series) if self.series is not None else read_picture(self.path)


def infer(
    name_or_path: str,
    inputs: Sequence[str],
    out: Path,
    *,
    formats: Sequence[str] = ("auto",),
    probabilities: bool = False,
    overlay: bool = False,
    test_time_flips: bool = False,
    checkpoints: Sequence[Path] = (),
    overwrite: bool = False,
    overrides: Sequence[str] = (),
    on_progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> InferenceResult:
    """Segment pictures and volumes.

    Args:
        name_or_path: The bundle.
        inputs: Files, folders, globs.
        out: Folder of the results; made if missing.
        formats: Of the masks: "png", "nifti", or "auto": PNG for pictures without geometry and for single films, NIfTI
            for the rest.
        probabilities: Also write `<name>_prob.nii.gz`.
        overlay: Also write `<name>_overlay.png`.
        test_time_flips: Average over the flips that the bundle allows.
        checkpoints: Weights other than the bundle's; several are averaged.
        overwrite: Whether results that are there may be replaced.
        overrides: `key=value` for the inference config.
        on_progress: Called with slices done, slices in all, and the source's path.

    Raises:
        InvalidBundle, MissingFile, OutputExists: before anything is computed.
        OSError: if the output folder cannot be written.
    """
    bundle = find_bundle(name_or_path)
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise InvalidOption(f"There is no format '{unknown[0]}'. Choose from {', '.join(FORMATS)}.")
    settings = parse_overrides(tuple(overrides), bundle.config("inference"))
    weights = tuple(checkpoints) or (bundle.weights,)
    for path in weights:
        require_weights(bundle, path)
    sources, refused = _sources(inputs)
    if not overwrite:
        _require_new(out, sources)

    with quiet_libraries():
        from pipeline.tasks.infer.predictor import Predictor

        predict = Predictor(bundle, weights, settings, test_time_flips=test_time_flips)
        began = time.perf_counter()
        total = sum(len(source.slices) for source in sources)
        masks: list[Path] = []
        warnings: list[str] = []
        done = finished = 0
        for source in sources:
            try:
                results = []
                for start in range(0, len(source.slices), SLICES_AT_ONCE):
                    names = source.slices[start : start + SLICES_AT_ONCE]
                    results += list(predict(names, probabilities=probabilities))
                    on_progress(done + start + len(names), total, str(source.path))
                picture = source.picture()
                warnings += [f"{source.path}: {line}" for line in picture.warnings]
                mask = _stacked([result.mask for result in results], picture)
                masks += _write(mask, picture, source, out, formats)
                if probabilities:
                    volume = _stacked([result.probabilities for result in results], picture)
                    write_probabilities(volume, picture, out / f"{source.stem}_prob.nii.gz")
                if overlay:
                    _write_overlays(mask, picture, source, out)
                finished += len(source.slices)
            except Exception as error:
                if isinstance(error, OSError) and error.errno in FATAL:
                    raise
                refused.append(Refusal(str(source.path), _reason(error)))
            done += len(source.slices)
            on_progress(done, total, str(source.path))
    return InferenceResult(
        out=out,
        masks=tuple(masks),
        slices=finished,
        refused=tuple(refused),
        warnings=tuple(warnings),
        labels=bundle.labels("inference"),
        seconds=time.perf_counter() - began,
    )


def _sources(inputs: Sequence[str]) -> tuple[list[_Source], list[Refusal]]:
    """What there is to segment, and the files whose header cannot even be read."""
    found: list[tuple[Path, list[str], DicomSeries | None]] = []
    refused: list[Refusal] = []
    for entry in group_series(find_pictures(inputs)):
        if isinstance(entry, DicomSeries):
            found.append((Path(entry.folder), list(entry.files), entry))
            continue
        try:
            found.append((Path(entry), slices_in(entry), None))
        except PlanarError as error:
            refused.append(Refusal(entry, _reason(error)))
    stems = output_names([path for path, _, _ in found], inputs)
    return [_Source(*parts, stem) for parts, stem in zip(found, stems, strict=True)], refused


def _require_new(out: Path, sources: Sequence[_Source]) -> None:
    for source in sources:
        for suffix in ("_mask.png", "_mask.nii.gz", "_mask"):
            path = out / f"{source.stem}{suffix}"
            if path.exists():
                raise OutputExists(f"{path} exists. Give --overwrite to replace results, or another folder with -o.")


def _stacked(slices: list[Any], picture: Picture) -> npt.NDArray[Any]:
    """One array for the whole picture: the slices behind one another if it is a volume."""
    return np.stack(slices, axis=-1) if picture.depth > 1 else slices[0]


def _write(mask: npt.NDArray[Any], picture: Picture, source: _Source, out: Path, formats: Sequence[str]) -> list[Path]:
    written = []
    flat = picture.depth == 1
    auto = "png" if flat and picture.source_format in (*RASTER, "DICOM") else "nifti"
    for kind in dict.fromkeys(auto if name == "auto" else name for name in formats):
        path = out / f"{source.stem}_mask.nii.gz" if kind == "nifti" else out / f"{source.stem}_mask.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "nifti" or flat:
            write_mask(mask, picture, path)
        else:
            path = path.with_suffix("")
            path.mkdir(exist_ok=True)
            for number in range(picture.depth):
                one = picture.cut(number, f"{picture.path}#slice={number}")
                write_mask(mask[..., number], one, path / f"{_slice_name(source, number)}.png")
        written.append(path)
    return written


def _write_overlays(mask: npt.NDArray[Any], picture: Picture, source: _Source, out: Path) -> None:
    from pipeline.overlays import save_overlay

    if picture.depth == 1:
        save_overlay(picture.array, mask, out / f"{source.stem}_overlay.png")
        return
    for number in range(picture.depth):
        path = out / f"{source.stem}_overlay" / f"{_slice_name(source, number)}.png"
        save_overlay(picture.array[:, :, number], mask[:, :, number], path)


def _slice_name(source: _Source, number: int) -> str:
    """Numbered, so that the order is the volume's, whatever the files of a series are called."""
    return f"{number:0{len(str(len(source.slices) - 1))}d}"


def _reason(error: BaseException) -> str:
    cause = user_error_within(error) or error
    return " ".join(str(cause).split()) or type(cause).__name__
