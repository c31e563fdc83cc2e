"""The writer as MONAI's `SaveImaged(writer="pipeline.readers.SourceGridWriter")` takes it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.data import ImageWriter

from pipeline.errors import InvalidOption
from pipeline.readers.writers import write_mask, write_probabilities

__all__ = ["SourceGridWriter"]

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
