"""DICOM series: the files of one volume, ordered by where they lie in the patient and never by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline.archives import exists, is_folder, members_below, split_archive, time_of_change
from pipeline.errors import UnsupportedImage
from pipeline.geometry import SourceGrid
from pipeline.readers.cache import last_picture
from pipeline.readers.container import is_dicom
from pipeline.readers.dicom import read_dicom
from pipeline.readers.dicom_geometry import plane_affine
from pipeline.readers.faults import library_errors
from pipeline.readers.picture import Picture, exact_dtype
from pipeline.readers.slice_header import SliceHeader, read_slice_header
from pipeline.readers.slice_places import PLACE_MM, evenly_placed, passes_of, remarks_on_places

__all__ = [
    "DicomSeries",
    "group_series",
    "numbered_against_normal",
    "read_series",
    "remember_volume",
    "series_in",
    "volume_of",
]

# Slices of one volume agree in orientation within COSINES, in pixel size within SPACING of it.
COSINES, SPACING = 1e-3, 1e-2
# A stack of fewer slices is no phase of its own.
FEWEST_OF_A_PHASE = 3
NAMED_IN_WARNING = 3


_scattered: dict[str, DicomSeries] = {}


@dataclass(frozen=True, eq=False)
class DicomSeries:
    """The slices of one volume.

    Attributes:
        files: One file a slice, in display order: `files[k]` is slice k.
        grid: Grid of the volume, stored as (column, row, slice).
        warnings: What a user should know, one line each.
    """

    files: tuple[str, ...]
    grid: SourceGrid
    warnings: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The folder of the first slice."""
        return str(Path(self.files[0]).parent)


class _Group:
    """Slices of one series that share size, pixel spacing and orientation."""

    def __init__(self) -> None:
        self.slices: list[SliceHeader] = []
        self.copies: list[str] = []
        self.places: set[tuple[str, int]] = set()

    def add(self, found: SliceHeader) -> None:
        # Sets that were anonymised badly have one SOPInstanceUID for all slices: a copy lies at the same place, too.
        place = found.instance, round(found.height / PLACE_MM)
        if found.instance and place in self.places:
            self.copies.append(found.file)
            return
        self.places.add(place)
        self.slices.append(found)


class _Series:
    """The groups of one series, found by the plane of a slice without asking each group in turn."""

    def __init__(self) -> None:
        self.groups: list[_Group] = []
        self.planes = np.empty((4, 10))

    def group_of(self, found: SliceHeader) -> tuple[_Group, bool]:
        """The slice's group, and whether it is a new one."""
        plane, known = found.plane, self.planes[: len(self.groups)]
        apart = np.abs(known - plane)
        alike = (apart[:, :2] == 0).all(1) & (apart[:, 4:] <= COSINES).all(1)
        alike &= (apart[:, 2:4] <= SPACING * np.abs(plane[2:4])).all(1)
        if alike.any():
            return self.groups[int(alike.argmax())], False
        if len(self.groups) == len(self.planes):
            self.planes = np.concatenate([self.planes, np.empty_like(self.planes)])
        self.planes[len(self.groups)] = plane
        self.groups.append(_Group())
        return self.groups[-1], True


def group_series(files: Iterable[str]) -> list[DicomSeries | str]:
    """Files with the slices of each DICOM volume put together.

    Slices belong together that share patient, SeriesInstanceUID, size, pixel spacing and orientation, and the phase
    where phases overlap. Films, multi-frame objects, other formats, and what cannot be read stay as they are, in their
    place. A second copy of a slice of a volume (the same SOPInstanceUID and place) is left out with a warning.

    Args:
        files: Picture files, as `find_pictures` gives them.
    Returns: Series where their first file stood, and the other files.
    """
    by_uid: dict[str, _Series] = {}
    order: list[tuple[_Series, _Group] | str] = []
    for file in files:
        found = read_slice_header(file) if is_dicom(file) else None
        if found is None:
            order.append(file)
            continue
        series = by_uid.setdefault(found.series, _Series())
        group, is_new = series.group_of(found)
        if is_new:
            order.append((series, group))
        group.add(found)
    result: list[DicomSeries | str] = []
    for entry in order:
        if isinstance(entry, str):
            result.append(entry)
            continue
        series, group = entry
        volumes = _phases(group.slices) or _one_slice_a_place(group.slices)
        remarks = _remarks_on_group(series, group, volumes)
        for volume in volumes:
            if len(volume) == 1:
                result.append(volume[0].file)
                continue
            result.append(made := _series_of(volume, remarks))
            remember_volume(made)
        if all(len(volume) == 1 for volume in volumes):
            result += group.copies  # which no volume could tell: each is a file as any other
    return result


