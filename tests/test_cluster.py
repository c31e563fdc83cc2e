"""Work over a Ray cluster of two workers, of which one is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from pipeline import cluster as cluster_module
from pipeline.cluster import Cluster
from pipeline.errors import ClusterUnreachable

pytestmark = pytest.mark.slow
pytest.importorskip("ray", reason='needs Ray: pip install "planar[ray]"')


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no worker can import a module of tests
    ray.init(
        num_cpus=2, logging_level="ERROR", log_to_driver=False, include_dashboard=False, _node_ip_address="127.0.0.1"
    )
    try:
        with Cluster() as found:
            yield found
    finally:
        ray.shutdown()


def _setting(name: str) -> str | None:
    """Of the worker: `os.environ` itself would be pickled, with what it holds here."""
    import os as of_the_worker

    return of_the_worker.environ.get(name)


def test_results_come_in_the_order_of_the_tasks(cluster: Cluster) -> None:
    assert cluster.workers == 2
    found = cluster.map_in_order(partial(partial, pow, 2), range(40), when_lost=int)
    assert list(found) == [2**number for number in range(40)]


def test_what_a_lost_worker_had_is_done_again(cluster: Cluster, tmp_path: Path) -> None:
    made = partial(_Dies, tmp_path, on=7, times=1)
    found = list(cluster.map_in_order(made, range(20), when_lost=lambda task: -1))
    assert found == [number + 100 for number in range(20)]
    assert len(list(tmp_path.iterdir())) == 1, "a worker was lost"


def test_a_task_that_costs_worker_after_worker_is_given_up_and_no_other(cluster: Cluster, tmp_path: Path) -> None:
    made = partial(_Dies, tmp_path, on=7, times=99)
    found = list(cluster.map_in_order(made, range(20), when_lost=lambda task: -task))
    assert found == [-7 if number == 7 else number + 100 for number in range(20)]
    # What a worker dies of is not known where it had two tasks: the first death may count against the other one.
    assert len(list(tmp_path.iterdir())) in (3, 4)


def test_workers_have_as_many_cores_as_they_compute_with(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with Cluster() as wide:
        assert (cluster.workers, wide.workers) == (2, 1)
        threads = list(wide.map_in_order(partial(partial, _setting), ["OMP_NUM_THREADS"], when_lost=str))
    assert threads == ["2"]


def test_passwords_and_keys_are_not_told_to_the_cluster(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["PLANAR_CACHE", "PLANAR_SUBJECT_KEY", "PLANAR_DICOMWEB_PASSWORD", "MLFLOW_TRACKING_PASSWORD"]
    for name in names:
        monkeypatch.setenv(name, "told")
    found = list(cluster.map_in_order(partial(partial, _setting), names, when_lost=str))
    assert found == ["told", None, None, None]


def test_workers_that_no_machine_has_room_for_are_told(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with pytest.raises(ClusterUnreachable, match=r"has 3 cores .*largest of them has 2 .*OMP_NUM_THREADS to 2 "):
        Cluster()


def test_where_no_other_takes_a_lost_workers_place_the_rest_do_its_tasks(cluster: Cluster, tmp_path: Path) -> None:
    """As where a machine is lost: what waits in line for a core gets the one that becomes free."""
    import ray

    others: list[object] = []

    def tasks() -> Iterator[int]:
        for number in range(20):
            if number == 4:  # both workers have begun: this one gets a core when one of them is lost
                others.append(ray.remote(_Sits).options(num_cpus=1).remote())
            yield number

    try:
        found = list(cluster.map_in_order(partial(_Dies, tmp_path, on=7, times=1), tasks(), when_lost=lambda task: -1))
    finally:
        for actor in others:
            ray.kill(actor)
    assert found == [number + 100 for number in range(20)]
    assert len(list(tmp_path.iterdir())) == 1, "a worker was lost"


def test_a_cluster_without_room_is_told_after_a_while(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    sits = [ray.remote(_Sits).options(num_cpus=1).remote() for _ in range(2)]
    try:
        ray.get([actor.__ray_ready__.remote() for actor in sits])
        monkeypatch.setattr(cluster_module, "STARTING_S", 2.0)
        with pytest.raises(ClusterUnreachable, match="no room for a worker within 2 s"):
            list(cluster.map_in_order(_Divides, [1], when_lost=float))
    finally:
        for actor in sits:
            ray.kill(actor)


def test_an_error_of_the_function_is_raised_here(cluster: Cluster) -> None:
    with pytest.raises(ZeroDivisionError):
        list(cluster.map_in_order(_Divides, [1, 0, 2], when_lost=float))


def test_a_worker_that_cannot_begin_ends_it_in_one_line(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a machine where the working folder of whoever gave the command is not there.
    monkeypatch.setattr(Path, "cwd", lambda: tmp_path / "on another machine")
    with pytest.raises(ClusterUnreachable, match=r"cannot begin: .*on another machine") as error:
        list(cluster.map_in_order(_Divides, [1], when_lost=float))
    assert "\n" not in str(error.value)


def test_a_cluster_that_does_not_answer_is_told_in_one_line() -> None:
    script = (
        "from pipeline.cluster import Cluster\n"
        "from pipeline.errors import ClusterUnreachable\n"
        "try: Cluster()\n"
        "except ClusterUnreachable as error: print(error)"
    )
    settings = os.environ | {"RAY_ADDRESS": "127.0.0.1:1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=settings)
    assert done.stdout.startswith("No Ray cluster answers at RAY_ADDRESS=127.0.0.1:1: start one there")
    assert done.stdout.count("\n") == 1


class _Sits:
    """Has a core, and does nothing."""


class _Divides:
    def __call__(self, number: int) -> float:
        return 1 / number


class _Dies:
    """Ends its process over one task, the first so many times."""

    def __init__(self, folder: Path, on: int, times: int) -> None:
        self.folder, self.on, self.times = folder, on, times

    def __call__(self, number: int) -> int:
        if number == self.on and len(list(self.folder.iterdir())) < self.times:
            (self.folder / f"{os.getpid()}").touch()
            os._exit(1)
        return number + 100
