"""datalist.json: the cases of a set in the Decathlon layout that MONAI reads, with digests, subjects and the split."""

from pipeline.datalist.digest import pixel_digest
from pipeline.datalist.document import (
    FORMAT,
    Datalist,
    Finding,
    files_gone,
    load_cases,
    read_datalist,
    relative_to,
    sets_in,
    subject_of,
    write_datalist,
)

__all__ = [
    "FORMAT",
    "Datalist",
    "Finding",
    "files_gone",
    "load_cases",
    "pixel_digest",
    "read_datalist",
    "relative_to",
    "sets_in",
    "subject_of",
    "write_datalist",
]
