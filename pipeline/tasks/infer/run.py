"""From inputs to written masks, one source after the other; what cannot be done is listed and the rest goes on."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.atomic import write_text_aside
from pipeline.bundle import find_bundle, parse_overrides
from pipeline.errors import InvalidOption, OutputExists
from pipeline.tasks.evaluate import require_weights
from pipeline.tasks.infer.gating import Judged, gate_of, review_table
from pipeline.tasks.infer.recording import recorded
from pipeline.tasks.infer.results import folder_aside, write_results
from pipeline.tasks.infer.sources import Refusal, Source, find_sources, reason, require_new
from pipeline.tasks.workflow import quiet_libraries

if TYPE_CHECKING:
    from pipeline.gate import Gate, Verdict
    from pipeline.tasks.infer.predictor import Predictor
    from pipeline.tasks.infer.watching import Watch

__all__ = ["FORMATS", "InferenceResult", "Judged", "Refusal", "infer"]

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
        judged: Verdicts, in the order of the sources; empty without a gate.
        not_judged: Why there are none; empty if there are, or none were wanted.
        run_id: MLflow run, or None without tracking.
        shortfall: What MLflow does not have of the run yet, in one line; None if it has everything.
    """

    out: Path
    masks: tuple[Path, ...]
    segmented: int
    slices: int
    refused: tuple[Refusal, ...]
    warnings: tuple[str, ...]
    labels: dict[int, str]
    seconds: float
    judged: tuple[Judged, ...] = ()
    not_judged: str = ""
    run_id: str | None = None
    shortfall: str | None = None

    @property
    def to_review(self) -> tuple[Judged, ...]:
        """The sources that a person must look at."""
        return tuple(one for one in self.judged if one.verdict.decision == "review")


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
    gate: bool = True,
    review_list: Path | None = None,
    tracking: bool = False,
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
        gate: Judge each mask by the bundle's gate, if it has one, and write `<name>_quality.json`.
        review_list: A table of the sources that need review.
        tracking: Whether to record an MLflow run, with digests of what was segmented and of the masks.
        on_progress: Called with slices done, slices in all, and the source's path.

    Raises:
        InvalidBundle, InvalidOption, MissingFile, OutputExists: before anything is computed.
        TrackingUnreachable: if there is to be a run and its store cannot be opened.
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
        if review_list is not None and review_list.exists():
            raise OutputExists(f"{review_list} exists. Give --overwrite to replace it, or another name.")

    asked = {"formats": " ".join(formats), "probabilities": probabilities, "test_time_flips": test_time_flips}
    asked |= {"gate": gate, "sources": len(sources) + len(refused), **settings}
    named = [str(source.path) for source in sources] + [one.file for one in refused]
    with (
        quiet_libraries(),
        folder_aside(out) as aside,
        recorded(bundle, weights, named, out, asked, tracking=tracking) as told,
    ):
        from pipeline.tasks.infer.predictor import Predictor

        changed = bool(checkpoints or overrides or not test_time_flips)
        judge, not_judged = gate_of(bundle, changed) if gate else (None, "")
        if review_list is not None and judge is None:
            raise InvalidOption(f"--review-list needs the gate. {not_judged or 'Leave out --no-gate.'}")
        watch: Watch | None = None
        if judge is not None:
            from pipeline.tasks.infer.quality import quality_document, verdict_of_volume, watched_predictor

            predict, watch = watched_predictor(bundle, judge)
        else:
            predict = Predictor(bundle, weights, settings, test_time_flips=test_time_flips)
        began = time.perf_counter()
        total = sum(len(source.slices) for source in sources)
        masks: list[Path] = []
        judged: list[Judged] = []
        done = finished = segmented = 0
        for source in sources:

            def report(slices: int, path: Path = source.path, before: int = done) -> None:
                on_progress(before + slices, total, str(path))

            try:
                mask, volume, verdicts = _segment(source, predict, probabilities, report, judge, watch)
                picture = source.picture()
                quality: Callable[[list[str]], dict[str, Any]] | None = None
                whole: Verdict | None = None
                if judge is not None:
                    whole = verdict_of_volume(judge, verdicts)
                    quality = partial(quality_document, judge, whole, verdicts)
                written = write_results(
                    mask, volume, picture, source, out, aside, formats=formats, overlay=overlay, quality=quality
                )
                masks += written
                told.add(source, picture, mask, written, whole)
                if whole is not None:
                    judged.append(Judged(str(source.path), whole))
                warnings += [f"{source.path}: {line}" for line in picture.warnings]
                finished += len(source.slices)
                segmented += 1
            except Exception as error:
                if isinstance(error, OSError) and error.errno in FATAL:
                    raise
                refused.append(Refusal(str(source.path), reason(error, str(source.path))))
            done += len(source.slices)
            on_progress(done, total, str(source.path))
        if review_list is not None:
            write_text_aside(review_list, review_table(judged))
        told.finish(refused, time.perf_counter() - began)
    return InferenceResult(
        out=out,
        masks=tuple(masks),
        segmented=segmented,
        slices=finished,
        refused=tuple(refused),
        warnings=tuple(warnings),
        labels=bundle.labels("inference"),
        seconds=time.perf_counter() - began,
        judged=tuple(judged),
        not_judged=not_judged,
        run_id=told.recorder.run_id if told.recorder is not None else None,
        shortfall=told.recorder.shortfall if told.recorder is not None else None,
    )


def _segment(
    source: Source,
    predict: Predictor,
    probabilities: bool,
    report: Callable[[int], None],
    gate: Gate | None,
    watch: Watch | None,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None, list[Verdict]]:
    """Mask and probabilities of a whole source, the slices of a volume behind one another, and a verdict of each.

    Each slice goes to its place at once: a list of slices that is stacked at the end would take the memory twice.
    """
    from pipeline.tasks.infer.quality import verdict_of

    depth = len(source.slices)
    mask: npt.NDArray[Any] | None = None
    volume: npt.NDArray[Any] | None = None
    verdicts: list[Verdict] = []
    if watch is not None:
        watch.forget()  # what a source that failed has left
    for start in range(0, depth, SLICES_AT_ONCE):
        names = source.slices[start : start + SLICES_AT_ONCE]
        for number, result in enumerate(predict(names, probabilities=probabilities), start):
            if gate is not None and watch is not None:
                verdicts.append(verdict_of(gate, watch.take(), result.mask))
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
    return mask, volume, verdicts
