"""From inputs to written masks, one source after the other; what cannot be done is listed and the rest goes on."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.bundle import find_bundle, parse_overrides
from pipeline.errors import InvalidOption
from pipeline.tasks.evaluate import require_weights
from pipeline.tasks.infer.results import folder_aside, write_results
from pipeline.tasks.infer.sources import Refusal, Source, find_sources, reason, require_new
from pipeline.tasks.workflow import quiet_libraries

if TYPE_CHECKING:
    from pipeline.tasks.infer.predictor import Predictor

__all__ = ["FORMATS", "InferenceResult", "Refusal", "infer"]

FORMATS = ("auto", "png", "nifti")
SLICES_AT_ONCE = 8
# What has an option of its own must not come a second time as KEY=VALUE.
SET_ELSEWHERE = {
    "bundle_root": "the argument BUNDLE",
    "dataset_dir": "the argument INPUT",
    "output_dir": "-o",
    "output_ext": "--format",
    "ckpt_path": "--checkpoint",
}
# Errors of the place that is written to: the next file would meet them too.
FATAL = {errno.ENOSPC, errno.EROFS, errno.EDQUOT}


@dataclass(frozen=True)
class InferenceResult:
    """What an inference came to.

    Attributes:
        out: The output folder.
        masks: Mask files, in the order of the sources; a volume as PNG counts as its folder.
        segmented: Sources that got their masks.
        slices: Pictures and slices that were segmented.
        refused: Sources without a mask.
        warnings: What readers had to say, by file, and what was left out.
        labels: Class index → name: what the values in the masks mean.
        seconds: Duration without the loading of libraries and weights, s.
    """

    out: Path
    masks: tuple[Path, ...]
    segmented: int
    slices: int
    refused: tuple[Refusal, ...]
    warnings: tuple[str, ...]
    labels: dict[int, str]
    seconds: float


def infer(
    name_or_path: str,
    inputs: Sequence[str],
    out: Path,
    *,
    formats: Sequence[str] = ("auto",),
    probabilities: bool = False,
    overlay: bool = False,
    test_time_flips: bool = True,
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
        test_time_flips: Average over the flips that the bundle names; without them it takes half the time.
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
    settings = parse_overrides(tuple(overrides), bundle.config("inference"), SET_ELSEWHERE)
    weights = tuple(checkpoints) or (bundle.weights,)
    for path in weights:
        require_weights(bundle, path)
    sources, refused, warnings = find_sources(inputs, out)
    if not overwrite:
        require_new(out, sources)

    with quiet_libraries(), folder_aside(out) as aside:
        from pipeline.tasks.infer.predictor import Predictor

        predict = Predictor(bundle, weights, settings, test_time_flips=test_time_flips)
        began = time.perf_counter()
        total = sum(len(source.slices) for source in sources)
        masks: list[Path] = []
        done = finished = segmented = 0
        for source in sources:

            def report(slices: int, path: Path = source.path, before: int = done) -> None:
                on_progress(before + slices, total, str(path))

            try:
                mask, volume = _segment(source, predict, probabilities, report)
                picture = source.picture()
                masks += write_results(mask, volume, picture, source, out, aside, formats=formats, overlay=overlay)
                warnings += [f"{source.path}: {line}" for line in picture.warnings]
                finished += len(source.slices)
                segmented += 1
            except Exception as error:
                if isinstance(error, OSError) and error.errno in FATAL:
                    raise
                refused.append(Refusal(str(source.path), reason(error, str(source.path))))
            done += len(source.slices)
            on_progress(done, total, str(source.path))
    return InferenceResult(
        out=out,
        masks=tuple(masks),
        segmented=segmented,
        slices=finished,
        refused=tuple(refused),
        warnings=tuple(warnings),
        labels=bundle.labels("inference"),
        seconds=time.perf_counter() - began,
    )


def _segment(
    source: Source, predict: Predictor, probabilities: bool, report: Callable[[int], None]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Mask and probabilities of a whole source, the slices of a volume behind one another.

    Each slice goes to its place at once: a list of slices that is stacked at the end would take the memory twice.
    """
    depth = len(source.slices)
    mask: npt.NDArray[Any] | None = None
    volume: npt.NDArray[Any] | None = None
    for start in range(0, depth, SLICES_AT_ONCE):
        names = source.slices[start : start + SLICES_AT_ONCE]
        for number, result in enumerate(predict(names, probabilities=probabilities), start):
            if depth == 1:
                mask, volume = result.mask, result.probabilities
                continue
            if mask is None:
                mask = np.empty((*result.mask.shape, depth), np.uint8, order="F")
                if result.probabilities is not None:
                    volume = np.empty((*result.probabilities.shape, depth), np.float32, order="F")
            mask[..., number] = result.mask
            if volume is not None:
                volume[..., number] = result.probabilities
        report(start + len(names))
    if mask is None:
        raise ValueError(f"{source.path} has no slices.")
    return mask, volume
