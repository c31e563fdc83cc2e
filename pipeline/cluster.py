"""Work spread over a Ray cluster: warm workers, results in order, what a lost worker had done again."""

from __future__ import annotations

import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from pipeline.cores import asked_threads
from pipeline.errors import ClusterUnreachable, MissingExtra

__all__ = ["ENGINES", "Cluster", "require_ray"]

ENGINES = ("local", "ray")
Task = TypeVar("Task")
Result = TypeVar("Result")

# Tasks that a worker has: one that it does, and one that is there when it is done.
TASKS_A_WORKER = 2
# Results that wait for an earlier one, for each worker.
AHEAD = 8
# Settings of this process that workers get. A cluster keeps what it is told: passwords and keys stay here.
GIVEN = ("PLANAR_CACHE", "PLANAR_STATE", "PLANAR_TRACEBACK")
PATIENCE_S = 5.0  # for the other side to take a connection
STARTING_S = 300.0  # for the first worker to begin, in a cluster that others use too
# Workers that may be lost over one task before it is given up. After the first it has a worker to itself.
MOST_LOST = 3


def require_ray() -> None:
    """Raise MissingExtra unless Ray is installed."""
    if find_spec("ray") is None:
        raise MissingExtra("--engine ray needs Ray. In Planar's checkout: pip install -c constraints.txt '.[ray]'")


class Cluster:
    """The cluster that RAY_ADDRESS names, or this process is in, or one of this machine's cores.

    Workers are processes with one core each, or as many as OMP_NUM_THREADS says (and a GPU each, where the cluster has
    some): they compute with as many threads, on whose number the last bits of a network's sums depend. They work in
    this process's working folder: files must lie under the same paths on all machines, as on a network drive.

    Args:
        workers: As many at most; as many as there are free cores, or GPUs, by default.
        gpus: Each worker has a GPU of its own, where machines of the cluster have any.

    Raises:
        MissingExtra: without Ray.
        ClusterUnreachable: if nothing answers at RAY_ADDRESS, or no machine there has as many cores as a worker needs.
    """

    def __init__(self, workers: int | None = None, *, gpus: bool = True) -> None:
        require_ray()
        import ray

        self._own = not ray.is_initialized()
        alone = _start_or_join() if self._own else False
        threads = asked_threads() or 1
        machines = [machine["Resources"] for machine in ray.nodes() if machine["Alive"]]
        gpus = gpus and any(machine.get("GPU", 0) >= 1 for machine in machines)
        self._options: dict[str, Any] = {"num_cpus": threads, "max_restarts": 0, "max_task_retries": 0}
        if gpus:
            self._options["num_gpus"] = 1
        room = sum(_workers_on(machine, threads, gpus) for machine in machines)
        if not room:
            if self._own:
                ray.shutdown()
            fit = [machine for machine in machines if not gpus or machine.get("GPU", 0) >= 1]
            most = max((int(machine.get("CPU", 0)) for machine in fit), default=0)
            raise ClusterUnreachable(
                f"No machine of the Ray cluster has {threads} core{'s' * (threads > 1)}{' and a GPU' * gpus} for a "
                f"worker (the largest of them has {most} cores). Set OMP_NUM_THREADS to {max(most, 1)} or fewer."
            )
        # What others of a shared cluster use is not waited for, but for a first worker.
        free = room if alone else _workers_on(ray.available_resources(), threads, gpus)
        self.workers = max(1, min(room, free, workers or room))

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the cluster; one of this process's own ends."""
        if self._own:
            import ray

            ray.shutdown()

    def map_in_order(
        self,
        make: Callable[[], Callable[[Task], Result]],
        tasks: Iterable[Task],
        *,
        when_lost: Callable[[Task], Result],
    ) -> Generator[Result, None, None]:
        """Yield what workers make of each task, in the order of the tasks; a few are under way at once.

        A worker that dies, or whose machine does, is replaced as soon as there is room for another; its tasks are done
        again by whoever is free first.

        Args:
            make: Makes a worker's function, once a worker; both are pickled.
            tasks: What to call it with.
            when_lost: The result for a task over which several workers were lost.
        Raises: ClusterUnreachable: if no worker can begin.
        """
        turns = _Turns(self.workers, self._options, make)
        try:
            yield from turns.run(iter(tasks), when_lost)
        finally:
            turns.end()


