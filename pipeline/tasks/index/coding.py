"""Which label coding and which classes a set has: from what the user said, or guessed from all masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from pipeline.errors import InvalidOption, UnknownLabel
from pipeline.labels import (
    LabelCoding,
    MaskHistogram,
    classes_of_segments,
    colour_name,
    guess_coding,
    parse_colour,
    repeated_class,
    surrounding_value,
    zero_may_be_the_object,
)
from pipeline.planning import TaskSpec

__all__ = ["LabelOptions", "LabelPlan", "guess_plan", "plan_from_options", "plan_from_segments"]

BACKGROUND = "background"


@dataclass(frozen=True)
class LabelOptions:
    """What the user said about the masks.

    Args:
        class_names: Names of the classes from 1.
        merge: Several mask folders, or several masks of an image in one folder, are one class.
        threshold: Class 1 is above this value.
        levels: `0=background,128=cytoplasm,255=nucleus`.
        colours: `#000000=background,#0000ff=lung`.
        exact: Colours other than the named ones are refused, rather than taken as the nearest.
        task: A task spec, which says all of it.
    """

    class_names: tuple[str, ...] = ()
    merge: bool = False
    threshold: float | None = None
    levels: str | None = None
    colours: str | None = None
    exact: bool = False
    task: TaskSpec | None = None


@dataclass(frozen=True)
class LabelPlan:
    """The coding of a set's masks and its class names, background first.

    Args:
        coding: How pixels become classes.
        labels: The class names.
        by_segment: Masks are DICOM segmentations, whose segments are matched with the classes by name, each mask's own.
        doubt: What may be wrong with a guess; "" if nothing speaks against it.
    """

    coding: LabelCoding
    labels: tuple[str, ...]
    by_segment: bool = False
    doubt: str = ""

    def __post_init__(self) -> None:
        _require_names(self.labels)


def plan_from_options(options: LabelOptions, folders: Sequence[str]) -> LabelPlan | None:
    """The plan if the options say how masks are coded; None if that must be guessed.

    Args:
        options: What the user said.
        folders: The mask folders.
    Raises: InvalidOption: if the options contradict each other or the number of folders.
    """
    _require_names((BACKGROUND, *options.class_names))
    said = {
        "--task": options.task,
        "--levels": options.levels,
        "--colours": options.colours,
        "--threshold": options.threshold,
    }
    given = [name for name, value in said.items() if value is not None]
    if len(given) > 1:
        raise InvalidOption(f"{' and '.join(given)} both say how masks are coded. Give one of them.")
    if options.exact and not options.colours:
        raise InvalidOption("--exact belongs to --colours.")
    check_folders(options, folders)
    if options.task is not None:
        if options.class_names:
            raise InvalidOption("--task names the classes: drop --class-names.")
        return _finish(options.task.coding, options.task.labels, options, folders)
    if options.levels is not None or options.colours is not None:
        if options.class_names and len(folders) == 1:
            raise InvalidOption(f"{given[0]} names the classes: drop --class-names.")
        coding, labels = parse_named(options)
        return _finish(coding, labels, options, folders)
    if options.threshold is not None:
        coding = LabelCoding("threshold", threshold=options.threshold)
        return _finish(coding, default_labels(coding, 2), options, folders)
    return None


def _require_names(labels: Sequence[str]) -> None:
    """Raise InvalidOption if a class has no name of its own."""
    twice = repeated_class(labels)
    if twice is not None or not all(name.strip() for name in labels):
        what = f"'{twice}' is there twice" if twice is not None else "one has no name"
        raise InvalidOption(
            f"The classes are {', '.join(labels)}: {what}. Give each its own name; --class-names begins behind "
            f"{labels[0]}, and capitals or spaces make no other class."
        )


def plan_from_segments(segmentations: Sequence[Sequence[tuple[int, str]]], options: LabelOptions) -> LabelPlan:
    """The plan of DICOM segmentations: the classes that the user named, or those that the segments are called.

    Args:
        segmentations: Number and label of the segments of each.
        options: What the user said; `--class-names` or the labels of `--task`.
    Raises: UnknownLabel: if there are no segments.
    """
    names = options.class_names or (options.task.labels[1:] if options.task is not None else ())
    names = tuple(names) or classes_of_segments(segmentations)
    return LabelPlan(LabelCoding("index"), (BACKGROUND, *names), by_segment=True)


def guess_plan(histograms: Sequence[MaskHistogram], options: LabelOptions, folders: Sequence[str]) -> LabelPlan:
    """The plan that the values of all masks speak for.

    Args:
        histograms: The values in each mask folder.
        options: What the user said.
        folders: The mask folders.
    Raises: UnknownLabel: if the values leave their meaning open.
    """
    n_classes = len(options.class_names) + 1 if options.class_names and len(folders) == 1 else None
    # A folder whose masks are all empty says nothing of the coding; the others speak for it.
    speaking = [k for k, histogram in enumerate(histograms) if histogram.has_foreground] or [0]
    codings = [guess_coding(histograms[k], n_classes=n_classes) for k in speaking]
    if len(set(codings)) > 1:
        told = ", ".join(f"{folders[k]}: {coding}" for k, coding in zip(speaking, codings, strict=True))
        raise UnknownLabel(
            f"The mask folders are coded differently ({told}). Say one coding for all, e.g. --threshold 0."
        )
    values = sorted({value for k in speaking for value in histograms[k].grey})
    if len(folders) > 1 and codings[0].kind != "threshold" and len(values) > 2:
        limit = 0 if codings[0].kind == "index" else values[-1] / 2
        some = ", ".join(f"{value:g}" for value in values[:8]) + ", …" * (len(values) > 8)
        raise UnknownLabel(
            f"Each mask folder is one class, but the masks hold {len(values)} values ({some}). "
            f"Say above which value the class begins, e.g. --threshold {limit:g}."
        )
    largest = max((int(value) for histogram in histograms for value in histogram.grey), default=0)
    plan = _finish(codings[0], default_labels(codings[0], n_classes or largest + 1), options, folders)
    inverted = [k for k in speaking if zero_may_be_the_object(histograms[k])]
    return replace(plan, doubt=_inverted(plan, surrounding_value(histograms[inverted[0]]))) if inverted else plan


def _inverted(plan: LabelPlan, around: float) -> str:
    here, zero, option = f"{around:g}", "0", f"--levels {around:g}=background,0={plan.labels[1]}"
    if plan.coding.kind == "colours":
        here, zero = f"#{int(around):06x}", "#000000"
        option = f"--colours '{here}=background,{zero}=object'"
    return (
        f"{zero} was taken for background, but {here} surrounds it in nearly all masks. If what is {zero} is meant, "
        f"give {option}"
    )


def check_folders(options: LabelOptions, folders: Sequence[str]) -> None:
    """Several mask folders need to be said to be one class or several.

    Raises: InvalidOption: if they are not.
    """
    if options.merge and len(options.class_names) > 1:
        raise InvalidOption(
            f"--merge makes one class, --class-names names {len(options.class_names)}. Give one of them."
        )
    if len(folders) == 1:
        return
    kept = options.class_names and len(options.class_names) == len(folders)
    by_task = options.task is not None and len(options.task.labels) - 1 == len(folders)
    if options.class_names and not (kept or options.merge):
        raise InvalidOption(f"--class-names names {len(options.class_names)} classes for {len(folders)} mask folders.")
    if not (options.merge or kept or by_task or (options.task is not None and options.task.coding.files)):
        names = ",".join(case.lower() for case in (Path(folder).name.split(".")[0] for folder in folders))
        raise InvalidOption(
            f"{len(folders)} mask folders: are they one class or several? "
            f"Give --merge, or a name for each, e.g. --class-names {quote(names)}."
        )


def _finish(coding: LabelCoding, labels: tuple[str, ...], options: LabelOptions, folders: Sequence[str]) -> LabelPlan:
    names = options.class_names
    if len(folders) == 1 and coding.files:
        raise InvalidOption(f"The coding {coding} is for {len(coding.files)} mask folders, got 1.")
    if len(folders) == 1 and not options.merge:
        if names and len(names) != len(labels) - 1:
            raise InvalidOption(
                f"--class-names names {len(names)} classes, but the masks' coding {coding} has {len(labels) - 1}."
            )
        return LabelPlan(coding, (labels[0], *names) if names else labels)
    if coding.files:
        if len(coding.files) != len(folders):
            raise InvalidOption(f"The coding {coding} is for {len(coding.files)} mask folders, got {len(folders)}.")
        return LabelPlan(coding, labels)
    if options.merge:
        merged = names or (labels[1:] if options.task is not None and len(labels) == 2 else ("foreground",))
        return LabelPlan(replace(coding, files=(1,) * len(folders)), (BACKGROUND, *merged))
    files = tuple(range(1, len(folders) + 1))
    return LabelPlan(replace(coding, files=files), (BACKGROUND, *names) if names else labels)


def parse_named(options: LabelOptions) -> tuple[LabelCoding, tuple[str, ...]]:
    """The coding and the class names of `--levels` or `--colours`.

    "background", or else the first name, is class 0; the others follow in their order, and a name that is given
    twice is one class.
    """
    option, text = ("--levels", options.levels) if options.levels is not None else ("--colours", options.colours)
    kind = "levels" if option == "--levels" else "colours-exact" if options.exact else "colours"
    pairs = [part.strip().partition("=") for part in (text or "").split(",")]
    try:
        value_of = float if kind == "levels" else parse_colour
        table = [(value_of(value), name.strip()) for value, _, name in pairs]
    except ValueError as error:
        raise InvalidOption(f"{option} {text!r} cannot be read: {error}. Expected VALUE=name,VALUE=name.") from None
    names = list(dict.fromkeys(name for _, name in table))
    if not all(names) or len(names) < 2 or len({value for value, _ in table}) < len(table):
        raise InvalidOption(f"{option} {text!r} must give different values at least two names, one of them background.")
    if BACKGROUND in names:
        names.insert(0, names.pop(names.index(BACKGROUND)))
    return LabelCoding(kind, table=tuple((value, names.index(name)) for value, name in table)), tuple(names)


def default_labels(coding: LabelCoding, n_classes: int) -> tuple[str, ...]:
    """Class names where the user gave none."""
    if coding.kind == "threshold" or (coding.kind == "index" and n_classes == 2):
        return BACKGROUND, "foreground"
    if coding.kind == "index":
        return (BACKGROUND, *(f"class_{k}" for k in range(1, n_classes)))
    if coding.kind == "levels":
        return (BACKGROUND, *(f"value_{value:g}" for value, _ in coding.table[1:]))
    return (BACKGROUND, *(colour_name(int(value)) for value, _ in coding.table[1:]))