def series_in(folder: str) -> DicomSeries:
    """The one DICOM series of a folder (not of the folders in it).

    Raises: UnsupportedImage: if it holds none, or several.
    """
    return _series_in(folder, time_of_change(folder))


def volume_of(file: str) -> DicomSeries | None:
    """The volume that a DICOM file is a slice of; None for all other files.

    It is what lies in one folder with it, unless `group_series` found the volume's slices in several.
    """
    if not exists(file) or not is_dicom(file):
        return None
    if file in _scattered:
        return _scattered[file]
    folder = str(Path(file).parent)
    return _volumes_of(folder, time_of_change(folder)).get(Path(file).name)


def remember_volume(series: DicomSeries) -> None:
    """Let `volume_of` know a volume of which a folder does not hold all slices."""
    if len({str(Path(file).parent) for file in series.files}) > 1:
        _scattered.update(dict.fromkeys(series.files, series))


def read_series(series: DicomSeries, *, voi: bool = False, labels: bool = False) -> Picture:
    """Decode a series as one volume (W, H, D) in display orientation; within `decoded_once` no kept slice again.

    Args:
        series: From `group_series`.
        voi: As in `read_picture`.
        labels: As in `read_picture`.
    Raises: UnreadableImage, UnsupportedImage: for the first slice that cannot be read.
    """
    slices = []
    last = last_picture()
    for file in series.files:
        with library_errors(file, "DICOM"):
            decode = partial(read_dicom, file, voi=voi, labels=labels)
            slices.append(decode() if last is None else last.get(file, (voi, labels), decode))
    array = exact_dtype(np.stack([picture.array for picture in slices], axis=2))
    # What is said of several slices is said once.
    told = tuple(dict.fromkeys(line for picture in slices for line in picture.warnings))
    return replace(slices[0], path=series.folder, array=array, grid=series.grid, warnings=series.warnings + told)


def numbered_against_normal(picture: Picture) -> bool:
    """Whether a picture is a folder's series whose InstanceNumbers fall along the normal of its slices."""
    if picture.source_format != "DICOM" or picture.depth == 1 or not is_folder(picture.path):
        return False
    files = series_in(picture.path).files
    shown = [header.turn[-1] for file in (files[0], files[-1]) if (header := read_slice_header(file)) is not None]
    return len(shown) == 2 and (shown[0] < shown[1] if picture.grid.flips[2] else shown[0] > shown[1])


@lru_cache(maxsize=16)
def _series_in(folder: str, _changed: tuple[int, int]) -> DicomSeries:
    entries = group_series(sorted(_files_in(folder)))
    found = [entry for entry in entries if isinstance(entry, DicomSeries)]
    if len(found) == 1:
        others = [entry for entry in entries if isinstance(entry, str) and is_dicom(entry)]
        others = [entry for entry in others if Path(entry).name != "DICOMDIR"]
        told = (f"Beside the volume the folder holds {_named(others)}, left out.",) if others else ()
        return replace(found[0], warnings=found[0].warnings + told)
    if not found:
        raise UnsupportedImage(f"{folder}: the folder holds no DICOM series of several slices. Name a file.")
    sizes = ", ".join(f"{len(series.files)} slices from {Path(series.files[0]).name}" for series in found)
    raise UnsupportedImage(f"{folder}: the folder holds {len(found)} DICOM volumes ({sizes}). Put one in a folder.")


@lru_cache(maxsize=16)
def _volumes_of(folder: str, _changed: tuple[int, int]) -> dict[str, DicomSeries]:
    """The volumes of a folder by the names of their files."""
    volumes = [entry for entry in group_series(sorted(_files_in(folder))) if isinstance(entry, DicomSeries)]
    return {Path(file).name: volume for volume in volumes for file in volume.files}


def _files_in(folder: str) -> list[str]:
    if split_archive(folder) is not None:
        below = [Path(file) for file in members_below(folder)]
    else:
        below = [file for file in Path(folder).iterdir() if file.is_file()]
    return [str(file) for file in below if file.parent == Path(folder) and not file.name.startswith(".")]


