"""An evaluation with its cases predicted elsewhere: here in this process, in place of a cluster."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

from pipeline.bundle import Bundle
from pipeline.tasks import evaluating
from pipeline.tasks.evaluate import evaluate


class OneProcess:
    """What `Cluster` does, without one: what goes to a worker and comes back is pickled."""

    def __enter__(self) -> OneProcess:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def map_in_order(
        self, make: Callable[[], Callable[[Any], Any]], tasks: Iterable[Any], *, when_lost: Callable[[Any], Any]
    ) -> Generator[Any, None, None]:
        function = pickle.loads(pickle.dumps(make))()
        for task in tasks:
            yield pickle.loads(pickle.dumps(function(task)))


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_evaluation_whose_cases_are_predicted_elsewhere_is_the_same_byte_for_byte(
    random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluating, "Cluster", OneProcess)
    monkeypatch.setattr("pipeline.tasks.evaluate.require_ray", lambda: None)
    for engine in ("local", "ray"):
        out = tmp_path / engine
        evaluate(str(random_bundle.root), phantom_datalist, "training", out, tracking=False, engine=engine)
    ours, theirs = files_in(tmp_path / "ray"), files_in(tmp_path / "local")
    assert ours.keys() == theirs.keys()
    assert {"metrics.json", "cases.csv"} < ours.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
