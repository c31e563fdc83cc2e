"""Running a program with ONNX Runtime."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import InvalidBundle, UnsupportedImage
from pipeline.exported.document import ProgramFile
from pipeline.exported.refining import refined
from pipeline.sizes import size_at_longest, size_at_spacing

if TYPE_CHECKING:
    from pipeline.readers import Picture

__all__ = ["Program"]


class Program:
    """A loaded program.

    Args:
        file: What is known of it.
    Raises: InvalidBundle: if ONNX Runtime, as it is installed here, cannot run it.
    """

    def __init__(self, file: ProgramFile) -> None:
        try:
            import onnxruntime
        except ImportError as error:  # installed, and of another Python or NumPy
            raise InvalidBundle(f"ONNX Runtime cannot be loaded here: {' '.join(str(error).split())[:120]}") from error

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # of an output that changes its shape it would warn each time
        said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
        options.intra_op_num_threads = int(said) if said.isdecimal() else 0  # 0: a thread a core
        # Threads that wait by spinning take the core from those that they wait for.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(str(file.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no base of their own
            said = " ".join(str(error).split())[:120]
            raise InvalidBundle(
                f"ONNX Runtime {onnxruntime.__version__} cannot run {file.path.name}: {said}"
            ) from error
        self.file = file
        self._session = session
        self._how = onnxruntime.RunOptions()
        self._how.only_execute_path_to_fetches = True

    def covers(self, image: npt.NDArray[Any], picture: Picture) -> str:
        """Why a picture has to go through the bundle itself, or "".

        Args:
            image: Its channels, (C, W, H).
            picture: Its metadata.
        """
        if image.ndim != 3 or image.shape[0] not in {1, 3, self.file.channels}:
            return f"a picture of shape {'×'.join(map(str, image.shape))}"
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            return "values that are not finite"
        try:
            size = self._size(image.shape[1:], picture)
        except UnsupportedImage as error:
            return str(error)
        if any(side > limit for side, limit in zip(size, self.file.padded_to, strict=True)):
            return f"{size[0]}×{size[1]} pixels, more than the network sees at once"
        return ""

    def run(self, image: npt.NDArray[Any], picture: Picture, outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
        """What the program answers; masks are refined, which it does not do itself.

        Args:
            image: Channels of a picture that it covers, (1 or 3, W, H).
            picture: Its metadata.
            outputs: Names of what is wanted; the rest is not computed.
        """
        given: dict[str, Any] = {"image": np.ascontiguousarray(image, dtype=np.float32)}
        if "spacing_mm" in self.file.size_from:
            given["spacing_mm"] = np.asarray(picture.spacing_mm, dtype=np.float64)
        answers: list[npt.NDArray[Any]] = self._session.run(list(outputs), given, self._how)
        return [
            refined(answer, self.file.refinement) if name == "mask" else answer
            for name, answer in zip(outputs, answers, strict=True)
        ]

    def _size(self, shape: Sequence[int], picture: Picture) -> tuple[int, int]:
        if "longest" in self.file.size_from:
            return size_at_longest(shape, int(self.file.size_from["longest"]))
        if "spacing_mm" in self.file.size_from:
            spacing = picture.spacing_mm or (math.nan, math.nan)
            return size_at_spacing(shape, spacing, self.file.size_from["spacing_mm"])
        width, height = shape
        return width, height