def _phases(slices: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    """Slices by phase, where several even stacks overlap, slices missing or not; else an empty list.

    A scanner may give each slice, or each stretch of the body, an acquisition of its own: those remain one volume, as
    do two acquisitions that are one even stack together, be they its odd and its even slices.
    """
    phases = _by_phase(slices)
    one_time = len({phase[0] for phase in phases}) == 1
    if not _overlap(phases) or (one_time and evenly_placed(np.array([s.height for s in slices]), gaps=True)):
        return []
    stacks = [phases[phase] for phase in sorted(phases)]
    if any(
        len(stack) < FEWEST_OF_A_PHASE or not evenly_placed(np.array([s.height for s in stack]), gaps=True)
        for stack in stacks
    ):
        return []
    return stacks


def _by_phase(slices: Sequence[SliceHeader]) -> dict[tuple[int, ...], list[SliceHeader]]:
    phases: dict[tuple[int, ...], list[SliceHeader]] = {}
    for found in slices:
        phases.setdefault(found.phase, []).append(found)
    return phases


def _overlap(phases: Mapping[tuple[int, ...], Sequence[SliceHeader]]) -> bool:
    """Whether phases cover one stretch of the body."""
    ends = sorted((min(s.height for s in stack), max(s.height for s in stack)) for stack in phases.values())
    return any(before[1] > after[0] for before, after in pairwise(ends))


def _one_slice_a_place(slices: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    """Slices as volumes with one slice at each place: a second pass over the same places is a volume of its own."""
    ordered = sorted(slices, key=lambda s: s.turn)
    passes = passes_of(np.array([s.height for s in ordered]))
    volumes: list[list[SliceHeader]] = [[] for _ in range(int(passes.max()) + 1)]
    for found, number in zip(ordered, passes, strict=True):
        volumes[number].append(found)
    return volumes


def _remarks_on_group(series: _Series, group: _Group, volumes: Sequence[Sequence[SliceHeader]]) -> list[str]:
    """What a user should know of how the series was taken apart."""
    told = []
    if len(series.groups) > 1 or len(volumes) > 1:
        others = sum(len(other.slices) for other in series.groups if other is not group)
        parts = [f"{others} slices of other orientations or sizes (localisers?)"] * bool(others)
        again = sum(len(volume) for volume in volumes[1:])
        parts += [f"{again} slices in second or later passes over the same places, or of other phases"] * (
            len(volumes) > 1
        )
        told.append(
            f"The series holds several orientations, sizes, phases or passes: {' and '.join(parts)} stand beside "
            "these slices and are no part of this volume."
        )
    if len({s.frame_of_reference for s in group.slices}) > 1:
        told.append("The slices name several frames of reference: they may not belong into one volume.")
    if group.copies:
        told.append(f"Left out as copies of a slice (the same SOPInstanceUID): {_named(group.copies)}.")
    return told


def _named(files: Sequence[str]) -> str:
    names = ", ".join(Path(file).name for file in files[:NAMED_IN_WARNING])
    return f"{len(files)} files ({names}{', …' * (len(files) > NAMED_IN_WARNING)})" if len(files) > 1 else names


def _series_of(slices: Sequence[SliceHeader], remarks: Sequence[str]) -> DicomSeries:
    ordered = sorted(slices, key=lambda s: s.height)
    phases = _by_phase(slices)
    if _overlap(phases):
        numbers = ", ".join(str(phase[1] or phase[0]) for phase in sorted(phases)[:NAMED_IN_WARNING])
        remarks = (*remarks, f"Slices of several acquisitions ({numbers}) lie between one another: is it one volume?")
    first, last = ordered[0], ordered[-1]
    step = (last.position - first.position) / (len(ordered) - 1)
    spacing_mm = first.spacing_mm or (1.0, 1.0)
    affine = plane_affine(first.cosines, first.position, step, spacing_mm)
    # Turned by its plane, as each slice is on its own: the steps of a tilted gantry may point to another side.
    upright = plane_affine(first.cosines, first.position, None, spacing_mm)
    grid = replace(SourceGrid.oriented((*first.shape, len(ordered)), upright, slice_axis=2), stored_affine=affine)
    files = tuple(s.file for s in (reversed(ordered) if grid.flips[2] else ordered))
    told = remarks_on_places(np.array([s.position for s in ordered]), first.cosines)
    return DicomSeries(files, grid, (*told, *remarks))
