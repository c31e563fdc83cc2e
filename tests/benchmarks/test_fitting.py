from __future__ import annotations

import math

import pytest

from benchmarks.nnunet.fitting import SHORTEST_PATCH, WANTED_STEPS, fit_plan


def test_a_plan_that_makes_an_epoch_is_left_alone() -> None:
    fit = fit_plan((512, 512), 12, 2, {"own": 0.125}, 600)
    assert not fit.needed
    assert (fit.coarser, fit.batch, fit.precision, fit.own_steps) == (1.0, 12, "own", 800)


def test_on_few_cores_the_resolution_falls_until_an_epoch_fits() -> None:
    # 0.2 pictures of 512² a second, twice as many in bfloat16: ten steps of the plan in ten minutes.
    fit = fit_plan((512, 512), 12, 2, {"own": 10.0, "bfloat16": 5.0}, 600)
    assert fit.needed
    assert fit.own_steps == 10
    assert (fit.batch, fit.precision) == (4, "bfloat16")
    pictures_at_full_size = 600 / 5.0 * 2
    assert fit.coarser == pytest.approx(math.sqrt(WANTED_STEPS * 4 / pictures_at_full_size), abs=0.05)
    assert WANTED_STEPS <= fit.steps < 1.1 * WANTED_STEPS


def test_a_patch_does_not_become_a_thumbnail() -> None:
    fit = fit_plan((256, 512), 12, 2, {"own": 10.0}, 30)
    assert 512 / fit.coarser == pytest.approx(SHORTEST_PATCH)
    assert fit.steps < WANTED_STEPS


def test_a_small_gain_does_not_change_the_precision() -> None:
    fit = fit_plan((512, 512), 12, 2, {"own": 10.0, "bfloat16": 9.8}, 600)
    assert fit.precision == "own"


def test_time_that_is_left_at_full_resolution_goes_into_the_batch() -> None:
    # Its own plan makes 200 steps of 12: at full resolution an epoch of 9 fits.
    fit = fit_plan((128, 128), 12, 2, {"own": 0.5}, 600)
    assert fit.coarser == 1
    assert fit.batch == 9
    assert fit.steps >= WANTED_STEPS


def test_a_batch_is_never_larger_than_its_own() -> None:
    fit = fit_plan((512, 512), 2, 2, {"own": 4.0, "bfloat16": 2.0}, 600)
    assert fit.batch == 2
