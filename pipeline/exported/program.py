"""Running a program with OpenVINO."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.errors import InvalidBundle, UnsupportedImage
from pipeline.exported.document import ProgramFile
from pipeline.exported.names import IMAGE, INPUT, MASK, SCORES, SIZE
from pipeline.exported.parts import FINISHING, Parts
from pipeline.exported.refining import refined
from pipeline.exported.runtime import load_openvino
from pipeline.processor import is_slow_in_bfloat16
from pipeline.sizes import size_at_longest, size_at_spacing

if TYPE_CHECKING:
    from pipeline.readers import Picture

__all__ = ["Program"]

Outputs: TypeAlias = "tuple[str, ...]"


class Program:
    """A loaded program, which several threads may ask at once.

    Each picture is computed by one thread: two for one picture would round otherwise, and together they are slower than
    each with a picture of its own.

    Args:
        file: What is known of it.
        at_once: Pictures that are to be computed at a time, each by a thread.
        outputs: What will be wanted, and is compiled now; others are when they are first asked for.
    Raises: InvalidBundle: if OpenVINO, as it is installed here, cannot run it.
    """

    def __init__(self, file: ProgramFile, at_once: int = 1, outputs: Sequence[str] = (MASK,)) -> None:
        try:
            openvino = load_openvino()
        except ImportError as error:  # installed, and of another Python or NumPy
            raise InvalidBundle(f"OpenVINO cannot be loaded here: {' '.join(str(error).split())[:120]}") from error

        self.file, self.at_once = file, at_once
        # Also held while a picture is computed for the first time: OpenVINO's Python part then makes tables of its own,
        # and two threads that come to that at once wait for each other for ever (seen with 2026.4).
        self._lock, self._has_run = threading.RLock(), False
        self._compiled: dict[Outputs, Any] = {}
        self._own = threading.local()
        try:
            self._core = openvino.Core()
            self._parts = Parts(openvino, self._core.read_model(str(file.path)), file)
            for wanted in _by_part(outputs):
                self._request(wanted)
        except Exception as error:  # its errors have no base of their own
            said = " ".join(str(error).split())[:120]
            raise InvalidBundle(f"OpenVINO {openvino.__version__} cannot run {file.path.name}: {said}") from error

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
        if min(size) < 1:
            return f"{image.shape[1]}×{image.shape[2]} pixels, of which a side would have none at the network's size"
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
        given: dict[str, Any] = {IMAGE: np.ascontiguousarray(image, dtype=np.float32)}
        if self.file.size_from:
            given[SIZE] = np.asarray(self._size(image.shape[1:], picture), dtype=np.int64)
        with nullcontext() if self._has_run else self._lock:
            for wanted in _by_part(outputs):
                given |= self._answers(wanted, given)
        self._has_run = True
        if MASK in outputs:
            given[MASK] = refined(given[MASK], self.file.refinement)
        return [given[name] for name in outputs]

    def _answers(self, outputs: Outputs, given: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        request = self._request(outputs)
        names = {port.any_name for port in request.model_inputs}
        found = request.infer({name: given[name] for name in names}, share_inputs=True)
        return {name: found[number] for number, name in enumerate(outputs)}

    def _request(self, outputs: Outputs) -> Any:
        """What computes these outputs in the thread that asks, compiled when they are first asked for."""
        own: dict[Outputs, Any] = vars(self._own).setdefault("requests", {})
        if outputs not in own:
            with self._lock:
                if outputs not in self._compiled:
                    self._compiled[outputs] = self._core.compile_model(self._parts(outputs), "CPU", self._how(outputs))
            own[outputs] = self._compiled[outputs].create_infer_request()
        return own[outputs]

    def _how(self, outputs: Outputs) -> dict[str, Any]:
        """How a part is computed."""
        network = INPUT not in outputs and not FINISHING.intersection(outputs)
        able = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") and not is_slow_in_bfloat16()
        return {
            "INFERENCE_PRECISION_HINT": "bf16" if network and able and self.file.bfloat16 else "f32",
            "NUM_STREAMS": self.at_once,
            "INFERENCE_NUM_THREADS": self.at_once,
            "ENABLE_CPU_PINNING": False,  # two processes would share one core
        }

    def _size(self, shape: Sequence[int], picture: Picture) -> tuple[int, int]:
        if "longest" in self.file.size_from:
            return size_at_longest(shape, int(self.file.size_from["longest"]))
        if "spacing_mm" in self.file.size_from:
            spacing = picture.spacing_mm or (math.nan, math.nan)
            return size_at_spacing(shape, spacing, self.file.size_from["spacing_mm"])
        width, height = shape
        return width, height


def _by_part(outputs: Sequence[str]) -> list[Outputs]:
    """What each part of the program has to give, one part after the other."""
    behind = tuple(name for name in outputs if name in FINISHING)
    of_network = tuple(name for name in outputs if name not in FINISHING)
    scores = (SCORES,) if behind and SCORES not in of_network else ()
    return [(INPUT,), (*of_network, *scores), *([behind] if behind else [])]
