"""From inputs to written masks, one source after the other; what cannot be done is listed and the rest goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.atomic import write_text_aside
from pipeline.bundle import OF_THE_MACHINE, checked_overrides, find_bundle
from pipeline.cluster import ENGINES, require_ray
from pipeline.digests import file_sha256
from pipeline.errors import InvalidOption, OutputExists
from pipeline.readers import decoded_once
from pipeline.tasks.evaluate import require_weights
from pipeline.tasks.infer.archive import model_of, require_highdicom
from pipeline.tasks.infer.choosing import program_for
from pipeline.tasks.infer.engines import here, spread
from pipeline.tasks.infer.gating import Judged, gate_of, quality_documents, require_review_list, review_table
from pipeline.tasks.infer.kept_rows import with_rows_of_others
from pipeline.tasks.infer.outcome import InferenceResult
from pipeline.tasks.infer.output_folder import alone_in
from pipeline.tasks.infer.recording import recorded
from pipeline.tasks.infer.results import folder_aside
from pipeline.tasks.infer.resuming import note_job, require_same_job
from pipeline.tasks.infer.sources import Refusal, Source, reason
from pipeline.tasks.infer.statistics import STATISTICS_TABLE, statistics_rows_of, statistics_table
from pipeline.tasks.infer.supply import FileSupply, Supply
from pipeline.tasks.infer.wanted import FORMATS, SEG_TYPES, Wanted
from pipeline.tasks.infer.working import FATAL, Job, Worker
from pipeline.tasks.workflow import quiet_libraries
from pipeline.terminations import raised_within

if TYPE_CHECKING:
    from pipeline.tasks.infer.retrieved import FromArchive

__all__ = ["FORMATS", "SEG_TYPES", "InferenceResult", "Judged", "Refusal", "infer"]

# What has an option of its own must not come a second time as KEY=VALUE.
SET_ELSEWHERE = {
    "bundle_root": "the argument BUNDLE",
    "dataset_dir": "the argument INPUT",
    "output_dir": "-o",
    "output_ext": "--format",
    "ckpt_path": "--checkpoint",
}

# Slices that an exported program is done with in less time than it takes to open MLflow's store, or little more.
SOON_OVER = 500


def infer(
    name_or_path: str,
    inputs: Sequence[str],
    out: Path,
    *,
    archive: FromArchive | None = None,
    formats: Sequence[str] = ("auto",),
    seg_type: str = "binary",
    probabilities: bool = False,
    overlay: bool = False,
    statistics: bool = False,
    preview: bool = False,
    test_time_flips: bool = True,
    checkpoints: Sequence[Path] = (),
    overwrite: bool = False,
    resume: bool = False,
    overrides: Sequence[str] = (),
    gate: bool = True,
    review_list: Path | None = None,
    tracking: bool = False,
    engine: str = "local",
    on_progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> InferenceResult:
    """Segment pictures and volumes.

    Args:
        name_or_path: The bundle.
        inputs: Files, folders, globs; none if the images are an archive's.
        out: Folder of the results; made if missing.
        archive: Take the images from there, one after the other, and store the DICOM results there. What it has
            already is not made again.
        formats: Of the masks: "png", "nifti", "auto": PNG for pictures without geometry and for single films, NIfTI for
            the rest; "dicomseg" and "sc" (pictures with outlines, as Secondary Capture), of DICOM images alone.
        seg_type: Of a DICOM SEG: "binary", "fractional" (probabilities) or "labelmap".
        probabilities: Also write `<name>_prob.nii.gz`.
        overlay: Also write `<name>_overlay.png`.
        statistics: Also write `<name>_statistics.json`, and `statistics.csv` of all sources.
        preview: Also write `<name>_preview.png`.
        test_time_flips: Average over the flips that the bundle names; without them it takes half the time.
        checkpoints: Weights other than the bundle's; several are averaged.
        overwrite: Whether results that are there may be replaced.
        resume: Go on where an inference into this folder, with the same options, was stopped: what has its masks is
            passed over. From an archive it always does.
        overrides: `key=value` for the inference config.
        gate: Judge each mask by the bundle's gate, if it has one, and write `<name>_quality.json`.
        review_list: A table of the sources that need review.
        tracking: Whether to record an MLflow run, with digests of what was segmented and of the masks.
        engine: "local", or "ray": files are spread over a Ray cluster, whose machines all see them and the output
            folder. The results are the same.
        on_progress: Called with slices done, slices in all, and the source's path.

    Raises:
        InvalidBundle, InvalidOption, MissingFile, OutputExists, ArchiveUnreachable: before anything is computed; also
            if another inference writes to the output folder.
        TrackingUnreachable: if there is to be a run and its store cannot be opened.
        OSError: if the output folder cannot be written.
    """
    if engine not in ENGINES:
        raise InvalidOption(f"There is no engine '{engine}'. Choose from {', '.join(ENGINES)}.")
    if engine == "ray":
        require_ray()
        if archive is not None:
            raise InvalidOption("--engine ray spreads files: leave out --from, or the engine.")
    if resume and (overwrite or archive is not None):
        raise InvalidOption(
            "--resume keeps the results that are there: leave out --overwrite."
            if overwrite
            else "What comes --from an archive goes on by itself: leave out --resume."
        )
    if review_list is not None:
        require_review_list(review_list)
    bundle = find_bundle(name_or_path)
    wanted = Wanted(tuple(formats), seg_type, probabilities, overlay, statistics, preview)
    if wanted.archived:
        require_highdicom()
    settings = checked_overrides(tuple(overrides), bundle.config("inference"), SET_ELSEWHERE)
    weights = tuple(checkpoints) or (bundle.weights,)
    for path in weights:
        require_weights(bundle, path)
    labels = bundle.labels("inference")
    digests = tuple(map(file_sha256, weights))
    described = {
        "bundle": bundle.name,
        "weights": digests,
        "config": file_sha256(bundle.config("inference")),
        "settings": settings,
        "flips": test_time_flips,
        "gate": gate,
        "results": asdict(wanted),
    }
    model = model_of(bundle, weights, labels) if wanted.archived or preview or archive else None
    table = out / STATISTICS_TABLE if statistics else None
    if archive is not None and archive.store and not wanted.archived:
        raise InvalidOption("Nothing to store: an archive takes the formats dicomseg and sc. Or give --no-store.")
    with (
        raised_within(),
        quiet_libraries(),
        decoded_once(),
        # An archive's results are called by what went into them: two processes write the same.
        alone_in(out) if archive is None else nullcontext(),
        ExitStack() as stack,
    ):
        if archive is not None and model is not None:
            from pipeline.tasks.infer.planned import with_job
            from pipeline.tasks.infer.retrieved import ArchiveSupply

            model = with_job(model, bundle, {"test_time_flips": test_time_flips, **settings})
            supply: Supply = ArchiveSupply(archive, model, wanted, out, overwrite=overwrite, modality=bundle.modality)
        else:
            if resume:
                require_same_job(out, described)
            supply = FileSupply(inputs, out, overwrite=overwrite, formats=wanted.formats if resume else None)
            # Of an inference that goes on they grow.
            for file in (review_list, table):
                if file is not None and file.exists() and not (overwrite or resume):
                    raise OutputExists(f"{file} exists. Give --overwrite to replace it, or another name.")
        refused, warnings = supply.refused, supply.warnings
        if model is not None and "dicomseg" in formats:
            warnings += [f"{label} is in no table of codes: its segment is called Tissue." for label in model.unknown]

        asked = {"formats": " ".join(formats), "probabilities": probabilities, "test_time_flips": test_time_flips}
        asked |= {"seg_type": seg_type} if "dicomseg" in formats else {}
        asked |= {"archive": archive.selection.shown, "store": archive.store} if archive is not None else {}
        asked |= {"gate": gate, "sources": supply.sources, **settings}
        changed = bool(checkpoints or overrides or not test_time_flips)
        program, instead = program_for(bundle, changed=changed, slices=supply.slices if archive is None else None)
        aside = stack.enter_context(folder_aside(out))
        stack.enter_context(supply)
        clock = time.perf_counter()
        stream = iter(supply)
        first = next(stream, None)
        waited_s = time.perf_counter() - clock
        # Where nothing is left to do, nothing is recorded, and gate and network are not loaded: that takes seconds.
        recording = tracking and bool(first or refused)
        soon_over = program is not None and supply.slices <= SOON_OVER
        if archive is None and first is not None:
            note_job(out, described)
        told = stack.enter_context(
            recorded(bundle, weights, supply.named, out, asked, tracking=recording, soon_over=soon_over)
        )
        needed = gate and (first is not None or review_list is not None)
        # The gate goes by masks, whatever computes them.
        other_masks = bool(checkpoints or set(settings).difference(OF_THE_MACHINE) or not test_time_flips)
        judge, not_judged = gate_of(bundle, other_masks) if needed else (None, "")
        if review_list is not None and judge is None:
            raise InvalidOption(f"--review-list needs the gate. {not_judged or 'Leave out --no-gate.'}")
        job = Job(
            bundle=bundle,
            weights=weights,
            settings=settings,
            test_time_flips=test_time_flips,
            judged=judge is not None,
            program=program,
            instead=instead,
            wanted=wanted,
            labels=labels,
            model=model,
            made_by={"bundle": bundle.name, "checkpoint_sha256": " ".join(digests)},
            recorded=told.wanted,
        )
        worker = Worker(job, judge)
        if first is not None and engine == "local":
            worker.load()
        began = time.perf_counter()
        masks: list[Path] = []
        judged: list[Judged] = []
        rows: list[dict[str, Any]] = []
        names: set[str] = set()
        done = finished = segmented = 0

        def report(source: Source, slices: int) -> None:
            on_progress(supply.passed + done + slices, supply.slices, source.said)

        sources = [] if first is None else chain([first], stream)
        spreads = engine == "ray"
        results = spread(job, sources, aside) if spreads else here(worker, supply, sources, aside, report)
        stack.callback(results.close)  # what it began uses the folder aside
        for source, result in results:
            names.add(source.said)
            refusal = result.refusal
            if result.written is not None:
                try:
                    written = result.written.publish(out)
                    supply.written(source, written)
                except Exception as error:
                    if isinstance(error, OSError) and error.errno in FATAL:
                        raise
                    refusal = reason(error, str(source.path))
                else:
                    rows += result.rows
                    masks += written
                    told.add(result.record)
                    if result.verdict is not None:
                        judged.append(Judged(source.said, result.verdict))
                    warnings += [f"{source.said}: {supply.spoken(line)}" for line in result.warnings]
                    finished += len(source.slices)
                    segmented += 1
            if refusal:
                refused.append(Refusal(source.said, supply.spoken(refusal)))
            done += len(source.slices)
            on_progress(supply.passed + done, supply.slices, source.said)
        returned = supply.finish()
        tables: list[tuple[Path, str]] = []
        if review_list is not None:
            tables.append((review_list, review_table(judged, quality_documents(out, supply.earlier))))
        if table is not None:
            rows += [row for stem, said in supply.earlier.items() for row in statistics_rows_of(stem, said, out)]
            tables.append((table, statistics_table(rows)))
        names |= {*supply.earlier.values(), *(one.file for one in refused)}
        if archive is None:
            names.update(supply.named)  # a folder too that held one series and now holds several
        for path, text in tables:
            write_text_aside(path, text if overwrite else with_rows_of_others(text, path, names))
        seconds = waited_s + time.perf_counter() - began
        told.finish(refused, seconds, returned)
    return InferenceResult(
        out=out,
        masks=tuple(masks),
        segmented=segmented,
        slices=finished,
        refused=tuple(refused),
        warnings=tuple(warnings),
        labels=labels,
        seconds=seconds,
        judged=tuple(judged),
        not_judged=not_judged,
        run_id=told.recorder.run_id if told.recorder is not None else None,
        shortfall=told.recorder.shortfall if told.recorder is not None else None,
        table=table,
        returned=returned,
        ran=worker.ran,
        told_later=told.told_later,
    )
