"""What there is to segment among the inputs, and what its results are called."""

from __future__ import annotations

import errno
import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.archives import is_archive, members_below
from pipeline.errors import MissingFile, NoPicture, OutputExists, PlanarError, user_error_within
from pipeline.readers import (
    DicomSeries,
    Picture,
    find_pictures,
    group_series,
    passed_over,
    read_picture,
    read_series,
    slices_in,
    split_fragment,
)
from pipeline.tasks.infer.naming import output_names
from pipeline.tasks.infer.noted_results import noted_results

__all__ = ["RESULTS", "Refusal", "Source", "find_sources", "reason", "require_new"]

# What a source's results are called: its stem and one of these. The last three are folders of slices.
RESULTS = (
    "_mask.png",
    "_mask.nii.gz",
    "_seg.dcm",
    "_sc.dcm",
    "_prob.nii.gz",
    "_overlay.png",
    "_preview.png",
    "_quality.json",
    "_statistics.json",
    "_mask",
    "_overlay",
    "_sc",
)


@dataclass(frozen=True)
class Refusal:
    """A source that got no mask, and why."""

    file: str
    reason: str


@dataclass(frozen=True, eq=False)
class Source:
    """A picture, a volume file, or a DICOM series, with the result's name.

    Attributes:
        path: Where it is.
        slices: What the reader calls its slices.
        series: The DICOM series, if it is one.
        stem: What its results are called.
        name: What messages and tables call it, if not by its path.
    """

    path: Path
    slices: list[str]
    series: DicomSeries | None
    stem: str
    name: str = ""

    @property
    def said(self) -> str:
        """What messages and tables call it."""
        return self.name or str(self.path)

    def picture(self) -> Picture:
        """Decoded whole, for its grid and for overlays."""
        if self.series is not None:
            return read_series(self.series)
        # By the name that the network was given, so that within `decoded_once` nothing is decoded twice.
        return read_picture(self.slices[0] if len(self.slices) == 1 else split_fragment(self.slices[0])[0])


def find_sources(inputs: Sequence[str], out: Path) -> tuple[list[Source], list[Refusal], list[str]]:
    """What there is to segment.

    Results of an earlier run are no input, where the output folder lies in an input folder; nor are those of another
    inference, to another folder, that wrote down what they are of.

    Args:
        inputs: Files, folders, globs.
        out: The output folder, there or not.
    Returns: The sources, the files whose header cannot even be read, and what a user should know.
    Raises: MissingFile: if an input is not there or holds no picture.
    """
    inputs, refused = _without_damaged_archives(inputs)
    files = find_pictures(inputs)
    earlier = _results_below(out, files, inputs)
    found: list[tuple[Path, list[str], DicomSeries | None]] = []
    named = {_real(name) for name in inputs}
    target = _real(out)
    noted = noted_results((file for file in files if file not in earlier and _real(file) not in named), RESULTS)
    earlier |= noted.pop(target, set())
    others = set().union(*noted.values())
    no_pictures: list[str] = []
    for entry in group_series(file for file in files if file not in earlier and file not in others):
        if isinstance(entry, DicomSeries):
            found.append((Path(entry.folder), list(entry.files), entry))
            continue
        try:
            found.append((Path(entry), slices_in(entry), None))
        except NoPicture as error:
            if _real(entry) in named:
                refused.append(Refusal(entry, reason(error, entry)))
            else:
                no_pictures.append(entry)
        except (PlanarError, OSError) as error:
            refused.append(Refusal(entry, reason(error, entry)))
    sources = _named(found, inputs)
    # The same where the results lie among the images themselves.
    written = {target / f"{source.stem}{end}" for source in sources for end in RESULTS}
    own = [source for source in sources if not written.isdisjoint(_with_folders(source.path))]
    if own:
        earlier |= {str(source.path) for source in own}
        sources = _named([(s.path, s.slices, s.series) for s in sources if s not in own], inputs)
    if not sources and not refused and no_pictures:
        raise MissingFile(f"{', '.join(inputs)}: DICOM objects, but no image among them. Name the images.")
    if not sources and not refused:
        raise MissingFile(f"{', '.join(inputs)}: nothing but results of an earlier run. Name the images.")
    told = [f"{len(earlier)} results of an earlier run in {out} were left out."] if earlier else []
    if others:
        left_out = [file for file in files if file in others]
        told.append(f"{_first_of(left_out)}: results of another inference, left out. Name a file to have it segmented.")
    if no_pictures:
        told.append(f"{_first_of(no_pictures)}: no images, but reports, segmentations or the like, and left out.")
    told += [f"{file}: {why}." for file, why in passed_over(inputs)]
    return sources, refused, told


