"""A bundle at work for MONAI Label: the same code, and so the same masks, as `planar infer`."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.utils.others.generic import device_list, name_to_device
from numpy.typing import NDArray

from pipeline.bundle import Bundle
from pipeline.errors import InvalidOption, MissingFile, UnreadableImage
from pipeline.label_app.loaded import Loaded, load
from pipeline.label_app.results import write_result
from pipeline.tasks.infer.segmented import Segmented
from pipeline.tasks.infer.sources import Source, find_sources

if TYPE_CHECKING:
    from pipeline.tasks.infer.archive import Model

__all__ = ["BundleSegmentation", "Made", "source_at"]


@dataclass(frozen=True, eq=False)
class Made:
    """A mask and how it came about.

    Attributes:
        result: Image and mask.
        model: What made it, in DICOM's words.
        seconds: Duration, s.
        quality: What the bundle's gate says of it, as `planar infer` writes it; "not judged" without one.
    """

    result: Segmented
    model: Model
    seconds: float
    quality: dict[str, Any]


class BundleSegmentation(InferTask):
    """A bundle as MONAI Label's inference task.

    Args:
        bundle: The bundle.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.classes = bundle.labels("inference")
        super().__init__(
            type=InferType.SEGMENTATION,
            labels={name: index for index, name in self.classes.items() if index},
            dimension=2,
            description=_described(bundle),
            config={"device": device_list(), "test_time_flips": True, "gate": True},
        )
        self._lock = threading.Lock()
        self._predictors: dict[tuple[str, bool], tuple[tuple[int, int], Loaded]] = {}

    def is_valid(self) -> bool:
        """Whether there are weights."""
        return self.bundle.weights.is_file()

    def get_path(self, validate: bool = True) -> str | None:
        """The weights."""
        path = self.bundle.weights
        return str(path) if not validate or path.is_file() else None

    def __call__(self, request: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Segment the file or folder `request["image"]`; see `answer`."""
        return self.answer(source_at(Path(str(request["image"]))), request)

    def answer(self, source: Source, request: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Segment an image as a client wants it.

        Args:
            source: The image.
            request: `device`, `test_time_flips`, `gate`, and what `write_result` takes; `result_write_to_file`.
        Returns: A file in the temporary folder, or None where none is wanted, and what clients are told.

        Raises:
            InvalidOption: for a device or format that there is not.
            PlanarError: as reading and predicting do.
        """
        made = self.segment(source, request)
        began = time.perf_counter()
        file = write_result(made, request) if _is_on(request, "result_write_to_file") else None
        written = time.perf_counter() - began
        told = {
            "label_names": self.labels,
            "latencies": {
                "pre": 0.0,
                "infer": round(made.seconds, 3),
                "post": 0.0,
                "write": round(written, 3),
                "total": round(made.seconds + written, 3),
            },
            "centroids": {},
            "model": {
                "name": made.model.algorithm.name,
                "version": made.model.algorithm.version,
                "sha256": made.model.algorithm.digest,
            },
            "quality": made.quality,
            "warnings": list(made.result.picture.warnings),
        }
        return (str(file) if file is not None else None), told

    def segment(self, source: Source, request: Mapping[str, Any] | None = None) -> Made:
        """The mask of an image, and the gate's verdict."""
        from pipeline.tasks.infer.segment import segment_source

        said = request or {}
        # One prediction at a time: two would take the cores, or the memory of the GPU, from one another.
        with self._lock:
            began = time.perf_counter()
            loaded = self._ready(_device(said.get("device")), _is_on(said, "test_time_flips"))
            loaded = loaded.judging(_is_on(said, "gate"))
            mask, _, verdicts = segment_source(
                source, loaded.predict, False, lambda done: None, loaded.gate, loaded.watch
            )
            seconds = time.perf_counter() - began
        return Made(Segmented(source, source.picture(), mask), loaded.model, seconds, loaded.quality(verdicts))

    def observe(self, names: Sequence[str]) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
        """Probabilities of pictures or slices, each (C, W, H), and what the network's innermost layers say of them.

        Returns: The probabilities, averaged over the bundle's flips, and features, (names, values).
        """
        from pipeline.gate import FeatureTap
        from pipeline.gate.features import innermost_layers, members_of

        with self._lock:
            predict = self._ready("", True).judging(False).predict
            found: list[NDArray[np.float32]] = []
            vectors: list[NDArray[np.float32]] = []
            for name in names:
                image = predict.preprocessing({"image": name})["image"][None].to(predict.device)
                tap = FeatureTap(predict.network, innermost_layers(members_of(predict.network)[0], image))
                with tap.reading() as noted:
                    (result,) = predict([name], probabilities=True)
                if result.probabilities is not None:
                    found.append(result.probabilities)
                vectors.append(np.concatenate(tap.vectors(noted, 1), axis=1)[0])
        return found, np.stack(vectors)

    def _ready(self, device: str, flips: bool) -> Loaded:
        """The network with the weights that are there now."""
        weights = self.bundle.weights
        if not weights.is_file():
            raise MissingFile(f"{self.bundle.name} has no weights yet. Train it first.")
        found = weights.stat()
        stamp = (found.st_mtime_ns, found.st_ino)
        key = (device, flips)
        if key not in self._predictors or self._predictors[key][0] != stamp:
            self._predictors.pop(key, None)
            self._predictors[key] = (stamp, load(self.bundle, _on(device), flips))
        return self._predictors[key][1]


def source_at(path: Path) -> Source:
    """The one picture, volume or series of a path.

    Raises:
        MissingFile: if there is none.
        InvalidOption: if there are several.
        UnreadableImage, UnsupportedImage: if it cannot be read.
    """
    # An output folder that is nowhere: none of the files is a result of an earlier run.
    sources, refused, _ = find_sources([str(path)], path.parent / ".nowhere" / path.name)
    if len(sources) == 1 and not refused:
        return sources[0]
    if refused and not sources:
        raise UnreadableImage(refused[0].reason)
    raise InvalidOption(f"{path.name} holds {len(sources)} images; expected one. Send them one by one.")


def _is_on(request: Mapping[str, Any], name: str) -> bool:
    """A switch of a request, on by default."""
    return str(request.get(name, True)).lower() not in ("false", "0")


def _described(bundle: Bundle) -> str:
    try:
        content = json.loads(bundle.metadata.read_text(encoding="utf-8"))
        return str(content.get("description") or content.get("task") or bundle.name)
    except (OSError, ValueError, AttributeError):
        return bundle.name


def _device(wanted: Any) -> str:
    """A device by the name that clients choose from; "" for the bundle's own choice."""
    name = wanted[0] if isinstance(wanted, list) and wanted else wanted
    if not name:
        return ""
    device = str(name_to_device(str(name)))
    # It becomes part of an expression of the config.
    if re.fullmatch(r"(cpu|cuda|mps)(:\d{1,3})?", device) is None:
        raise InvalidOption(f"There is no device {str(name)[:40]!r}. Choose from {', '.join(device_list())}.")
    return device


def _on(device: str) -> dict[str, Any]:
    return {"device": f"$torch.device('{device}')"} if device else {}
