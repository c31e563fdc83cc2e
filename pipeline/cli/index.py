"""`planar index`: from folders of images and masks to a datalist."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from pipeline.cli.archive_options import from_option, query_option, study_option
from pipeline.cli.findings import finding_lines
from pipeline.cli.options import engine_option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.dicomweb import Selection
    from pipeline.tasks.index import IndexOptions, IndexResult

__all__ = ["command"]


@click.command("index")
@click.argument("sources", nargs=-1, metavar="[IMAGES] [MASKS...]")
@from_option
@study_option
@query_option
@click.option(
    "--download",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="With --from: folder of what is retrieved. It is kept, for the datalist refers to it.",
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The datalist.json to write.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it is there.")
@click.option("--name", help="Name of the set; by default the task's or the folder's.")
@click.option("--modality", help="DICOM modality (CR, DX, CT …); by default the files' own or the task's.")
@click.option("--pattern", help="Regex searched in both paths below their folders; its groups must agree.")
@click.option("--image-pattern", help="The same for images alone; files that it does not match are left aside.")
@click.option("--mask-pattern", help="The same for masks alone.")
@click.option(
    "--allow-missing-masks", is_flag=True, help="Where one of several mask folders lacks a case, it is empty."
)
@click.option("--class-names", metavar="A,B,…", help="Names of the classes from 1 (mask folders or values).")
@click.option("--merge", is_flag=True, help="Several mask folders, or several masks of an image in one, are one class.")
@click.option(
    "--task", type=click.Path(), help="Task spec (a shipped one's name, or a YAML file) with labels and mask coding."
)
@click.option("--threshold", type=float, help="The class is where the mask exceeds this value (JPEG masks: 127).")
@click.option("--levels", metavar="VALUE=NAME,…", help="Grey-coded masks: 0=background,128=cytoplasm,255=nucleus.")
@click.option("--colours", "--colors", metavar="#RRGGBB=NAME,…", help="Colour-coded masks: the nearest colour.")
@click.option("--exact", is_flag=True, help="With --colours: refuse masks with any other colour.")
@click.option("--refuse-empty", is_flag=True, help="Refuse cases whose mask is empty (default: warn).")
@click.option(
    "--keep-empty-slices",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="FRACTION",
    help="Share of a volume's slices without label to keep (default: none).",
)
@click.option(
    "--masks-as",
    type=click.Choice(["shown", "stored"]),
    help="What masks were drawn on that do not lie as their image does: the picture as a viewer shows it, or its "
    "pixels as the file stores them, slices of a DICOM series counted along their normal (feet to head for axial ones) "
    "and not by file or InstanceNumber (default: as shown, with a warning).",
)
@click.option("--subjects", metavar="CSV:COLUMN[@FILECOLUMN]", help="Table that says whose picture each file is.")
@click.option(
    "--subject-pattern", metavar="REGEX", help="Group 1 of it in the file's name (else in name#slice=K) is the subject."
)
@click.option(
    "--subject-tag", metavar="KEYWORD", help="DICOM keyword of the subject (default: PatientID, else the study)."
)
@click.option(
    "--split",
    default="0.7,0.1,0.2",
    show_default=True,
    metavar="TRAIN,VAL,TEST",
    help="Shares of the cases in each part; a subject is never in two.",
)
@click.option("--seed", default=0, show_default=True, help="Another seed gives another split.")
@click.option("--stratify", is_flag=True, help="Rare classes are shared out too: of many splits the most even one.")
@click.option(
    "--folds",
    type=int,
    help="Folds for cross-validation outside the test part; by default 5 where there are as many subjects.",
)
@click.option(
    "--near-duplicates-apart",
    is_flag=True,
    help="Nearly equal pictures of different subjects are told, and count as different (default: as one subject).",
)
@click.option("--split-column", metavar="[CSV:]COLUMN", help="Column that says train, validation or test.")
@click.option("--test-only", is_flag=True, help="Everything is test: an external set.")
@click.option("--workers", type=click.IntRange(1), help="Processes that decode; by default one a core.")
@engine_option
def command(
    sources: tuple[str, ...],
    source: str | None,
    studies: tuple[str, ...],
    query: str | None,
    download: Path | None,
    output: Path,
    overwrite: bool,
    name: str | None,
    modality: str | None,
    pattern: str | None,
    image_pattern: str | None,
    mask_pattern: str | None,
    allow_missing_masks: bool,
    class_names: str | None,
    merge: bool,
    task: str | None,
    threshold: float | None,
    levels: str | None,
    colours: str | None,
    exact: bool,
    refuse_empty: bool,
    keep_empty_slices: float,
    masks_as: str | None,
    subjects: str | None,
    subject_pattern: str | None,
    subject_tag: str | None,
    split: str,
    seed: int,
    stratify: bool,
    folds: int | None,
    near_duplicates_apart: bool,
    split_column: str | None,
    test_only: bool,
    workers: int | None,
    engine: str,
) -> int:
    """Pair IMAGES with MASKS, check them, split them by subject and write a datalist.

    IMAGES and MASKS are folders, zip archives, globs or files, and may be one folder. Masks are paired by name; usual
    words such as _mask do not matter. Give several MASKS where each case has a mask in several folders, and --merge or
    --class-names with them. An image with several masks in one folder (a_mask, a_mask_1) is refused without --merge.

    DICOM segmentations are paired by the images that they refer to, or by their place in the patient, and their
    segments are the classes.

    With --from the images are an archive's (DICOMweb), and so are the masks if it has segmentations of them; else give
    MASKS, but no IMAGES. They are retrieved into --download, once; a second command goes on where one was stopped.
    Segmentations that Planar itself made are left out: a network must not learn from its own masks.

    How mask values mean classes is guessed from all masks where no class can be lost by it; otherwise the values found
    are listed, and --threshold, --levels, --colours or --task settle it.

    \b
    planar index images masks --subjects index.csv:patient -o datalist.json
    planar index images left_masks right_masks --class-names left_lung,right_lung -o datalist.json
    planar index images masks --colours '#000000=background,#0000ff=lung' --test-only -o external.json
    planar index --from dicomweb://localhost:8042/dicom-web --query Modality=DX --download films -o datalist.json
    """  # noqa: D301  (click reads the backspace as: keep the lines)
    from pipeline.cli.archive_options import selection_of
    from pipeline.cli.progress import stage_bars
    from pipeline.errors import InvalidOption
    from pipeline.split import Fractions
    from pipeline.tasks.index import (
        IndexOptions,
        LabelOptions,
        PairingOptions,
        SplitOptions,
        SubjectOptions,
        index_set,
        read_task_spec,
    )

    selection = selection_of(source, studies, query)
    if selection is None and len(sources) < 2:
        raise click.UsageError("Missing arguments 'IMAGES MASKS...', or --from with --study or --query.")
    if (selection is None) != (download is None):
        raise click.UsageError("--from and --download DIR belong together: the datalist refers to what is kept there.")
    if pattern and (image_pattern or mask_pattern):
        raise InvalidOption("--pattern stands for both --image-pattern and --mask-pattern: give it or those.")
    options = IndexOptions(
        name=name,
        modality=modality,
        labels=LabelOptions(
            class_names=tuple(part.strip() for part in class_names.split(",")) if class_names else (),
            merge=merge,
            threshold=threshold,
            levels=levels,
            colours=colours,
            exact=exact,
            task=read_task_spec(task) if task else None,
        ),
        pairing=PairingOptions(image_pattern or pattern, mask_pattern or pattern, allow_missing_masks),
        subjects=SubjectOptions(subjects, subject_pattern, subject_tag),
        split=SplitOptions(
            Fractions.parse(split), seed, folds, split_column, test_only, stratify, near_duplicates_apart
        ),
        refuse_empty=refuse_empty,
        keep_empty_slices=keep_empty_slices,
        masks_as=masks_as,
        workers=workers,
        overwrite=overwrite,
        engine=engine,
    )
    with stage_bars("files") as show:
        if selection is None or download is None:
            result = index_set(sources[0], sources[1:], output, options, on_progress=show)
        else:
            result = _index_of_archive(selection, download, sources, output, options, show)
    click.echo(summary(result))
    return 1 if result.datalist.refused else 0


def _index_of_archive(
    selection: Selection,
    folder: Path,
    masks: Sequence[str],
    output: Path,
    options: IndexOptions,
    show: Callable[[str, int, int], None],
) -> IndexResult:
    from pipeline.tasks.index import download_set, index_set, require_free

    require_free(output, overwrite=options.overwrite)  # before an hour of retrieving
    got = download_set(selection, folder, masks_wanted=not masks, on_progress=show)
    for line in got.told:
        click.echo(line, err=True)
    return index_set(got.images, list(masks) or [got.masks], output, options, on_progress=show, refused=got.refused)


def summary(result: IndexResult) -> str:
    """What was indexed, what was refused, and the command that comes next."""
    from pipeline.split import PARTS

    datalist = result.datalist
    facts = datalist.split
    total = sum(result.class_pixels)
    shares = (f"{label} {count / total:.2%}" for label, count in zip(datalist.labels, result.class_pixels, strict=True))
    how = "guessed from all masks" if result.coding_was_guessed else "as given"
    lines = [
        f"{sum(len(datalist.part(part)) for part in PARTS)} cases of {_subjects(sum(facts['subjects'].values()))} "
        f"({facts['subjects_from']}): "
        + ", ".join(f"{part} {len(datalist.part(part))} ({_subjects(facts['subjects'][part])})" for part in PARTS),
        f"Masks: {result.coding} ({how})",
        f"Classes by pixels: {', '.join(shares)}",
        *finding_lines("Warning", datalist.warnings),
        *([f"Warning: {result.alike_from_afar}"] if result.alike_from_afar else []),
        *finding_lines("Refused", datalist.refused),
        f"Written to {result.path}. What was refused is listed there by file."
        if datalist.refused
        else f"Written to {result.path}.",
    ]
    path = quote(str(result.path))
    if datalist.training:
        fingerprint = quote(str(result.path.with_name("fingerprint.json")))
        lines.append(f"Next: planar inspect {path} -o {fingerprint}  (and then planar plan, for a bundle)")
        lines.append(f"Or:   planar train BUNDLE --data {path}  (with a bundle that there is)")
    else:
        lines.append(f"Next: planar evaluate BUNDLE --split test --data {path}")
    return "\n".join(lines)


def _subjects(number: int) -> str:
    return f"{number} subject{'s' * (number != 1)}"
