"""Results into an archive, and whether they are there."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from pipeline.dicomweb.archive import Archive
from pipeline.dicomweb.failures import failure_words, failures_in
from pipeline.dicomweb.faults import Transience, transience_of
from pipeline.dicomweb.listing import listed, value_of
from pipeline.errors import ArchiveRefusal, ArchiveUnreachable, PlanarError

__all__ = ["StoredObject", "present", "store"]

# Of so many objects of a series each is asked for; of more, the series is listed.
FEW = 4


@dataclass(frozen=True)
class StoredObject:
    """A DICOM object in an archive, by its identifiers."""

    study: str
    series: str
    instance: str


def store(archive: Archive, path: Path, study: str) -> StoredObject:
    """Store a file (STOW-RS) and find it again (QIDO-RS), in its study.

    An object that the archive has already is left as it is there, and counts as stored.

    Args:
        archive: Which is to have it.
        path: The DICOM file.
        study: StudyInstanceUID that it must belong to.

    Raises:
        ArchiveUnreachable: if the archive is away.
        ArchiveRefusal: if the object is of another study, or is not there afterwards.
    """
    import pydicom

    ds = pydicom.dcmread(path)
    made = StoredObject(str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID))
    if made.study != study:
        raise ArchiveRefusal(
            f"{path}: its header says study {made.study}, and the archive has the images under {study}: not stored. "
            "Export the images again, or store it by hand."
        )
    what = f"{path.name} cannot be stored"
    said = ""
    try:
        said = _failure_in(archive.ask(what, lambda: _send(archive, ds, study)))
    except ArchiveUnreachable:
        raise
    except PlanarError as error:
        said = str(error)
    except requests.RequestException:
        raise
    except Exception:  # an answer that dicomweb-client cannot read, which says nothing of what the archive did
        said = "its answer cannot be read"
    if not _found(archive, made):
        said = said.rstrip(".") or "it is not found afterwards"
        raise ArchiveRefusal(
            f"{said}." if said.startswith(str(archive.address)) else f"{archive.address}: {what}: {said}."
        )
    return made


def present(archive: Archive, study: str, series: str, instances: Iterable[str]) -> set[str]:
    """Which of some objects an archive has in a series of a study.

    Raises: ArchiveUnreachable, ArchiveRefusal: if it cannot be asked.
    """
    wanted = set(instances)
    what = f"study {study} cannot be searched"
    found: set[str] = set()
    filters: list[dict[str, str]] = [{"SOPInstanceUID": one} for one in wanted] if len(wanted) <= FEW else [{}]
    for filter_ in filters:

        def search(limit: int, offset: int, filter_: Mapping[str, str] = filter_) -> Any:
            return _of_series(archive, study, series, filter_, limit, offset)

        expected = 1 if filter_ else None
        found |= {
            value_of(item, "SOPInstanceUID") for item in listed(archive, what, search, "SOPInstanceUID", expected)
        }
    return found & wanted


def _of_series(
    archive: Archive, study: str, series: str, filters: Mapping[str, str], limit: int, offset: int
) -> list[Any]:
    """A page of the instances of a series, which may not be there yet: some archives then say that it is not found."""
    try:
        found: list[Any] = archive.client.search_for_instances(
            study, series, search_filters=dict(filters), limit=limit, offset=offset
        )
    except requests.HTTPError as error:
        if error.response is not None and error.response.status_code == 404:
            return []
        raise
    return found


def _found(archive: Archive, made: StoredObject) -> bool:
    """Whether an object is there; an archive may take a moment to index it."""
    end = time.monotonic() + archive.patience.found_s
    wait_s = 0.05
    while not present(archive, made.study, made.series, [made.instance]):
        if time.monotonic() + wait_s > end:
            return False
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, 2.0)
    return True


def _send(archive: Archive, ds: Any, study: str) -> Any:
    """The archive's answer to STOW-RS.

    Raises: ArchiveRefusal: if it refuses the object and says why; requests.HTTPError: if it does not say why.
    """
    try:
        return archive.client.store_instances([ds], study)
    except requests.HTTPError as error:
        answer = error.response
        if answer is None or transience_of(error) is not Transience.NEVER:
            raise
        codes = failures_in(answer.headers.get("Content-Type", ""), answer.content)
        if not codes:
            raise
        raise ArchiveRefusal(f"{failure_words(codes)} ({answer.status_code})") from error


def _failure_in(answer: Any) -> str:
    """Why an archive did not store an object, of its answer; "" if it did."""
    failed = answer.get("FailedSOPSequence") or ()
    return failure_words(sorted({int(item.get("FailureReason") or 0) for item in failed}))
