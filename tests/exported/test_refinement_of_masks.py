"""What a program's run does to its masks beside what the bundle's own transforms do."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.transforms import (
    Activationsd,
    AsDiscreted,
    Compose,
    FillHolesd,
    Identityd,
    Invertd,
    KeepLargestConnectedComponentd,
    Transform,
)

from pipeline.errors import InvalidBundle
from pipeline.exported import refined
from pipeline.exported.finishing import refinement_in
from pipeline.exported.refining import step_from, step_record
from pipeline.planning.refinement import Regions, choose_refinement

LABELS = ("background", "rim", "cup", "vessel")
UNIONS = {"disc": ("rim", "cup")}


def finish(*refining: Transform) -> list[Any]:
    """A bundle's post-processing."""
    back = Invertd("pred", Compose([Identityd("image")]), orig_keys="image", nearest_interp=False)
    return [Activationsd("pred", softmax=True), back, AsDiscreted("pred", argmax=True), Compose(list(refining))]


def random_mask(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = np.kron(rng.integers(0, 4, (12, 16)), np.ones((5, 5), int))
    return np.where(rng.random(mask.shape) < 0.1, rng.integers(0, 4, mask.shape), mask).astype(np.uint8)


@pytest.mark.parametrize(
    "regions",
    [
        {"disc": Regions(most=1), "cup": Regions(most=1)},
        {"disc": Regions(most=2, least=0.02), "vessel": Regions(least=0.004)},
        {"cup": Regions(most=3), "rim": Regions(most=1, least=0.01), "vessel": Regions(most=2)},
        {},
    ],
    ids=["disc and cup", "least sizes", "each class", "nothing"],
)
def test_what_a_task_says_of_regions_is_done_as_the_bundle_does_it(regions: dict[str, Regions]) -> None:
    config = [dict(one.step) for one in choose_refinement(regions, LABELS, UNIONS)]
    transforms = ConfigParser({"refinement": config}).get_parsed_content("refinement")
    steps = refinement_in(finish(*transforms))
    assert len(steps) == len(config)
    for seed in range(6):
        mask = random_mask(seed)
        case = {"pred": torch.from_numpy(mask[np.newaxis].copy())}
        theirs = np.asarray(Compose(transforms)(case)["pred"])[0]
        assert bool(config) == bool((theirs != mask).any())
        np.testing.assert_array_equal(refined(mask, steps), theirs)


def test_steps_go_through_the_file_beside_the_program() -> None:
    transforms = [
        KeepLargestConnectedComponentd("pred"),
        KeepLargestConnectedComponentd("pred", applied_labels=2, independent=False, connectivity=1, num_components=3),
    ]
    steps = refinement_in(finish(*transforms))
    assert tuple(step_from(json.loads(json.dumps(step_record(step)))) for step in steps) == steps
    assert (steps[0].labels, steps[1].labels) == (None, (2,))


class _Derived(KeepLargestConnectedComponentd):
    pass


@pytest.mark.parametrize(
    ("step", "named"),
    [
        (FillHolesd("pred", applied_labels=[1]), "FillHolesd"),
        (_Derived("pred"), "_Derived"),
        (KeepLargestConnectedComponentd("pred", is_onehot=True), "is_onehot"),
        (KeepLargestConnectedComponentd("pred", connectivity=3), "connectivity"),
        (KeepLargestConnectedComponentd("pred", num_components=0), "num_components"),
    ],
    ids=["holes", "somebody's own", "one-hot", "connectivity of volumes", "none kept"],
)
def test_other_refinement_is_refused_in_one_line(step: Transform, named: str) -> None:
    with pytest.raises(InvalidBundle, match=named) as error:
        refinement_in(finish(step))
    assert "\n" not in str(error.value)


def test_refinement_before_there_are_classes_is_refused() -> None:
    soft, back, hard, keep = finish(KeepLargestConnectedComponentd("pred"))
    with pytest.raises(InvalidBundle, match="AsDiscreted"):
        refinement_in([soft, back, keep, hard])
