"""The digest of a picture's pixels, the same in whatever container they are stored."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["pixel_digest"]


def pixel_digest(*arrays: NDArray[Any]) -> str:
    """SHA-256 over dtype, shape and decoded pixels, as hexadecimal digits.

    Args:
        arrays: Pictures in display orientation; several for the mask files of one case, in their order.
    """
    digest = hashlib.sha256()
    for array in arrays:
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{little.dtype.str}{tuple(map(int, little.shape))}".encode())
        digest.update(np.ascontiguousarray(little).data)
    return digest.hexdigest()
