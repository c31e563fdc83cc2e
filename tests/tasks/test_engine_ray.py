"""`--engine ray` on a cluster of two workers of which one is killed, beside the same commands without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.bundle import Bundle
from pipeline.cluster import Cluster
from pipeline.errors import InvalidOption
from pipeline.tasks.evaluate import evaluate
from pipeline.tasks.index import IndexOptions, LabelOptions, SubjectOptions, index_set
from pipeline.tasks.infer import infer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
pytest.importorskip("ray", reason='needs Ray: pip install "planar[ray]"')


@pytest.fixture(scope="module", autouse=True)
def two_workers() -> Iterator[None]:
    import ray

    ray.init(
        num_cpus=2, logging_level="ERROR", log_to_driver=False, include_dashboard=False, _node_ip_address="127.0.0.1"
    )
    try:
        with Cluster() as cluster:
            assert cluster.workers == 2
        yield
    finally:
        ray.shutdown()


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def kill_one_worker() -> int:
    """Of this process's own cluster; its id."""
    ours = [one for one in psutil.Process().children(recursive=True) if one.name().startswith("ray::_Worker")]
    assert ours
    ours[0].kill()
    return ours[0].pid


def test_masks_are_the_same_though_a_worker_is_lost(
    random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path
) -> None:
    films = phantom_datalist.parent / "phantom" / "images"
    (tmp_path / "no_film.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    inputs = [str(films), str(tmp_path / "no_film.png")]
    wanted = {"overlay": True, "statistics": True, "probabilities": True}
    alone = infer(str(random_bundle.root), inputs, tmp_path / "alone", **wanted)  # type: ignore[arg-type]
    killed: list[int] = []
    told: list[tuple[int, str]] = []

    def watch(done: int, total: int, name: str) -> None:
        told.append((done, name))
        if done == 5 and not killed:
            killed.append(kill_one_worker())

    spread = infer(str(random_bundle.root), inputs, tmp_path / "spread", engine="ray", on_progress=watch, **wanted)  # type: ignore[arg-type]
    assert killed
    assert spread.segmented == alone.segmented == 16
    assert [one.file for one in spread.refused] == [one.file for one in alone.refused] == [inputs[1]]
    assert [done for done, _ in told] == [*range(1, 18)] or [done for done, _ in told] == [*range(1, 17)]
    ours, theirs = files_in(tmp_path / "spread"), files_in(tmp_path / "alone")
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_the_datalist_is_the_same(phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = phantom_datalist.parent / "phantom"
    monkeypatch.setenv("PLANAR_SUBJECT_KEY", "one key for both")
    for engine in ("local", "ray"):
        options = IndexOptions(
            labels=LabelOptions(class_names=("lung",)),
            subjects=SubjectOptions(column=f"{folder / 'index.csv'}:subject"),
            workers=1 if engine == "local" else None,
            engine=engine,
        )
        index_set(folder / "images", [folder / "masks"], tmp_path / f"{engine}.json", options)
    assert (tmp_path / "ray.json").read_bytes() == (tmp_path / "local.json").read_bytes()


def test_an_evaluation_is_the_same(random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path) -> None:
    for engine in ("local", "ray"):
        evaluate(
            str(random_bundle.root), phantom_datalist, "training", tmp_path / engine, tracking=False, engine=engine
        )
    ours, theirs = files_in(tmp_path / "ray"), files_in(tmp_path / "local")
    assert ours.keys() == theirs.keys()
    assert sum(name.endswith("_mask.png") or name.startswith("masks") for name in ours) > 5
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_another_engine_is_none(random_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"no engine 'slurm'\. Choose from local, ray"):
        infer(str(random_bundle.root), ["film.png"], tmp_path / "out", engine="slurm")
