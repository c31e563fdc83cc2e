"""`planar infer`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.archive_options import from_option, query_option, study_option
from pipeline.cli.options import engine_option

if TYPE_CHECKING:
    from pipeline.tasks.infer import FromArchive, InferenceResult, Returned

# Sources named in the summary; --review-list names all.
NAMED = 20


@click.command("infer")
@click.argument("bundle")
@click.argument("inputs", nargs=-1, metavar="[INPUT...]")
@from_option
@study_option
@query_option
@click.option(
    "--store/--no-store",
    default=None,
    help="With --from: store the DICOM results in the archive (default), or only write them.",
)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    default=Path("masks"),
    show_default=True,
    help="Folder of the masks.",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    callback=lambda context, parameter, given: tuple(name.strip() for part in given for name in part.split(",")),
    metavar="auto|png|nifti|dicomseg|sc[,...]",
    help="One or several; by default auto, and dicomseg with --from. auto: "
    "PNG for films and plain pictures, NIfTI for volumes and NIfTI/MHA/NRRD. dicomseg: a "
    "DICOM Segmentation. sc: pictures with outlines, as DICOM Secondary Capture. Both need DICOM images.",
)
@click.option(
    "--seg-type",
    type=click.Choice(["binary", "fractional", "labelmap"]),
    default="binary",
    show_default=True,
    help="Of dicomseg; fractional holds the probabilities. Viewers know binary best.",
)
@click.option("--probabilities", is_flag=True, help="Also write the class probabilities as NIfTI.")
@click.option("--overlay", is_flag=True, help="Also write pictures with the mask drawn in.")
@click.option(
    "--statistics", is_flag=True, help="Also write area or volume and intensity of each class, as JSON and as one CSV."
)
@click.option("--preview", is_flag=True, help="Also write one small picture of each source with the mask drawn in.")
@click.option(
    "--tta/--no-tta", default=True, help="Average over the flips that the bundle names (default), or do not: faster."
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Other weights; several are averaged.",
)
@click.option(
    "--gate/--no-gate",
    default=True,
    help="Judge each mask by the bundle's gate, if it has one (default), or do not: faster. See planar calibrate.",
)
@click.option(
    "--review-list", type=click.Path(path_type=Path), metavar="FILE.csv", help="Write a table of what needs review."
)
@click.option("--overwrite", is_flag=True, help="Replace results that are there.")
@click.option(
    "--resume", is_flag=True, help="Go on where the same command was stopped: what has its masks is passed over."
)
@click.option("--no-tracking", is_flag=True, help="Write no MLflow run.")
@engine_option
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of the bundle's configs/inference.yaml.",
)
def command(
    bundle: str,
    inputs: tuple[str, ...],
    source: str | None,
    studies: tuple[str, ...],
    query: str | None,
    store: bool | None,
    out: Path,
    formats: tuple[str, ...],
    seg_type: str,
    probabilities: bool,
    overlay: bool,
    statistics: bool,
    preview: bool,
    tta: bool,
    checkpoints: tuple[Path, ...],
    gate: bool,
    review_list: Path | None,
    overwrite: bool,
    resume: bool,
    no_tracking: bool,
    engine: str,
    overrides: tuple[str, ...],
) -> int:
    """Segment INPUT (files, folders, zip archives, globs) with BUNDLE; each mask comes back on its image's grid.

    DICOM, NIfTI, MHA, NRRD, PNG, JPEG, TIFF, BMP and GIF are read. The slices of a volume, or of a DICOM series, are
    segmented one by one and written as one volume. The pixel values of a mask are class numbers.

    DICOM Segmentations carry patient and study of their images, refer to the exact instances, and name classes by the
    codes of configs/labels (a bundle may have a configs/labels.yaml of its own), the model and its weights.

    Where the bundle has a gate, `<name>_quality.json` beside each mask says `accept`, or `review` with the reasons: a
    low predicted Dice, a picture unlike the training set's, or a mask that breaks a rule of configs/quality.yaml.

    With --from the images are an archive's (DICOMweb), with --study those of the kind that the bundle is made for, with
    --query all that are found: each is retrieved, segmented and forgotten, its results are kept
    in the output folder, stored in the archive and looked up in their study. What the archive has already is not made
    again, so that the same command goes on where an earlier one stopped.

    \b
    planar infer BUNDLE --from dicomweb://localhost:8042/dicom-web --study 1.2.3 -o results
    planar infer BUNDLE --from dicomwebs://pacs/dicom-web --query 'Modality=CR,DX,StudyDate=20260101-' -o results

    User and password are read from PLANAR_DICOMWEB_USER and PLANAR_DICOMWEB_PASSWORD, or a token from
    PLANAR_DICOMWEB_TOKEN, or ~/.netrc.

    MLflow gets a run that says which weights were applied to which pixels with which masks, as digests and without
    names; --no-tracking leaves it out.
    """  # noqa: D301  (click reads the backspace as: keep the lines)
    from pipeline.cli.archive_options import selection_of

    selection = selection_of(source, studies, query)
    if selection is None and store is not None:
        raise click.UsageError("--store and --no-store belong to --from: files are stored nowhere.")
    if selection is None and not inputs:
        raise click.UsageError("Missing argument 'INPUT...', or --from with --study or --query.")
    if selection is not None and inputs:
        raise click.UsageError("INPUT and --from are two sources: give one of them.")
    # After what is cheap to check, for these imports take a second.
    from pipeline.cli.progress import progress_bar
    from pipeline.tasks.infer import infer

    archive: FromArchive | None = None
    if selection is not None:
        from pipeline.tasks.infer import FromArchive

        archive = FromArchive(selection, store is not False)
    with progress_bar("slices") as bar:
        task = bar.add_task("Segmenting", total=None)
        result = infer(
            bundle,
            inputs,
            out,
            archive=archive,
            formats=formats or ("auto" if selection is None else "dicomseg",),
            seg_type=seg_type,
            probabilities=probabilities,
            overlay=overlay,
            statistics=statistics,
            preview=preview,
            test_time_flips=tta,
            checkpoints=checkpoints,
            overwrite=overwrite,
            resume=resume,
            overrides=overrides,
            gate=gate,
            review_list=review_list,
            tracking=not no_tracking,
            engine=engine,
            on_progress=lambda done, total, name: bar.update(task, completed=done, total=total),
        )
    for line in result.warnings:
        click.echo(f"Warning: {line}", err=True)
    for refusal in result.refused:
        click.echo(f"Refused: {refusal.reason}", err=True)
    values = ", ".join(f"{index} {name}" for index, name in result.labels.items())
    what = (
        f"{_number(result.segmented, 'image')} segmented ({_number(result.slices, 'slice')}), "
        f"{_number(len(result.masks), 'file')} of masks, in {result.seconds:.1f} s after start-up"
    )
    returned = result.returned
    there = resume or (returned is not None and not returned.stopped)
    if not result.segmented and not result.refused and there:
        click.echo("Nothing to segment: all results are there.")
    else:
        click.echo(f"{what} → {result.out}  (values: {values})")
    if result.ran:
        click.echo(result.ran)
    if result.table is not None:
        click.echo(f"Statistics: {result.table}")
    if returned is not None:
        _tell_returned(returned)
    _tell_verdicts(result, review_list)
    if result.shortfall:
        click.echo(f"Note: {result.shortfall}")
    if result.run_id or result.told_later:
        from pipeline.cli.where import mlflow_hint

        which = f"run {result.run_id}" if result.run_id else "the run is being written"
        click.echo(f"MLflow: {which}; {mlflow_hint()}")
    if result.refused:
        sources = len(result.refused) + result.segmented
        click.echo(f"{len(result.refused)} of {sources} sources got no mask; see above.", err=True)
    return 1 if result.refused or (returned is not None and (returned.unstored or returned.stopped)) else 0


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _tell_returned(returned: Returned) -> None:
    for refusal in returned.unstored:
        click.echo(f"Not stored: {refusal.file}: {refusal.reason}", err=True)
    parts = []
    if returned.wanted:
        stored = f"{_number(returned.sources, 'image')} stored and found again ({_number(returned.objects, 'object')})"
        parts.append(f"results of {stored}")
    if returned.earlier:
        parts.append(f"those of {returned.earlier} were there before")
    click.echo(f"Archive {returned.address}: {', '.join(parts) or 'nothing stored'}")
    if returned.left_out:
        click.echo(f"Left out, no images: {returned.left_out}")
    if returned.others:
        click.echo(f"Left out, the bundle is not made for them: {returned.others}  (--query Modality=… takes them)")
    if returned.stopped:
        click.echo(f"Stopped: {returned.stopped}", err=True)
        were = "images were" if returned.not_done != 1 else "image was"
        click.echo(f"{returned.not_done} {were} not done. The same command goes on with them.", err=True)


def _tell_verdicts(result: InferenceResult, review_list: Path | None) -> None:
    if result.not_judged:
        click.echo(f"Not judged: {result.not_judged}", err=True)
    if not result.judged:
        return
    review = result.to_review
    click.echo(f"Gate: {len(result.judged) - len(review)} accepted, {len(review)} to review")
    for one in review[:NAMED]:
        click.echo(f"  Review {one.file}: {' '.join(one.verdict.reasons)}")
    if len(review) > NAMED:
        rest = f"they are all in {review_list}" if review_list is not None else "--review-list FILE.csv names all"
        click.echo(f"  … and {len(review) - NAMED} more; {rest}")
    if review_list is not None:
        click.echo(f"Review list: {review_list}")