def require_new(out: Path, sources: Iterable[Source]) -> None:
    """Raise OutputExists if a result is there already."""
    for source in sources:
        for end in RESULTS:
            path = out / f"{source.stem}{end}"
            if os.path.exists(path):  # noqa: PTH110  (a name too long is no result, and is refused where it is written)
                raise OutputExists(
                    f"{path} exists. Give --overwrite to replace results, --resume to go on with what was stopped, or "
                    "another folder with -o."
                )


def reason(error: BaseException, file: str) -> str:
    """Why a file was refused, in one line that names it."""
    cause = user_error_within(error) or _innermost(error)
    said = str(cause)
    if isinstance(cause, OSError) and cause.errno == errno.ENAMETOOLONG:
        said = f"{file}: its results would have names too long for the file system. Give it a shorter name."
    elif isinstance(cause, OSError) and not isinstance(cause, PlanarError) and cause.strerror:
        said = f"{cause.filename2 or cause.filename or file}: {cause.strerror}."
    line = " ".join(said.split()) or type(cause).__name__
    return line if Path(split_fragment(file)[0]).name in line else f"{file}: {line}"


def _innermost(error: BaseException) -> BaseException:
    """What MONAI has wrapped into "applying transform …", once for each transform around it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _without_damaged_archives(inputs: Sequence[str]) -> tuple[Sequence[str], list[Refusal]]:
    """The inputs but for archives that cannot be opened, which are refused as bad files are: the others go on."""
    refused = []
    for entry in dict.fromkeys(filter(is_archive, inputs)):
        try:
            members_below(entry)
        except (PlanarError, OSError) as error:
            refused.append(Refusal(entry, reason(error, entry)))
    damaged = {one.file for one in refused}
    return [entry for entry in inputs if entry not in damaged], refused


def _first_of(files: Sequence[str]) -> str:
    count = len(files) - 1
    return f"{files[0]} and {count} other{'s' * (count > 1)}" if count else files[0]


def _named(found: Sequence[tuple[Path, list[str], DicomSeries | None]], inputs: Sequence[str]) -> list[Source]:
    stems = output_names([path for path, _, _ in found], inputs)
    count = Counter(path for path, _, _ in found)
    # Series that share a folder are called by the first slice of each.
    names = [series.files[0] if series is not None and count[path] > 1 else "" for path, _, series in found]
    return [Source(*parts, stem, name) for parts, stem, name in zip(found, stems, names, strict=True)]


def _results_below(out: Path, files: Sequence[str], inputs: Sequence[str]) -> set[str]:
    """Files in an output folder that lies inside an input folder; not those that the user named themselves."""
    target = _real(out)
    roots = [root for root in map(_root_of, inputs) if root is not None]
    if not any(target != root and target.is_relative_to(root) for root in roots):
        return set()
    inside = [root for root in roots if root.is_relative_to(target)]
    named = {_real(name) for name in inputs}
    found = set()
    for file in files:
        path = _real(file)
        meant = path in named or any(path.is_relative_to(root) for root in inside)
        if path.is_relative_to(target) and not meant:
            found.add(file)
    return found


def _root_of(given: str) -> Path | None:
    """The folder in which an input is looked for: itself, or the part of a glob without magic; None for a file."""
    if Path(given).is_dir():
        return _real(given)
    if Path(split_fragment(given)[0]).exists() or not glob.has_magic(given):
        return None
    plain = Path(given)
    while glob.has_magic(str(plain)):
        plain = plain.parent
    return _real(plain)


def _with_folders(path: Path) -> set[Path]:
    whole = _real(split_fragment(path)[0])
    return {whole, *whole.parents}


def _real(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.realpath(path))  # one file has one path, whichever links lead to it
