"""What is known of a recorded run, wherever it was read from: an MLflow store or a pack."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

__all__ = ["DatasetUse", "ModelUse", "Point", "RunFacts"]

FORMAT = "planar-run/1"
KEEPS_LAST = "planar.keeps_last"  # tag of a training whose weights are of its last validation


@dataclass(frozen=True)
class Point:
    """One value of a metric.

    Attributes:
        step: The epoch.
        value: The number.
        time_ms: When it was recorded, ms since 1970.
    """

    step: int
    value: float
    time_ms: int


@dataclass(frozen=True)
class DatasetUse:
    """What a run was given.

    Attributes:
        name: Of the datalist and the part.
        context: "training", "validation" or "test".
        digest: The beginning of its Merkle root.
        profile: Such as "merkle_root" and "cases".
    """

    name: str
    context: str
    digest: str
    profile: Mapping[str, Any]


@dataclass(frozen=True)
class ModelUse:
    """A logged model that a run has made, or applies.

    Attributes:
        model_id: MLflow's.
        name: Such as "best".
        made: Whether this run made it.
        step: The epoch it is of.
        status: In MLflow's words.
        tags: Such as "sha256".
        params: Of the model.
        metrics: Its numbers by name.
        runs: The run that has measured each of them; empty in older records.
    """

    model_id: str
    name: str
    made: bool
    step: int
    status: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    runs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunFacts:
    """A recorded run.

    Attributes:
        run_id: MLflow's.
        name: Of the run.
        experiment: Its name.
        status: RUNNING, FINISHED, FAILED, KILLED or SCHEDULED.
        started_ms: ms since 1970.
        ended_ms: ms since 1970; None if it has not ended.
        tags: By name.
        params: By name.
        metrics: By name, in the order of their steps.
        datasets: What it was given.
        models: What it made or applied.
        files: Paths of its artifacts.
        fetch: From such a path to a file on this disk.
        shown: The one value of each metric that MLflow's pages show, which a store keeps beside all values; empty where
            the run was not read from a store.
    """

    run_id: str
    name: str
    experiment: str
    status: str
    started_ms: int
    ended_ms: int | None
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, tuple[Point, ...]]
    datasets: tuple[DatasetUse, ...] = ()
    models: tuple[ModelUse, ...] = ()
    files: tuple[str, ...] = ()
    fetch: Callable[[str], Path] = field(default=Path, compare=False, repr=False)
    shown: Mapping[str, float] = field(default_factory=dict, compare=False, repr=False)

    @property
    def kind(self) -> str:
        """Training, evaluation, inference, cross-validation; empty for a run that is not Planar's."""
        return self.tags.get("planar.kind", "")

    def latest(self, name: str) -> float | None:
        """A metric's last value."""
        points = self.metrics.get(name)
        return points[-1].value if points else None

    @property
    def keeps_last(self) -> bool:
        """Whether the weights are of a training's last validation, and not of its best."""
        return self.tags.get(KEEPS_LAST) == "true"

    def kept(self, name: str) -> Point | None:
        """A metric at the weights that were kept: its first highest value, or the last."""
        finite = [point for point in self.metrics.get(name, ()) if math.isfinite(point.value)]
        if self.keeps_last:
            return finite[-1] if finite else None
        return max(finite, key=lambda point: (point.value, -point.step)) if finite else None

    def within(self, folder: str, suffix: str = "") -> tuple[str, ...]:
        """The artifacts of a folder."""
        return tuple(
            path for path in self.files if PurePosixPath(path).parent.as_posix() == folder and path.endswith(suffix)
        )

    def json(self, path: str) -> Any:
        """A JSON artifact's content; None if there is none, or it is no JSON."""
        if path not in self.files:
            return None
        try:
            return json.loads(self.fetch(path).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def document(self) -> dict[str, Any]:
        """All but the artifacts, for JSON."""
        return {
            "format": FORMAT,
            "run_id": self.run_id,
            "name": self.name,
            "experiment": self.experiment,
            "status": self.status,
            "started_ms": self.started_ms,
            "ended_ms": self.ended_ms,
            "tags": dict(sorted(self.tags.items())),
            "params": dict(sorted(self.params.items())),
            "metrics": {
                name: [[point.step, _told(point.value), point.time_ms] for point in points]
                for name, points in sorted(self.metrics.items())
            },
            "datasets": [asdict(one) for one in self.datasets],
            "models": [
                {**asdict(one), "metrics": {name: _told(value) for name, value in one.metrics.items()}}
                for one in self.models
            ],
        }

    @classmethod
    def of_document(cls, content: Mapping[str, Any], files: tuple[str, ...], fetch: Callable[[str], Path]) -> RunFacts:
        """What `document` has written.

        Raises: KeyError, TypeError, ValueError: if it is something else.
        """
        if content["format"] != FORMAT:
            raise ValueError(f"the format is {content['format']!r}, expected {FORMAT!r}")
        return cls(
            run_id=str(content["run_id"]),
            name=str(content["name"]),
            experiment=str(content["experiment"]),
            status=str(content["status"]),
            started_ms=int(content["started_ms"]),
            ended_ms=None if content["ended_ms"] is None else int(content["ended_ms"]),
            tags=dict(content["tags"]),
            params=dict(content["params"]),
            metrics={
                str(name): tuple(Point(int(step), float(value), int(time)) for step, value, time in points)
                for name, points in content["metrics"].items()
            },
            datasets=tuple(DatasetUse(**one) for one in content["datasets"]),
            models=tuple(
                ModelUse(**{**one, "metrics": {name: float(value) for name, value in one["metrics"].items()}})
                for one in content["models"]
            ),
            files=files,
            fetch=fetch,
        )


def _told(value: float) -> float | str:
    """A number for JSON, which has no NaN."""
    return value if math.isfinite(value) else str(value)
