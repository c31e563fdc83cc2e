"""The way from files to a datalist, step by step."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.datalist import Datalist, Finding, relative_to, write_datalist
from pipeline.errors import InvalidDatalist, InvalidOption, InvalidSplit, OutputExists, UnknownLabel
from pipeline.labels import MaskHistogram
from pipeline.readers import passed_over
from pipeline.tasks.index.checking import Case, Checked, CheckPlan, check_pair, count_values, thumbnail_of
from pipeline.tasks.index.coding import LabelPlan, guess_plan, plan_from_options, plan_from_segments
from pipeline.tasks.index.columns import Column, read_column
from pipeline.tasks.index.described import item_of, modality_of, name_of
from pipeline.tasks.index.keeping import Kept, keep
from pipeline.tasks.index.options import IndexOptions
from pipeline.tasks.index.orientation import require_known
from pipeline.tasks.index.pairing import Pair, pair_files
from pipeline.tasks.index.parallel import MapInOrder, engine_of
from pipeline.tasks.index.rare_classes import one_sided_classes, rare_classes
from pipeline.tasks.index.references import Reference, find_segmentations, pair_by_reference
from pipeline.tasks.index.shared_names import names_that_begin_alike
from pipeline.tasks.index.sides import join_near_duplicates, place_subjects, split_facts, too_few_subjects
from pipeline.tasks.index.sources import Source, find_source, series_as_volumes
from pipeline.tasks.index.subjects import (
    ONE_A_FILE,
    named_in_full,
    subject_key,
    subject_pseudonym,
    subject_rule,
    subjects_from,
)
from pipeline.tasks.index.swapped import require_right_way_round

__all__ = ["IndexResult", "index_set", "require_free"]

# Called with the stage, the number of files done, and the number of files.
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class IndexResult:
    """What was written, and what a summary needs.

    Args:
        path: The datalist.
        datalist: Its content.
        class_pixels: Pixels of each class, over all parts.
        coding: The label coding.
        coding_was_guessed: Whether it was guessed from the masks' values.
        alike_from_afar: A sentence on pictures that look alike and were taken for different, or "".
    """

    path: Path
    datalist: Datalist
    class_pixels: tuple[int, ...]
    coding: str
    coding_was_guessed: bool
    alike_from_afar: str = ""


def index_set(
    images: str | os.PathLike[str],
    masks: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    options: IndexOptions | None = None,
    *,
    refused: Sequence[Finding] = (),
    on_progress: OnProgress = lambda stage, done, total: None,
) -> IndexResult:
    """Index a set of images with masks and write its datalist.

    Args:
        images: Folder, glob or file of images.
        masks: The same of masks; several where one case has several mask files.
        output: The datalist.json to write.
        options: How to index.
        refused: What could not even be had, to be listed with what is refused here.
        on_progress: Told of the progress.
    Returns: The datalist and figures for a summary; files that were refused are listed in it.

    Raises:
        OutputExists: if the output is there and may not be replaced.
        MissingFile, InvalidOption: for what the user named.
        UnknownLabel: if the masks' coding was not given and cannot be guessed.
        InvalidSplit: if the subjects do not allow the split.
        InvalidDatalist: if no case is left.
    """
    options = options or IndexOptions()
    target = Path(output)
    require_free(target, overwrite=options.overwrite)
    require_known(options.masks_as)
    # What can be seen to be wrong without decoding is said before decoding.
    image_source = find_source(images)
    mask_sources = [find_source(folder) for folder in masks]
    folders = [source.given for source in mask_sources]
    plan = plan_from_options(options.labels, folders)
    references, unread = _segmentations(image_source, mask_sources)
    if references:
        if plan is None or options.labels.task is not None:
            plan = plan_from_segments([reference.seg.segments for reference in references], options.labels)
        pairing = pair_by_reference(image_source, references, keep_empty=options.keep_empty_slices)
        pairing.refused += unread
    else:
        image_source = series_as_volumes(image_source, mask_sources)
        pairing = pair_files(
            image_source,
            mask_sources,
            image_pattern=options.pairing.image_pattern,
            mask_pattern=options.pairing.mask_pattern,
            allow_missing=options.pairing.allow_missing_masks,
            merge=options.labels.merge,
        )
        require_right_way_round(pairing.pairs, image_source.given, folders)
    pairing.refused += refused
    pairing.warnings += [Finding(file, "passed_over", why) for file, why in passed_over({images, *masks})]
    if not pairing.pairs:
        raise InvalidDatalist(f"No case is left: {summary_of(pairing.refused)}. Nothing was written.")
    if options.labels.merge and len(masks) == 1 and not any(len(pair.masks) > 1 for pair in pairing.pairs):
        raise InvalidOption("--merge needs several mask folders, or images with several masks in one.")
    subject_options = named_in_full(options.subjects, pairing.pairs)
    subject_of = subject_rule(subject_options, pairing.pairs)
    part_column = _part_column(options, subject_options.column or "", pairing.pairs)
    key, _ = subject_key()

    guessed = plan is None
    kept = Kept()
    seen: dict[str, tuple[Case, str]] = {}
    with engine_of(options.engine, options.workers) as in_order:
        if plan is None:
            plan = guess_plan(_count_masks(pairing.pairs, len(masks), in_order, on_progress), options.labels, folders)
        check = CheckPlan(
            coding=plan.coding,
            n_classes=len(plan.labels),
            subject_tag=options.subjects.tag or "PatientID",
            refuse_empty=options.refuse_empty,
            keep_empty_slices=options.keep_empty_slices,
            masks_as=options.masks_as,
            segments_of=plan.labels if plan.by_segment else None,
        )
        with closing(in_order(partial(check_pair, plan=check), pairing.pairs, when_killed=_killed)) as results:
            for done, checked in enumerate(results, 1):
                keep(checked, kept, seen, pairing, subject_of, part_column)
                on_progress("Checking", done, len(pairing.pairs))
        if not kept.cases:
            raise InvalidDatalist(f"No case is left: {summary_of(pairing.refused)}. Nothing was written.")
        _require_a_class(kept.cases, plan)
        given = kept.parts if part_column is not None else None
        subjects, near, alike_from_afar = join_near_duplicates(
            kept.cases,
            kept.subjects,
            kept.same,
            finer=lambda members, side: _thumbnails([kept.cases[k].image for k in members], side, in_order),
            split_is_given=given is not None or options.split.test_only,
            apart=options.split.near_duplicates_apart,
        )

    pairing.warnings += [Finding(kept.cases[0].masks[0], "inverted_masks", plan.doubt)] if plan.doubt else []
    pairing.warnings += rare_classes(kept.cases, plan.labels) if guessed else []
    subjects_are = subjects_from(subject_options, tagged=kept.tagged, studies=kept.studies, cases=len(kept.cases))
    if subjects_are == ONE_A_FILE and not options.split.test_only:
        pairing.warnings += names_that_begin_alike(pairing.pairs)
    try:
        split = place_subjects(kept.cases, subjects, options.split, given)
    except InvalidSplit as error:
        joined = () if options.split.near_duplicates_apart else near
        why = too_few_subjects(kept.cases, kept.subjects, subjects, joined) if given is None else ""
        refusals = f"Refused were {summary_of(pairing.refused)}." if pairing.refused else ""
        raise InvalidSplit(" ".join(filter(None, (str(error), why, refusals)))) from None
    parts = [split.part[subject] for subject in subjects]
    pairing.warnings += one_sided_classes(kept.cases, parts, plan.labels)
    datalist = Datalist(
        name=options.name or name_of(image_source.root, options.labels),
        labels=list(plan.labels),
        modality=options.modality or modality_of(options.labels, kept.cases),
        description=options.labels.task.description if options.labels.task else "",
        split=split_facts(split, options.split, subjects_are),
    )
    folder = target.absolute().parent
    for case, subject, part in zip(kept.cases, subjects, parts, strict=True):
        item = item_of(case, folder)
        item["subject"] = subject_pseudonym(subject, key)
        if subject in split.fold:
            item["fold"] = split.fold[subject]
        datalist.part(part).append(item)
    findings = {"refused": pairing.refused, "warnings": pairing.warnings + near}
    for name, entries in findings.items():
        placed = [Finding(relative_to(folder, f.file), f.code, f.reason) for f in entries]
        setattr(datalist, name, placed)
    write_datalist(datalist, target, overwrite=options.overwrite)
    pixels = tuple(sum(case.class_pixels[k] for case in kept.cases) for k in range(len(plan.labels)))
    coding = "segments by their labels" if plan.by_segment else str(plan.coding)
    return IndexResult(target, datalist, pixels, coding, guessed, alike_from_afar)


def _require_a_class(cases: Sequence[Case], plan: LabelPlan) -> None:
    """Raise UnknownLabel if masks hold something, and not one pixel of all of them is a class."""
    full = [case for case in cases if case.mask_holds_something]
    if full and not any(any(case.class_pixels[1:]) for case in cases):
        raise UnknownLabel(
            f"{full[0].masks[0]}: it holds values other than 0, but no pixel of this or of any other mask belongs to a "
            f"class under the coding '{plan.coding}'. Look at the values of the masks, and say what they mean: "
            "--threshold 0 for masks of 0 and 1 (with --class-names in place of --task), --levels or --colours. "
            "Nothing was written."
        )


def require_free(target: Path, *, overwrite: bool) -> None:
    """Raise OutputExists or InvalidOption if a datalist cannot be written there."""
    if target.exists() and not overwrite:
        raise OutputExists(f"{target} exists. Give --overwrite to replace it, or another name with -o.")
    if target.is_dir():
        raise InvalidOption(f"{target} is a folder. Name a file, e.g. -o {target / 'datalist.json'}.")


def _segmentations(images: Source, masks: Sequence[Source]) -> tuple[list[Reference], list[Finding]]:
    """The DICOM segmentations that the masks are, if they are."""
    found = [find_segmentations(source, images.files) for source in masks]
    references = [reference for part, _ in found for reference in part]
    if references and len(masks) > 1:
        raise InvalidOption("DICOM segmentations name their classes themselves: put them into one folder of masks.")
    return references, [finding for _, unread in found for finding in unread]


def _part_column(options: IndexOptions, subjects: str, pairs: Sequence[Pair]) -> Column | None:
    text = options.split.column
    if options.split.stratify and (text is not None or options.split.test_only):
        raise InvalidOption("--stratify chooses the split; --split-column and --test-only give it. Leave one of them.")
    if text is None:
        return None
    if options.split.test_only:
        raise InvalidOption("--split-column and --test-only contradict each other. Give one of them.")
    if ":" not in text:
        table, _, columns = subjects.rpartition(":")
        if not table:
            raise InvalidOption(f"--split-column {text}: of which table? Write FILE.csv:{text}.")
        text = f"{table}:{text if '@' in text else '@'.join((text, columns.partition('@')[2]))}"
    return read_column(text, pairs)


def _count_masks(
    pairs: Sequence[Pair], n_folders: int, in_order: MapInOrder, on_progress: OnProgress
) -> list[MaskHistogram]:
    totals = [MaskHistogram() for _ in range(n_folders)]
    unread: list[Finding] = []
    any_read = False
    with closing(in_order(count_values, pairs, when_killed=_uncounted)) as results:
        for done, counted in enumerate(results, 1):
            # A mask that cannot be read is refused when its pair is checked.
            for folder, histogram in zip(pairs[done - 1].folder_of_masks, counted, strict=False):
                if isinstance(histogram, MaskHistogram):
                    totals[folder].update(histogram)
                    any_read = True
                else:
                    unread.append(histogram)
            on_progress("Reading masks", done, len(pairs))
    if unread and not any_read:  # which is not to be told as masks without a class
        raise InvalidDatalist(f"No mask can be read: {summary_of(unread)}. Nothing was written.")
    return totals


def _thumbnails(files: Sequence[str], side: int, in_order: MapInOrder) -> list[bytes]:
    with closing(in_order(partial(thumbnail_of, side=side), files, when_killed=_nothing)) as made:
        return list(made)


def _nothing(file: str) -> bytes:
    return b""


def _uncounted(pair: Pair) -> list[MaskHistogram | Finding]:
    return []


def _killed(pair: Pair) -> Checked:
    reason = "decoding it or its mask ended the process (damaged file, or not enough memory)"
    return Checked(pair, refused=[Finding(pair.image, "decoder_crash", reason)])


def summary_of(refused: Sequence[Finding]) -> str:
    """How many files were refused for which reason, and one of them."""
    counts = Counter(finding.code for finding in refused)
    first = f"; e.g. {refused[0].file}: {refused[0].reason.removesuffix('.')}" if refused else ""
    return ", ".join(f"{count} {code}" for code, count in counts.most_common()) + first
