"""A bundle as MLflow serves it: masks for pictures that come as base64 or as arrays.

MLflow loads this module by its name, which `pipeline.tracking.models` writes into each logged model; so serving runs
the same `Predictor` as `planar infer`, and nothing of MLflow's is needed here.
"""

from __future__ import annotations

import base64
import binascii
import io
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.bundle import Bundle
from pipeline.errors import InvalidOption, UnsupportedImage
from pipeline.readers import slices_in
from pipeline.tasks.infer.predictor import Predictor

__all__ = ["ServedBundle"]

COLUMN = "image"
FORMS = ("png", "array")


class ServedBundle:
    """Predicts masks for the pictures of a request.

    A picture is the base64 text of a file in any format that Planar reads, with or without "data:…;base64," in front,
    or an array: rows of pixels, of colours where the bundle takes them. Whole numbers from 0 to 255 or 65535 are read
    as 8 or 16 bit, all else as float32.

    Args:
        folder: The bundle.
    """

    def __init__(self, folder: Path) -> None:
        bundle = Bundle(folder, folder.name)
        self.labels = {str(index): name for index, name in bundle.labels("inference").items()}
        self.predictor = Predictor(bundle, (bundle.weights,), {})

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The mask of each picture, on its own grid.

        Args:
            model_input: A table with the column "image", or pictures.
            params: "mask_as": "png" or "array"; "" for the form that the picture came in.
        Returns: For each picture its "mask", class numbers as the base64 text of a PNG or as rows of pixels, and what
            they mean as "labels".

        Raises:
            InvalidOption: for another form, or something that is no picture.
            PlanarError: as the reader does.
        """
        wanted = str((params or {}).get("mask_as") or "")
        if wanted and wanted not in FORMS:
            raise InvalidOption(f"There is no form '{wanted}' of a mask. Choose from {', '.join(FORMS)}.")
        return [self._answer(picture, wanted) for picture in _pictures(model_input)]

    def _answer(self, picture: Any, wanted: str) -> dict[str, Any]:
        encoded = isinstance(picture, (str, bytes))
        with tempfile.TemporaryDirectory(prefix="planar-") as folder:
            file = Path(folder) / "picture"
            file.write_bytes(_bytes_of(picture) if encoded else _file_of(_array_of(picture)))
            if len(slices_in(file)) > 1:
                raise UnsupportedImage("A volume was sent; expected one picture. Send its slices one by one.")
            mask = next(self.predictor([str(file)])).mask.T
        as_png = wanted == "png" or (not wanted and encoded)
        return {"mask": _png_text(mask) if as_png else mask.tolist(), "labels": self.labels}


def _load_pyfunc(path: str) -> ServedBundle:
    """What MLflow calls with the folder of the model's data."""
    return ServedBundle(Path(path))


def _pictures(given: Any) -> Iterable[Any]:
    """The pictures of a table, of a mapping, or of a list; one that comes alone."""
    if isinstance(given, (str, bytes)) or (isinstance(given, np.ndarray) and given.dtype != object):
        return [given]
    if hasattr(given, "columns"):
        listed = list(given[COLUMN if COLUMN in given.columns else given.columns[0]])
    else:
        listed = [given] if isinstance(given, Mapping) else list(given)
        listed = [one[COLUMN] if isinstance(one, Mapping) else one for one in listed]
    # MLflow puts the texts of {"inputs": {"image": […]}} into one cell.
    return [picture for one in listed for picture in (list(one) if _are_texts(one) else [one])]


def _are_texts(one: Any) -> bool:
    return isinstance(one, (list, tuple, np.ndarray)) and len(one) > 0 and all(isinstance(part, str) for part in one)


def _bytes_of(picture: str | bytes) -> bytes:
    if isinstance(picture, bytes) and not picture.isascii():
        return picture  # a file as it is
    text = picture.decode() if isinstance(picture, bytes) else picture
    try:
        return base64.b64decode(text.rpartition("base64,")[2], validate=True)
    except binascii.Error as error:
        raise InvalidOption(f"A picture's text is no base64 ({error}). Send base64 of a file, or an array.") from error


def _array_of(picture: Any) -> NDArray[Any]:
    try:
        array = np.asarray(picture if isinstance(picture, np.ndarray) else list(picture))
        array = array if array.dtype != object else np.array([np.array(list(row)) for row in array])
    except (TypeError, ValueError) as error:
        raise InvalidOption(f"A picture's rows do not make an array: {error}.") from error
    colour = array.ndim == 3 and array.shape[2] == 3
    if not (array.ndim == 2 or colour) or array.size == 0 or array.dtype.kind not in "uifb":
        raise InvalidOption(
            f"A picture is an array of shape {array.shape}, {array.dtype}; expected numbers as rows × columns, or "
            "rows × columns × 3."
        )
    return array


def _file_of(array: NDArray[Any]) -> bytes:
    """A file that is read back as the same numbers."""
    low, high = array.min(), array.max()
    whole = array.dtype.kind in "uib" and low >= 0
    out = io.BytesIO()
    if whole and high < 256:
        Image.fromarray(array.astype(np.uint8)).save(out, format="PNG")
    elif array.ndim == 3:
        raise InvalidOption(f"A colour picture has values from {low} to {high}; expected whole numbers up to 255.")
    elif whole and high < 65536:
        Image.fromarray(array.astype(np.uint16)).save(out, format="PNG")
    else:
        Image.fromarray(array.astype(np.float32)).save(out, format="TIFF")
    return out.getvalue()


def _png_text(mask: NDArray[np.uint8]) -> str:
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(mask)).save(out, format="PNG")
    return base64.b64encode(out.getvalue()).decode()
