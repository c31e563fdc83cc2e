"""The reader as MONAI's `LoadImaged(reader="pipeline.readers.PlanarReader")` takes it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
from monai.data import ImageReader

from pipeline.fragments import split_fragment
from pipeline.readers.container import SUFFIXES, suffix_of
from pipeline.readers.finite import finite_values
from pipeline.readers.masks import stacked
from pipeline.readers.neighbours import neighbours_of, read_with_neighbours
from pipeline.readers.read import read_picture

__all__ = ["PlanarReader"]

Paths = Sequence[str | os.PathLike[str]] | str | os.PathLike[str]


class PlanarReader(ImageReader):
    """Reads every picture that Planar knows, in display orientation.

    Args:
        voi: Apply the DICOM VOI LUT or window: grey from 0 to 255.
        labels: The files are masks; see `read_picture`.
        neighbours: Slices to either side of a volume's slice that are read with it, as grey channels (2.5D).
    """

    def __init__(self, voi: bool = False, labels: bool = False, neighbours: int = 0) -> None:
        super().__init__()
        self.voi = voi
        self.labels = labels
        self.neighbours = neighbours

    def verify_suffix(self, filename: Paths) -> bool:
        """Whether all the files may be pictures: a known suffix, or none that says otherwise (DICOM, a folder)."""
        return all(
            suffix_of(name) in SUFFIXES or suffix_of(name) not in (".npy", ".npz") for name in _as_list(filename)
        )

    def read(self, data: Paths, **_kwargs: Any) -> list[str]:
        """The paths alone.

        MONAI tries its own readers when this method raises, and would read some files in another orientation: decoding
        waits for `get_data`, whose errors come through.
        """
        return [os.fspath(name) for name in _as_list(data)]

    def files_of(self, data: Paths) -> list[str]:
        """The files that reading this would read: of a slice with neighbours those of the neighbours too."""
        named = self.read(data)
        if self.neighbours and len(named) == 1 and not self.labels:
            named = neighbours_of(named[0], self.neighbours)
        return list(dict.fromkeys(split_fragment(name)[0] for name in named))

    def get_data(self, img: list[str]) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """The decoded array and its metadata.

        Args:
            img: What `read` gave. Several files (the masks of one case) are stacked, last axis.
                Values of a picture that are no numbers are replaced; see `finite_values`.
        Returns: (W, H[, D]) or with channels last, and the metadata of `Picture.meta`.

        Raises:
            MissingFile, UnreadableImage, UnsupportedImage: as `read_picture`.
            GeometryMismatch: if several files differ in size.
        """
        if self.neighbours and len(img) == 1 and not self.labels:
            channels, picture = read_with_neighbours(img[0], self.neighbours, voi=self.voi)
            return finite_values(channels), {**picture.meta(), "original_channel_dim": -1}
        pictures = [read_picture(path, voi=self.voi, labels=self.labels) for path in img]
        meta = pictures[0].meta()
        values = stacked(pictures) if self.labels else finite_values(stacked(pictures))
        return values, meta if len(pictures) == 1 else {**meta, "original_channel_dim": -1}


def _as_list(paths: Paths) -> Sequence[str | os.PathLike[str]]:
    return [paths] if isinstance(paths, (str, os.PathLike)) else paths
