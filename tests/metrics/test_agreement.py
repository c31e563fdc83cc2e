"""Every metric against brute force, MONAI's own functions, and pairs whose scores are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from brute_force import Pair, overlap, pairs, reliability, surface
from monai.data import MetaTensor
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from monai.metrics.utils import get_mask_edges

from pipeline.metrics import OVERLAP_METRICS, Reliability, Tally, Tolerance, boundary_scores
from pipeline.metrics.boundary import boundary

PAIRS = list(pairs())
OVERLAP = (*OVERLAP_METRICS, "reference_pixels", "predicted_pixels", "area_error")


def scored(pair: Pair, known_spacing: bool) -> list[dict]:
    """The rows of one pair by way of `Tally`, as an evaluation scores it."""
    tolerance = pair.tolerance / 100
    tally = Tally({k: f"class {k}" for k in range(pair.classes)}, Tolerance(mm=tolerance, px=tolerance))
    tally.add(pair.name, pair.prediction, pair.reference, spacing_mm=pair.spacing_mm if known_spacing else None)
    return tally.rows


def test_a_thousand_pairs_are_scored_as_brute_force_scores_them() -> None:
    assert len(PAIRS) == 1000
    checked = 0
    for number, pair in enumerate(PAIRS):
        millimetres = number % 4 != 0
        rows = scored(pair, millimetres)
        assert len(rows) == pair.classes - 1
        for index, row in enumerate(rows, start=1):
            found, wanted = pair.prediction == index, pair.reference == index
            where = f"{pair.name}, class {index}"
            expected = overlap(found, wanted)
            assert {name: row[name] for name in OVERLAP} == pytest.approx(expected, abs=1e-6, nan_ok=True), where
            distances = surface(found, wanted, pair.spacing if millimetres else (100, 100), pair.tolerance)
            got = {name: row[name] for name in ("hd95", "asd", "nsd")}
            assert got == pytest.approx(distances, abs=1e-3, nan_ok=True), where
            # A share of boundary pixels is exact, whatever the rounding of distances near the tolerance.
            assert got["nsd"] == pytest.approx(distances["nsd"], abs=1e-6, nan_ok=True), where
            assert row["distance_unit"] == ("mm" if millimetres else "px")
            checked += 1
    assert checked > 1500


def test_the_thousand_pairs_hold_what_is_hard() -> None:
    absent = [(not (p.prediction == 1).any(), not (p.reference == 1).any()) for p in PAIRS]
    assert all(absent.count(kind) >= 20 for kind in ((True, True), (True, False), (False, True)))
    assert sum(1 in p.reference.shape for p in PAIRS) >= 30
    assert sum(p.spacing[0] != p.spacing[1] for p in PAIRS) > 400
    assert sum((p.reference[0] == 1).any() for p in PAIRS) > 300


# MONAI's metrics call their own get_mask_edges in a way that they deprecate.
@pytest.mark.filterwarnings("ignore:monai.metrics.utils get_mask_edges.always_return_as_numpy:FutureWarning")
def test_boundaries_and_distances_are_those_of_monai() -> None:
    compared = 0
    for pair in PAIRS[::5]:
        found, wanted = pair.prediction == 1, pair.reference == 1
        if not found.any() or not wanted.any():
            continue
        for mask in (found, wanted):
            (edges, _) = get_mask_edges(mask, mask, crop=False)
            np.testing.assert_array_equal(boundary(mask), edges)
        masks = [torch.from_numpy(mask)[None, None] for mask in (found, wanted)]
        about = {"include_background": True, "spacing": list(pair.spacing_mm)}
        tolerance = pair.tolerance / 100
        assert boundary_scores(found, wanted, spacing=pair.spacing_mm, tolerance=tolerance) == pytest.approx(
            {
                "hd95": float(compute_hausdorff_distance(*masks, percentile=95, **about)),
                "asd": float(compute_average_surface_distance(*masks, symmetric=True, **about)),
                "nsd": float(compute_surface_dice(*masks, [tolerance * (1 + 1e-6)], **about)),
            },
            abs=1e-4,
        )
        compared += 1
    assert compared > 100


def test_crowded_boundaries_are_measured_another_way_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [pair for pair in PAIRS if (pair.prediction == 1).any() and (pair.reference == 1).any()][::20]
    masks = [(pair.prediction == 1, pair.reference == 1, pair.spacing_mm, pair.tolerance / 100) for pair in chosen]
    expected = [boundary_scores(a, b, spacing=spacing, tolerance=within) for a, b, spacing, within in masks]
    monkeypatch.setattr("pipeline.metrics.boundary.MANY_PIXELS", 0)
    monkeypatch.setattr("pipeline.metrics.boundary.get_surface_distance", None)
    monkeypatch.setattr("pipeline.metrics.boundary.DENSE", 0.0)
    for (a, b, spacing, within), before in zip(masks, expected, strict=True):
        assert boundary_scores(a, b, spacing=spacing, tolerance=within) == pytest.approx(before, abs=1e-5)


def test_reliability_is_counted_as_brute_force_counts_it() -> None:
    rng = np.random.default_rng(3)
    for classes in (2, 3, 5):
        probabilities = rng.dirichlet(np.full(classes, 0.4), size=(17, 13)).transpose(2, 0, 1).astype(np.float32)
        probabilities[:, 0, :2] = 1 / classes  # a tie: the first class
        probabilities[:, 1, :] = np.eye(classes)[0][:, None]  # as sure as can be
        reference = rng.integers(0, classes, (17, 13))
        reference[0, 0] = reference[-1, -1] = 1  # the whole image is near the foreground
        tally = Tally({k: str(k) for k in range(classes)})
        tally.add("a", reference, reference, probabilities=probabilities)
        expected = reliability(probabilities, reference, 20)
        gap = 0.0
        for number, row in enumerate(tally.reliability.rows()):
            pixels = expected.get(number, [])
            assert row["pixels"] == len(pixels)
            if pixels:
                confidence, right = (np.mean(part) for part in zip(*pixels, strict=True))
                assert (row["confidence"], row["accuracy"]) == pytest.approx((confidence, right), abs=1e-9)
                gap += abs(confidence - right) * len(pixels)
        assert tally.reliability.ece() == pytest.approx(gap / reference.size, abs=1e-9)
        assert tally.rows[0]["ece"] == tally.reliability.ece()


def test_reliability_bins_are_those_of_monai() -> None:
    from monai.metrics.calibration import calibration_binning

    rng = np.random.default_rng(5)
    confidence, right = rng.random(5000).astype(np.float32), rng.random(5000) < 0.7
    ours = Reliability(bins=20)
    ours.add(confidence, right)
    means, hits, counts = calibration_binning(
        torch.from_numpy(confidence)[None, None], torch.from_numpy(right.astype(np.float32))[None, None], num_bins=20
    )
    for row, mean, hit, count in zip(ours.rows(), means[0, 0], hits[0, 0], counts[0, 0], strict=True):
        assert row["pixels"] == int(count)
        assert (row["confidence"], row["accuracy"]) == pytest.approx((float(mean), float(hit)), abs=1e-5)


def test_pixels_are_counted_beyond_what_float32_counts() -> None:
    ours = Reliability()
    sure = np.full(2**24 + 2, 0.75, dtype=np.float32)
    ours.add(sure, np.ones(len(sure), dtype=bool))
    ours.add(np.float32([0.75]), np.array([False]))
    row = ours.rows()[15]
    assert row["pixels"] == 2**24 + 3
    assert row["confidence"] == pytest.approx(0.75, abs=1e-12)
    assert row["accuracy"] == pytest.approx((2**24 + 2) / (2**24 + 3), abs=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_line_moved_along_an_axis_is_off_by_that_axis_spacing(axis: int) -> None:
    spacing = (0.2, 3.0)  # x, y
    reference = np.zeros((40, 30), bool)
    reference[(5, slice(4, 20)) if axis == 0 else (slice(4, 20), 5)] = True
    prediction = np.roll(reference, 3, axis=axis)
    off = 3 * spacing[axis]
    assert boundary_scores(prediction, reference, spacing=spacing, tolerance=off) == pytest.approx(
        {"hd95": off, "asd": off, "nsd": 1.0}
    )
    assert boundary_scores(prediction, reference, spacing=spacing, tolerance=off * 0.999)["nsd"] == 0.0


def test_metatensors_and_plain_arrays_score_the_same() -> None:
    from pipeline.metrics.case_table import _indices

    pair = PAIRS[-1]
    one_hot = torch.from_numpy(np.stack([pair.reference == k for k in range(pair.classes)]).astype(np.float32))
    np.testing.assert_array_equal(_indices(MetaTensor(one_hot)), pair.reference)
    np.testing.assert_array_equal(_indices(one_hot.bool()), pair.reference)
