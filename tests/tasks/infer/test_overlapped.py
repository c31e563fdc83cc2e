"""Reading, network and writing beside one another: in order, bounded, and with the same results as in turn."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.tasks.infer.overlapped import overlapped
from pipeline.tasks.infer.pace import Pace, pace_for
from pipeline.tasks.infer.prediction import Prediction
from pipeline.tasks.infer.results import Written
from pipeline.tasks.infer.segmented import Segmented
from pipeline.tasks.infer.sources import Source
from pipeline.tasks.infer.working import Done

SLOW = Pace(pictures=1, sources=3, readers=1)
# As on a GPU.
WIDE = Pace(pictures=4, sources=12, readers=3)
# As on a CPU with several cores.
SEVERAL = Pace(pictures=1, sources=7, readers=1, computers=3, threads=1)


@dataclass(frozen=True, eq=False)
class Film(Source):
    """A source whose picture is a number, of so many bytes."""

    size: int = 10

    def picture(self) -> Any:
        return SimpleNamespace(array=np.zeros(self.size, np.uint8), warnings=())


def films(count: int, slices: int = 1, size: int = 10) -> list[Source]:
    return [Film(Path(f"{n}"), [f"{n}#{k}" for k in range(slices)], None, f"{n}", size=size) for n in range(count)]


@dataclass
class Stub:
    """A worker whose network knows the names of its pictures, and notes what goes on.

    Attributes:
        on_read: Called with a slice's name in the thread that reads.
        on_predict: Called with the names of a batch.
        on_write: Called with the name of a source.
        batches: The batches that were predicted.
        widest: The most sources that were begun and not given out.
    """

    on_read: Callable[[str], None] = lambda name: None
    on_predict: Callable[[Sequence[str]], None] = lambda names: None
    on_write: Callable[[str], None] = lambda name: None
    batches: list[list[str]] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)
    widest: int = 0
    given: int = 0
    gate: None = None

    def __post_init__(self) -> None:
        self.job = SimpleNamespace(wanted=SimpleNamespace(all_probabilities=False))
        self.chosen = SimpleNamespace(predict=self, watch=None)

    def __deepcopy__(self, memo: dict[int, Any]) -> Stub:
        return self

    def images_of(self, source: Source) -> None:
        """No result refers to any."""

    def read(self, name: str) -> str:
        self.begun.add(name.partition("#")[0])
        self.widest = max(self.widest, len(self.begun) - self.given)
        self.on_read(name)
        return name

    def predict(self, cases: Sequence[str], *, probabilities: bool = False) -> Iterator[Prediction]:
        self.on_predict(cases)
        self.batches.append(list(cases))
        for name in cases:
            yield Prediction(np.full((2, 2), int(name.partition("#")[2]), np.uint8), None, {})

    def written(self, result: Segmented, verdicts: Sequence[Any], aside: Path) -> Done:
        self.on_write(result.source.stem)
        slices = result.mask[0, 0] if result.mask.ndim == 3 else result.mask[:1, 0]
        return Done(written=Written(aside, (), (), ()), rows=[{"slices": slices.tolist()}])

    def results(self, sources: Sequence[Source], aside: Path, pace: Pace, **more: Any) -> list[tuple[str, Done]]:
        found = []
        report = more.get("report", lambda source, slices: None)
        for source, done in overlapped(self, sources, aside, report, pace):  # type: ignore[arg-type]
            self.given += 1
            found.append((source.stem, done))
            more.get("after", lambda source: None)(source)
        return found


def test_the_next_film_is_read_and_the_last_one_written_while_the_network_computes(tmp_path: Path) -> None:
    read, written = {str(n): threading.Event() for n in range(4)}, {str(n): threading.Event() for n in range(4)}
    seen = []

    def network(names: Sequence[str]) -> None:
        number = int(names[0].partition("#")[0])
        if 0 < number < 3:  # the first one's size is waited for
            seen.append(read[str(number + 1)].wait(30) and written[str(number - 1)].wait(30))

    worker = Stub(lambda name: read[name.partition("#")[0]].set(), network, lambda name: written[name].set())
    found = worker.results(films(4), tmp_path, SLOW)
    assert seen == [True, True]
    assert [name for name, _ in found] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("pace", [SLOW, WIDE, SEVERAL])
def test_results_come_in_the_order_of_the_sources_and_few_are_under_way(tmp_path: Path, pace: Pace) -> None:
    worker = Stub(on_write=lambda name: time.sleep(0.002 * (int(name) % 3)))
    found = worker.results(films(40), tmp_path, pace)
    assert [name for name, _ in found] == [str(n) for n in range(40)]
    assert 1 < worker.widest <= pace.sources
    assert not any(tmp_path.iterdir())


def test_what_is_large_is_not_read_far_ahead(tmp_path: Path) -> None:
    size = 1000  # a picture counts three times: as it is kept, as it is written of, and its mask
    one, two = Stub(), Stub()
    one.results(films(8, size=size), tmp_path / "a", replace(WIDE, room=5 * size))
    two.results(films(8, size=size), tmp_path / "b", replace(WIDE, room=7 * size))
    assert (one.widest, two.widest) == (1, 2)


def test_the_slices_of_a_volume_come_behind_one_another(tmp_path: Path) -> None:
    for pace in (SLOW, WIDE, SEVERAL):
        worker = Stub()
        found = worker.results(films(3, slices=21), tmp_path, pace)
        assert [done.rows for _, done in found] == [[{"slices": list(range(21))}]] * 3
        assert max(map(len, worker.batches)) == 8


@pytest.mark.parametrize("pace", [WIDE, replace(WIDE, sources=6)])
def test_films_of_several_sources_go_through_the_network_together_however_long_each_takes(
    tmp_path: Path, pace: Pace
) -> None:
    rng = np.random.default_rng(0)
    for delays in rng.uniform(0, 0.01, (3, 2, 10)):
        worker = Stub(
            on_read=lambda name, d=delays[0]: time.sleep(d[int(name[0])]),  # type: ignore[misc]
            on_write=lambda name, d=delays[1]: time.sleep(d[int(name[0])]),  # type: ignore[misc]
        )
        worker.results(films(10), tmp_path, pace)
        assert [len(batch) for batch in worker.batches] == [4, 4, 2]


@pytest.mark.parametrize("pace", [SLOW, WIDE, SEVERAL])
@pytest.mark.parametrize("where", ["on_read", "on_predict", "on_write"])
def test_a_bad_film_among_others_is_refused_alone(tmp_path: Path, pace: Pace, where: str) -> None:
    def fails(what: str | Sequence[str]) -> None:
        if any(name.startswith("5") for name in ([what] if isinstance(what, str) else what)):
            raise ValueError("5: is bad")

    found = Stub(**{where: fails}).results(films(8), tmp_path, pace)  # type: ignore[arg-type]
    assert {name: done.refusal for name, done in found if done.refusal} == {"5": "5: is bad"}
    assert [name for name, done in found if done.written is not None] == list("0123467")


FULL = (torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("CUDA error: out of memory"))


@pytest.mark.parametrize("full", FULL)
def test_where_memory_does_not_suffice_fewer_pictures_are_predicted_together(tmp_path: Path, full: Exception) -> None:
    tried = []

    def network(names: Sequence[str]) -> None:
        tried.append(len(names))
        if len(names) > 2:
            raise full

    found = Stub(on_predict=network).results(films(10), tmp_path, WIDE)
    assert not any(done.refusal for _, done in found)
    assert tried == [4, 2, 2, 2, 2, 2]


def test_a_film_for_which_there_is_no_memory_at_all_is_refused(tmp_path: Path) -> None:
    def network(names: Sequence[str]) -> None:
        if "3#0" in names:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    found = Stub(on_predict=network).results(films(6), tmp_path, WIDE)
    assert {name: done.refusal for name, done in found if done.refusal} == {"3": "3: CUDA out of memory."}


@pytest.mark.parametrize("pace", [SLOW, WIDE, SEVERAL])
def test_progress_is_told_of_one_source_after_the_other(tmp_path: Path, pace: Pace) -> None:
    told: list[tuple[str, int | str]] = []
    Stub().results(
        films(3, slices=9),
        tmp_path,
        pace,
        report=lambda source, slices: told.append((source.stem, slices)),
        after=lambda source: told.append((source.stem, "given")),
    )
    assert told == [(str(n), what) for n in range(3) for what in (8, 9, "given")]


@pytest.mark.parametrize("where", ["on_read", "on_write"])
def test_a_full_disk_ends_it_where_its_turn_comes(tmp_path: Path, where: str) -> None:
    def full(name: str) -> None:
        if name.startswith("2"):
            raise OSError(errno.ENOSPC, "No space left on device", name)

    given: list[str] = []
    worker = Stub(**{where: full})  # type: ignore[arg-type]
    with pytest.raises(OSError, match="No space left"):
        worker.results(films(6), tmp_path, WIDE, after=lambda source: given.append(source.stem))
    assert given == ["0", "1"]


def test_whoever_is_interrupted_leaves_no_thread_behind_that_writes(tmp_path: Path) -> None:
    writing, go = threading.Event(), threading.Event()
    done: list[str] = []

    def write(name: str) -> None:
        writing.set()
        go.wait(30)
        done.append(name)

    def network(names: Sequence[str]) -> None:
        if names[0].startswith("1"):
            assert writing.wait(30)
            threading.Timer(0.05, go.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Stub(on_predict=network, on_write=write).results(films(6), tmp_path, SLOW)
    assert done == ["0"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("reading", "writing"))]


def test_a_source_without_slices_is_refused(tmp_path: Path) -> None:
    found = Stub().results([*films(1), *films(1, slices=0), *films(1)], tmp_path, SLOW)
    assert [bool(done.refusal) for _, done in found] == [False, True, False]
    assert "has no slices" in found[1][1].refusal


def test_a_gpu_gets_batches_and_each_core_of_a_cpu_a_film(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = pace_for(SimpleNamespace(device=torch.device("cuda")))
    assert pace_for(object()) == pace_for(SimpleNamespace(device=torch.device("cpu")))
    assert pace_for(object()).pictures == 1 < gpu.pictures < gpu.sources
    for threads, computers, each in (("1", 1, 1), ("4", 4, 1), ("32", 8, 4)):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        cpu = pace_for(object())
        assert (cpu.computers, cpu.threads) == (computers, each)
        assert cpu.sources > cpu.computers


def test_what_cannot_be_copied_is_computed_by_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(self: Stub, memo: dict[int, Any]) -> Stub:
        raise TypeError("cannot pickle this network")

    monkeypatch.setattr(Stub, "__deepcopy__", refuses)
    threads = set()
    found = Stub(on_predict=lambda names: threads.add(threading.get_ident())).results(films(4), tmp_path, SEVERAL)
    assert [name for name, _ in found] == [str(n) for n in range(4)]
    assert threads == {threading.get_ident()}


def test_films_are_computed_at_the_same_time_and_threads_are_given_back(tmp_path: Path) -> None:
    together, threads = threading.Barrier(2, timeout=30), []

    def network(names: Sequence[str]) -> None:
        threads.append(torch.get_num_threads())
        together.wait()

    before = torch.get_num_threads()
    found = Stub(on_predict=network).results(films(6), tmp_path, replace(SEVERAL, computers=2))
    assert [name for name, _ in found] == [str(n) for n in range(6)]
    assert threads == [1] * 6
    assert torch.get_num_threads() == before
