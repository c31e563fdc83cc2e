"""`manifest.json`, the last artifact of a run: digests of its files, numbers and parameters, and the tags that count.

MLflow keeps no digest of what it is given. With this list a file or a number that was changed in the store afterwards
is told by its name. The list's own digest is a tag of the run, `planar.manifest_sha256`.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["FORMAT", "LISTED_TAGS", "MANIFEST", "TAG", "Manifest", "of_model", "params_sha256", "points_sha256"]

MANIFEST = "manifest.json"
TAG = "planar.manifest_sha256"
FORMAT = "planar-run-manifest/1"
# How busy the machine was is no result, and MLflow's monitor may be told of it after the end.
UNLISTED = "system/"
# The tags that say what a run's numbers are of, and so what is computed again. Others may be set at any time.
LISTED_TAGS = frozenset(
    f"planar.{name}"
    for name in (
        "kind",
        "config_sha256",
        "data_sha256",
        "datalist_sha256",
        "model_sha256",
        "training_run",
        "keeps_last",
        "resumes",
        "resumes_after_epoch",
        "start_from",
        "start_from_sha256",
        "inputs_merkle",
        "results_merkle",
    )
)


class Manifest:
    """What a run is told, as digests; may be told of it from any thread."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._points: dict[str, set[tuple[int, float]]] = {}
        self._params: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._lock = threading.RLock()  # a signal's handler may end the run within a call

    @classmethod
    def resumed(
        cls,
        former: Mapping[str, Any],
        points: Mapping[str, Iterable[tuple[int, float]]],
        params: Mapping[str, str],
    ) -> Manifest | None:
        """The manifest of a run that is gone on with.

        Args:
            former: The one that the run was left with.
            points: The metrics that the store has, by name: step and value.
            params: That the store has.
        Returns: None if the store has other numbers than the former manifest lists.
        """
        made = cls()
        made._files, made._params = dict(former["files"]), dict(params)
        made._tags = dict(former.get("tags", {}))
        made._points = {
            name: {(step, _stored(value)) for step, value in points.get(name, ())} for name in former["metrics"]
        }
        if any(points_sha256(made._points[name]) != entry["sha256"] for name, entry in former["metrics"].items()):
            return None
        return made if params_sha256(params) == former["params"]["sha256"] else None

    def file(self, path: str, sha256: str) -> None:
        """A file's place among the artifacts and its digest; the last one of a place counts."""
        with self._lock:
            self._files[path] = sha256

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Numbers at one step."""
        with self._lock:
            for name, value in values.items():
                if not name.startswith(UNLISTED):
                    self._points.setdefault(name, set()).add((step, _stored(value)))

    def params(self, values: Mapping[str, str]) -> None:
        """Parameters as they are sent."""
        with self._lock:
            self._params |= values

    def tags(self, values: Mapping[str, str]) -> None:
        """Tags as they are sent; those that do not count are left out."""
        with self._lock:
            self._tags |= {name: value for name, value in values.items() if name in LISTED_TAGS}

    def text(self) -> str:
        """The list as JSON."""
        with self._lock:
            content: dict[str, Any] = {
                "format": FORMAT,
                "files": dict(sorted(self._files.items())),
                "metrics": {
                    name: {"points": len(points), "sha256": points_sha256(points)}
                    for name, points in sorted(self._points.items())
                },
                "params": {"count": len(self._params), "sha256": params_sha256(self._params)},
                "tags": dict(sorted(self._tags.items())),
            }
        return json.dumps(content, indent=2) + "\n"


def of_model(name: str, path: str) -> str:
    """Where a file of a model that a run has made stands among the run's files."""
    return f"models/{name}/{path}"


def points_sha256(points: Iterable[tuple[int, float]]) -> str:
    """Digest of a metric's values by step, whatever their order and however often each was sent."""
    lines = sorted({f"{int(step)} {_stored(value)!r}" for step, value in points})
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def params_sha256(params: Mapping[str, str]) -> str:
    """Digest of parameters by name."""
    return hashlib.sha256(json.dumps(dict(sorted(params.items()))).encode()).hexdigest()


def _stored(value: float) -> float:
    """A number as MLflow's stores give it back: infinity is the largest number there."""
    number = float(value)
    return number if math.isfinite(number) or math.isnan(number) else math.copysign(sys.float_info.max, number)
