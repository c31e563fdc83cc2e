"""What a record costs, from times that are known."""

from __future__ import annotations

import pytest

from benchmarks.tracking.overhead import in_turns, markdown, overhead_of


def times(tracked: bool, epoch_s: float, before_s: float = 10.0, after_s: float = 1.0, epochs: int = 4) -> dict:
    loop = epochs * epoch_s
    return {
        "tracked": tracked,
        "before_s": before_s,
        "epochs_s": [epoch_s] * epochs,
        "loop_s": loop,
        "loop_cpu_s": 2 * loop,
        "after_s": after_s,
        "whole_s": before_s + loop + after_s,
        "whole_cpu_s": 2 * loop + 5,
    }


def test_a_machine_that_slows_down_does_so_for_both_alike() -> None:
    turns = in_turns(4)
    assert turns == [False, True, True, False] * 2
    positions = [sum(at for at, tracked in enumerate(turns) if tracked is wanted) for wanted in (True, False)]
    assert positions[0] == positions[1]


def test_the_cost_of_an_epoch_and_of_both_ends_makes_that_of_the_whole_training() -> None:
    # 1 % an epoch, 2 s more at the beginning and 3 s at the end.
    trials = [
        times(tracked, 10.1 if tracked else 10.0, 12.0 if tracked else 10.0, 4.0 if tracked else 1.0)
        for tracked in in_turns(2)
    ]
    found = overhead_of(trials, planned_epochs=100)
    assert found["measured"]["loop_s"]["ratio"] == pytest.approx(1.01)
    assert found["measured"]["loop_s"]["ratio_of_pairs"]["median"] == pytest.approx(1.01)
    assert found["ends"] == pytest.approx({"before_s": 2.0, "after_s": 3.0})
    assert found["planned"]["without_s"] == pytest.approx(1011.0)
    assert found["planned"]["with_s"] == pytest.approx(1026.0)
    assert found["planned"]["ratio"] == pytest.approx(1026 / 1011)


def test_one_training_beside_another_programme_does_not_change_the_medians() -> None:
    trials = [times(tracked, 10.2 if tracked else 10.0) for tracked in in_turns(4)]
    trials[5] = times(True, 30.0)
    loop = overhead_of(trials, 100)["measured"]["loop_s"]
    assert loop["ratio"] == pytest.approx(1.02)
    assert loop["ratio_of_pairs"] == pytest.approx({"median": 1.02, "min": 1.02, "max": 3.0})


def test_trials_that_are_not_in_turns_are_refused() -> None:
    with pytest.raises(ValueError, match="one training with and one without"):
        overhead_of([times(True, 10.0), times(True, 10.0)], 100)


def test_the_table_says_the_ratio_and_what_the_ends_take() -> None:
    trials = [times(tracked, 10.1 if tracked else 10.0) for tracked in in_turns(2)]
    facts = {"bundle": "lungs", "cases": 359, "epochs": 4, "repeats": 2, "machine": {"processor": "a CPU", "cores": 2}}
    text = markdown({**facts, "overhead": overhead_of(trials, 116)})
    assert (
        "| epochs, wall clock | 40.00 (40.00–40.00) | 40.40 (40.40–40.40) | 1.0100 | 1.0100 (1.0100–1.0100) |" in text
    )
    assert "In the 116 epochs" in text and "+0.99 %" in text
