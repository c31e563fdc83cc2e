"""Images from an archive onto the disk, as they are stored there, each whole or not at all."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from pipeline.dicomweb.archive import Archive
from pipeline.dicomweb.multipart import boundary_of, parts_to_disk
from pipeline.errors import ArchiveRefusal

__all__ = ["file_of", "retrieve"]

# Whatever transfer syntax it has: Orthanc fails where it would have to decompress JPEG 2000.
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
CHUNK = 1 << 20
_numbers = itertools.count()


def file_of(folder: Path, instance: str) -> Path:
    """What a retrieved instance is called: by its identifier, which says nothing of the patient."""
    return folder / f"{instance}.dcm"


def retrieve(archive: Archive, study: str, series: str, instances: Sequence[str], folder: Path) -> list[Path]:
    """Retrieve instances of a series; what lies in the folder already is not retrieved again.

    Several are asked for as a series, which is faster; what is missing after that, one by one.

    Args:
        archive: Which has them.
        study: StudyInstanceUID.
        series: SeriesInstanceUID.
        instances: SOPInstanceUIDs.
        folder: Made if it is missing.
    Returns: A file for each instance, in their order.

    Raises:
        ArchiveUnreachable, ArchiveRefusal: for the first that cannot be had.
        OSError: if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    url = f"{archive.address.url}/studies/{study}/series/{series}"
    if len(instances) > 1 and not any(file_of(folder, one).is_file() for one in instances):
        wanted = set(instances)
        # Whatever the archive does not give as a series it may give one by one.
        with suppress(ArchiveRefusal):
            archive.ask(f"series {series} cannot be retrieved", lambda: _fetch(archive, url, wanted, folder))
    for one in instances:
        if not file_of(folder, one).is_file():
            what = f"image {one} cannot be retrieved"
            archive.ask(what, partial(_fetch, archive, f"{url}/instances/{one}", {one}, folder))
            if not file_of(folder, one).is_file():
                raise ArchiveRefusal(f"{archive.address}: {what}: the archive gives another one, or none.")
    return [file_of(folder, one) for one in instances]


def _fetch(archive: Archive, url: str, wanted: set[str], folder: Path) -> None:
    """Write what an address gives under the names of the instances; those that are not wanted are dropped."""

    def aside() -> Path:
        return folder / f".part-{os.getpid()}-{threading.get_ident()}-{next(_numbers)}.dcm"

    with archive.session.get(url, headers={"Accept": AS_STORED}, stream=True) as answer:
        answer.raise_for_status()
        kind = answer.headers.get("Content-Type", "")
        boundary = boundary_of(kind)
        chunks = answer.iter_content(CHUNK)
        if boundary is not None:
            parts = parts_to_disk(chunks, boundary, aside)
        elif kind.partition(";")[0].strip().lower() in ("application/dicom", "application/octet-stream"):
            parts = _whole(chunks, aside())
        elif not kind and answer.status_code == 204:
            parts = iter(())
        else:
            raise ArchiveRefusal(f"{archive.address}: an image was asked for, and {kind or 'nothing'} came.")
        for part in parts:
            instance = _instance_in(part)
            if instance in wanted:
                part.replace(file_of(folder, instance))
            else:
                part.unlink()


def _whole(chunks: Iterator[bytes], path: Path) -> Iterator[Path]:
    """An answer that is one image without parts, against the standard."""
    try:
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    yield path


def _instance_in(path: Path) -> str:
    """SOPInstanceUID of a file; "" if it is no DICOM."""
    import pydicom

    try:
        ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"], force=True)
        return str(ds.get("SOPInstanceUID") or ds.file_meta.get("MediaStorageSOPInstanceUID") or "").strip()
    except OSError:
        raise
    except Exception:  # whatever a library says of bytes that are none
        return ""
