"""The phantom as PNG and NIfTI: encoded in memory."""

from __future__ import annotations

import gzip
import io

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom.quadrics import Array

__all__ = ["NOTICE", "nifti_bytes", "png_bytes"]

NOTICE = "Digital phantom, not a patient"


def png_bytes(picture: NDArray[np.uint8], *, text: dict[str, str] | None = None) -> bytes:
    """A grey 8-bit PNG that says what it is in its text chunks.

    Args:
        picture: Indexed [column, row], shape (W, H).
        text: More text chunks.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in {"Title": "PHANTOM", "Comment": NOTICE, **(text or {})}.items():
        info.add_text(key, value)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture.T)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def nifti_bytes(volume: NDArray[np.uint8], affine: Array) -> bytes:
    """A compressed NIfTI-1 of class indices.

    Args:
        volume: Shape (W, H, D).
        affine: From voxel indices to RAS+ mm, shape (4, 4).
    """
    import nibabel

    image = nibabel.Nifti1Image(volume, affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = NOTICE.encode()
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