def _workers_on(resources: Mapping[str, float], threads: int, gpus: bool) -> int:
    """Workers that there is room for."""
    by_cores = int(resources.get("CPU", 0)) // threads
    return min(by_cores, int(resources.get("GPU", 0))) if gpus else by_cores


def _start_or_join() -> bool:
    """Whether the cluster is one of this process's own."""
    import ray

    address = os.environ.get("RAY_ADDRESS", "")
    # A cluster of this machine's own listens to nobody else.
    alone = {} if address not in {"", "local"} else {"_node_ip_address": "127.0.0.1"}
    try:
        _require_answer(address)
        ray.init(logging_level="ERROR", log_to_driver=False, include_dashboard=False, **alone)
    except (OSError, RuntimeError, ValueError) as error:
        if not address:
            said = "Ray cannot start a cluster on this machine"
        else:
            said = f"No Ray cluster answers at RAY_ADDRESS={address}: start one there (ray start --head), or unset it"
        reason = " ".join(str(error).split())[:160]
        raise ClusterUnreachable(f"{said} ({reason}).") from error
    return bool(alone)


def _require_answer(address: str) -> None:
    """Raise OSError if nobody listens at `host:port`: Ray itself would try that for minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_S).close()


class _Worker:
    """In a process of the cluster."""

    def __init__(self, folder: str, settings: dict[str, str], make: Callable[[], Callable[[Any], Any]]) -> None:
        os.environ |= settings
        if "torch" in sys.modules:  # what was pickled may have brought it along, before it could read that
            sys.modules["torch"].set_num_threads(int(settings["OMP_NUM_THREADS"]))
        os.chdir(folder)  # what a user named is looked for from where the command was given
        self._make = make

    def is_there(self) -> None:
        """Answered once it has begun."""

    def do(self, task: Any) -> Any:
        # Made with the first task: what fails there is then an error of that, and not a worker that is lost.
        return self._function(task)

    @cached_property
    def _function(self) -> Callable[[Any], Any]:
        return self._make()


class _Turns:
    """The tasks under way: which worker has which."""

    def __init__(self, workers: int, options: dict[str, Any], make: Callable[[], Any]) -> None:
        import ray

        settings = {name: os.environ[name] for name in GIVEN if name in os.environ}
        settings["OMP_NUM_THREADS"] = str(options["num_cpus"])
        arguments = (str(Path.cwd()), settings, make)
        remote = ray.remote(_Worker).options(**options)
        self._begin = lambda: remote.remote(*arguments)
        self._actors: list[Any] = [None] * workers
        # Workers that Ray has not begun yet, by the reference that says so: without room it may never do.
        self._awaited: dict[Any, int] = {}
        self._there: set[int] = set()
        self._stillborn = 0  # workers in a row that were lost before they began
        self._load: list[set[int]] = [set() for _ in range(workers)]
        self._alone: set[int] = set()  # workers that have one task and get no other
        self._under_way: dict[Any, tuple[int, int]] = {}  # reference → task, worker
        self._tasks: dict[int, Any] = {}
        self._lost: dict[int, int] = {}
        self._again: deque[int] = deque()
        self._done: dict[int, Any] = {}
        for worker in range(workers):
            self._start(worker)

    def run(self, tasks: Any, when_lost: Callable[[Any], Any]) -> Generator[Any, None, None]:
        number, wanted, more = 0, 0, True
        while True:
            for task in self._again_first():
                self._send(task, alone=True)
            while more and (worker := self._free()) is not None and number - wanted < AHEAD * len(self._actors):
                try:
                    self._tasks[number] = next(tasks)
                except StopIteration:
                    more = False
                    break
                self._send(number, worker)
                number += 1
            while wanted in self._done:
                yield self._done.pop(wanted)
                wanted += 1
            if not more and wanted == number:
                return
            self._wait(when_lost)

    def end(self) -> None:
        """Let the workers go."""
        import ray

        for actor in self._actors:
            with suppress(Exception):
                ray.kill(actor)

    def _again_first(self) -> list[int]:
        """Tasks to be done again for which a worker is idle."""
        idle = sum(not self._load[worker] for worker in self._there)
        return [self._again.popleft() for _ in range(min(idle, len(self._again)))]

    def _free(self) -> int | None:
        """The least busy worker that may get one more task."""
        if self._again:
            return None  # workers run dry, so that one of them is idle
        open_ = [k for k in sorted(self._there - self._alone) if len(self._load[k]) < TASKS_A_WORKER]
        return min(open_, key=lambda k: len(self._load[k]), default=None)

    def _send(self, task: int, worker: int | None = None, *, alone: bool = False) -> None:
        if worker is None:
            worker = next(k for k in sorted(self._there) if not self._load[k])
        if alone:
            self._alone.add(worker)
        self._load[worker].add(task)
        reference = self._actors[worker].do.remote(self._tasks[task])
        self._under_way[reference] = (task, worker)

    def _wait(self, when_lost: Callable[[Any], Any]) -> None:
        import ray
        from ray.exceptions import RayError, RayTaskError

        waited_for = [*self._under_way, *self._awaited]
        found, _ = ray.wait(waited_for, num_returns=1, timeout=None if self._there else STARTING_S)
        if not found:
            raise ClusterUnreachable(
                f"The Ray cluster had no room for a worker within {STARTING_S:.0f} s. Try again when others are done."
            )
        (reference,) = found
        if reference in self._awaited:
            self._welcome(reference)
            return
        task, worker = self._under_way.pop(reference)
        self._load[worker].discard(task)
        self._alone.discard(worker)
        try:
            self._done[task] = ray.get(reference)
        except RayTaskError as error:
            raise error.cause if isinstance(getattr(error, "cause", None), Exception) else error  # noqa: B904
        except RayError:
            # With a machine its results are lost as well, those of tasks that were done.
            self._replace(worker)
            self._lost[task] = self._lost.get(task, 0) + 1
            if self._lost[task] < MOST_LOST:
                self._again.append(task)
                return
            self._done[task] = when_lost(self._tasks[task])
        self._tasks.pop(task, None)

    def _start(self, worker: int) -> None:
        self._there.discard(worker)
        self._actors[worker] = self._begin()
        self._awaited[self._actors[worker].is_there.remote()] = worker

    def _welcome(self, reference: Any) -> None:
        """Give work from now on to a worker that has begun, or begin another."""
        import ray
        from ray.exceptions import RayActorError, RayError

        worker = self._awaited.pop(reference)
        try:
            ray.get(reference)
        except RayError as error:
            self._stillborn += 1
            failed = isinstance(error, RayActorError) and error.actor_init_failed
            if failed or self._stillborn >= MOST_LOST:
                raise ClusterUnreachable(f"A worker of the Ray cluster cannot begin: {_last_line(error)}") from error
            self._start(worker)
            return
        self._stillborn = 0
        self._there.add(worker)

    def _replace(self, worker: int) -> None:
        """A new worker for one that is lost; what else the old one had comes back as lost too."""
        import ray

        with suppress(Exception):  # one that only could not be reached
            ray.kill(self._actors[worker])
        others = [(ref, task) for ref, (task, its) in self._under_way.items() if its == worker]
        for reference, task in others:
            del self._under_way[reference]
            self._again.append(task)
        self._load[worker] = set()
        self._start(worker)


def _last_line(error: BaseException) -> str:
    """What an error on another machine comes to, without its traceback."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
