"""Public image sets: what is known of each, fetching, unpacking and checking them."""

from pipeline.public_sets.catalogue import PublicSet, RemoteFile, find_set, shipped_sets
from pipeline.public_sets.checking import count_files
from pipeline.public_sets.fetching import fetch
from pipeline.public_sets.outlines import masks_of_outlines
from pipeline.public_sets.unpacking import unpack

__all__ = [
    "PublicSet",
    "RemoteFile",
    "count_files",
    "fetch",
    "find_set",
    "masks_of_outlines",
    "shipped_sets",
    "unpack",
]
