"""The writer as MONAI's `SaveImaged(writer="pipeline.readers.SourceGridWriter")` takes it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.data import FolderLayoutBase, ImageWriter

from pipeline.errors import InvalidOption
from pipeline.fragments import split_fragment
from pipeline.readers.container import stem_of
from pipeline.readers.writers import write_mask, write_probabilities

__all__ = ["SourceGridWriter", "SourceLayout"]

logger = logging.getLogger(__name__)


class SourceGridWriter(ImageWriter):
    """Writes what `PlanarReader` led to on the grid of the file that was read.

    One channel of an integer `output_dtype` is a mask of class indices; a float `output_dtype` gives probabilities, one
    map a channel.

    Args:
        output_dtype: np.uint8 for masks, np.float32 for probabilities. `SaveImaged` turns it to np.uint8 for ".png".
        scale: Not used here; must be None.
    Raises: InvalidOption: for a scale.
    """

    def __init__(self, output_dtype: npt.DTypeLike = np.float32, scale: int | None = None, **kwargs: Any) -> None:
        if scale is not None:
            raise InvalidOption(f"SaveImaged(scale={scale}) does not go with SourceGridWriter. Leave it out.")
        super().__init__(output_dtype=output_dtype, **kwargs)
        self.output_dtype = np.dtype(output_dtype if output_dtype is not None else np.float32)
        self.meta: Mapping[str, Any] = {}

    def set_data_array(
        self, data_array: npt.NDArray[Any] | torch.Tensor, channel_dim: int | None = 0, **_options: Any
    ) -> None:
        """Take the array, (C, W, H[, D]) with the channels at `channel_dim`, or none if that is None."""
        if isinstance(data_array, torch.Tensor):
            data_array = data_array.detach().cpu().numpy()
        self.data_obj = data_array[np.newaxis] if channel_dim is None else np.moveaxis(data_array, channel_dim, 0)

    def set_metadata(self, meta_dict: Mapping[str, Any] | None, **_options: Any) -> None:
        """Take the metadata that came with the image through the transforms. Nothing is resampled here."""
        self.meta = meta_dict or {}

    def write(self, filename: str | os.PathLike[str], verbose: bool = False, **_options: Any) -> None:
        """Write the file, aside and then under its name.

        Raises:
            GeometryMismatch: if the metadata hold no source grid, or one of another size.
            InvalidOption: for several channels as a mask; as `write_mask` and `write_probabilities`.
        """
        path = os.fspath(filename)
        if self.output_dtype.kind == "f":
            write_probabilities(self.data_obj, self.meta, path)
        elif len(self.data_obj) == 1:
            write_mask(self.data_obj[0], self.meta, path)
        else:
            raise InvalidOption(
                f"{path}: {len(self.data_obj)} channels as a mask. Take the arg-max (AsDiscreted), "
                "or give output_dtype float32 for probabilities."
            )
        if verbose:
            logger.info("wrote %s", path)


class SourceLayout(FolderLayoutBase):
    """Where `SaveImaged(folder_layout=…)` writes: one file a source, its folders kept, nothing overwritten by another.

    MONAI's own layout takes the end of a UID for a suffix and drops a slice's number, so that the slices of a series
    would get one name and the last would be the only one left.

    Args:
        output_dir: Folder of the results.
        root: Folder of the sources; what lies below it keeps its place.
        postfix: Appended to the source's name.
        extension: Of the results.
    """

    def __init__(
        self, output_dir: str | os.PathLike[str], root: str = "", postfix: str = "mask", extension: str = ".png"
    ) -> None:
        self.output_dir = Path(output_dir)
        self.root = Path(root) if root else None
        self.postfix = postfix
        self.extension = extension
        self.given: dict[str, str] = {}

    def filename(self, subject: str | os.PathLike[str] = "subject", idx: object = None, **_extra: object) -> str:
        """The path for a source, `<name>[_<slice>]_<postfix><extension>`; `subject` is the path it was read from."""
        source, number = split_fragment(subject)
        inside = self.root is not None and Path(source).is_relative_to(self.root)
        folder = self.output_dir / Path(source).relative_to(self.root).parent if inside else self.output_dir  # type: ignore[arg-type]
        end = f"{'' if number is None else f'_{number}'}_{self.postfix}{self.extension}"
        path = folder / f"{stem_of(source)}{end}"
        # a.png and a.jpg; also A.png and a.jpg, for some file systems do not tell A from a.
        if self.given.setdefault(str(path).casefold(), os.fspath(subject)) != os.fspath(subject):
            path = folder / f"{Path(source).name}{end}"
        folder.mkdir(parents=True, exist_ok=True)
        return str(path)
