"""Work beside work: in order, never much of it at once, and no error lost."""

from __future__ import annotations

import threading

import pytest

from pipeline.dicomweb import Behind, ahead


def test_results_come_in_order_and_one_is_made_ahead() -> None:
    begun: list[int] = []
    taken = []
    for thing, future in ahead(lambda thing: begun.append(thing) or thing * 10, range(6)):
        assert len(begun) <= thing + 2
        taken.append((thing, future.result()))
    assert taken == [(thing, thing * 10) for thing in range(6)]


def test_the_next_one_is_made_while_this_one_is_used() -> None:
    second = threading.Event()

    def work(thing: int) -> None:
        if thing == 1:
            second.set()

    stream = ahead(work, [0, 1])
    next(stream)
    assert second.wait(10)
    assert [thing for thing, _ in stream] == [1]


def test_an_error_is_that_of_its_thing_and_the_others_go_on() -> None:
    def work(thing: int) -> float:
        return 1 / thing

    found = [(thing, type(future.exception())) for thing, future in ahead(work, [1, 0, 2])]
    assert found == [(1, type(None)), (0, ZeroDivisionError), (2, type(None))]


def test_whoever_stops_early_is_not_kept_waiting_by_what_is_left() -> None:
    begun: list[int] = []
    stopped = threading.Event()

    def work(thing: int) -> None:
        begun.append(thing)
        if thing == 1:
            stopped.wait(30)

    stream = ahead(work, range(100), stop=stopped.set)
    next(stream)
    stream.close()
    assert len(begun) <= 2


def test_what_lags_behind_is_done_in_order_and_told_by_whoever_hands_it_over() -> None:
    told: list[tuple[int, object]] = []
    here = threading.get_ident()

    def note(thing: int, future: object) -> None:
        assert threading.get_ident() == here
        told.append((thing, future.exception() or future.result()))  # type: ignore[attr-defined]

    behind = Behind(lambda thing: 10 // thing, note, most=2)
    for thing in (5, 2, 1):
        behind.add(thing)
    assert len(told) >= 1
    behind.finish()
    assert told == [(5, 2), (2, 5), (1, 10)]


def test_an_error_behind_is_told() -> None:
    errors: list[BaseException | None] = []
    behind = Behind(lambda thing: 1 // thing, lambda thing, future: errors.append(future.exception()))
    behind.add(0)
    behind.finish()
    assert [type(one) for one in errors] == [ZeroDivisionError]


def test_what_is_dropped_is_not_begun() -> None:
    go = threading.Event()
    done: list[int] = []
    behind: Behind[int, None] = Behind(lambda thing: go.wait(30) and done.append(thing), lambda thing, future: None)
    behind.add(1)
    behind.add(2)
    go.set()
    behind.drop()
    assert done[:1] == [1]


@pytest.mark.parametrize("things", [[], [1]])
def test_few_things_are_no_trouble(things: list[int]) -> None:
    assert [thing for thing, _ in ahead(str, things)] == things
