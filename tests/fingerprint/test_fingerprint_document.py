"""The document: its keys, its figures, its text."""

import json

import numpy as np
import pytest

from pipeline.errors import InvalidFingerprint
from pipeline.fingerprint import Fingerprint, Gatherer, SetFacts, measure_case, remarks
from pipeline.fingerprint.document import significant
from pipeline.fingerprint.spread import axial_std_deg, spread

Q = {"min", "p05", "median", "mean", "p95", "max"}


def facts(labels, training, **more):
    parts = {"training": training, "validation": 0, "test": 0}
    return SetFacts("discs", labels, "CR", ["training"], parts, parts, **more)


@pytest.fixture
def found(discs):
    gatherer = Gatherer(2)
    for k in range(6):
        gatherer.add(discs(k, radius=8 + k, level=50 + 10 * k))
    return gatherer.fingerprint(facts(["background", "disc"], 6, warnings={"reader": 2}))


def test_the_figures_are_those_of_the_discs(found):
    disc = found["classes"]["disc"]
    x, y = np.meshgrid(np.arange(64) - 30, np.arange(48) - 24, indexing="ij")
    areas = [int((x**2 + y**2 <= radius**2).sum()) for radius in range(8, 14)]
    assert disc["cases"] == 6
    assert disc["area_px"]["min"] == areas[0]
    assert disc["object_area_px"]["max"] == areas[-1]
    assert disc["pixel_share"] == pytest.approx(np.mean(areas) / (64 * 48), rel=1e-5)
    assert disc["object_diameter_px"]["max"] == pytest.approx(26, rel=0.02)
    assert disc["object_diameter_share"]["max"] == pytest.approx(26 / 64, rel=0.02)
    assert disc["centroid"]["x_mean"] == pytest.approx(30.5 / 64, rel=1e-5)
    assert disc["objects"] == dict.fromkeys(["min", "p05", "median", "mean", "p95", "max"], 1)
    assert found["size"]["shapes"] == [[64, 48, 6]]
    assert found["intensity"]["contrast"] > 1.5
    assert found["shape_ranges"]["scale_std_log"] == pytest.approx(np.std(np.log(np.sqrt(areas))), rel=1e-4)


def test_the_keys_are_those_of_the_format(found):
    assert list(found.document) == [
        *("format", "name", "labels", "modality", "channels", "measured", "cases", "subjects", "size", "spacing_mm"),
        *(
            "stored",
            "intensity",
            "classes",
            "shape_ranges",
            "inside_class",
            "near_duplicates",
            "near_duplicates_across",
        ),
        *("near_duplicates_within", "order", "refused", "warnings"),
    ]
    assert set(found["classes"]["disc"]["area_share"]) == Q
    assert found["warnings"] == {"reader": 2}
    assert found["channels"] == 1
    assert found["spacing_mm"] == {"known": 0, "x": None, "y": None}


def test_fields_of_view_are_measured_case_by_case():
    gatherer = Gatherer(2)
    for shape, spacing_mm in (((256, 200), (0.94, 0.94)), ((512, 400), (0.47, 0.47)), ((60, 40), (1.0, 6.0))):
        mask = np.ones(shape, np.uint8)
        mask[: shape[0] // 2] = 0
        gatherer.add(measure_case(mask * np.uint8(90), mask, 2, spacing_mm))
    spacing = gatherer.fingerprint(facts(["background", "half"], 3))["spacing_mm"]
    assert set(spacing["field_mm"]) == Q
    assert spacing["field_mm"]["min"] == 240  # 40 pixels of 6 mm; the 60 of its other side are 1 mm wide
    assert spacing["field_mm"]["median"] == spacing["field_mm"]["max"] == 240.64


def test_a_file_that_could_not_be_read_is_not_said_to_lack_its_pixel_size():
    gatherer = Gatherer(2)
    for _ in range(5):
        gatherer.add(measure_case(np.eye(16, dtype=np.uint8) * np.uint8(90), np.eye(16, dtype=np.uint8), 2, (0.7, 0.7)))
    whole, less = (gatherer.fingerprint(facts(["background", "line"], n)) for n in (5, 6))
    assert "measured_cases" not in whole.document
    assert less["measured_cases"] == 5
    assert not any("how large their pixels are" in line or "of 6 cases" in line for line in remarks(less))


def test_text_and_fingerprint_are_one(found):
    text = found.to_json()
    again = Fingerprint.from_json(text)
    assert again == found
    assert (again.to_json(), again.sha256) == (text, found.sha256)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_class_that_no_case_holds_has_null_for_figures(discs):
    gatherer = Gatherer(3)
    gatherer.add(discs(0, classes=3))
    found = gatherer.fingerprint(facts(["background", "disc", "ghost"], 1))
    ghost = found["classes"]["ghost"]
    assert (ghost["cases"], ghost["area_px"], ghost["touches_border"]) == (0, None, None)
    assert found["intensity"]["by_class"]["ghost"] is None
    assert "No measured case holds ghost: it cannot be learnt." in remarks(found)


def test_colour_sets_have_a_distribution_for_each_channel():
    gatherer = Gatherer(2)
    for seed in range(3):
        image = np.random.default_rng(seed).integers(0, 256, (16, 16, 3)).astype(np.uint8)
        image[..., 2] //= 8
        gatherer.add(measure_case(image, np.eye(16, dtype=np.uint8), 2))
    found = gatherer.fingerprint(facts(["background", "line"], 3))
    assert found["channels"] == 3
    assert found["stored"]["colour"] == 3
    assert [channel["max"] > 31 for channel in found["intensity"]["by_channel"]] == [True, True, False]


def test_inside_is_said_only_if_nearly_every_case_has_it():
    ring = np.zeros((12, 12), np.uint8)
    ring[2:10, 2:10] = 1
    ring[4:8, 4:8] = 2
    beside = np.zeros((12, 12), np.uint8)
    beside[:4], beside[8:] = 1, 2
    for masks, expected in (([ring] * 3, [["pupil", "iris"]]), ([ring, ring, beside], [])):
        gatherer = Gatherer(3)
        for mask in masks:
            gatherer.add(measure_case(mask * np.uint8(100), mask, 3))
        assert gatherer.fingerprint(facts(["background", "iris", "pupil"], 3))["inside_class"] == expected


def test_floats_have_six_digits_and_nothing_that_json_lacks():
    given = {"a": [1 / 3, 2.0, float("nan"), -1e-9 / 3, 12345678.9], "b": 7}
    assert significant(given) == {"a": [0.333333, 2, None, -3.33333e-10, 12345700], "b": 7}


def test_spread_has_the_quantiles_and_none_without_values():
    assert spread(range(101)) == {"min": 0, "p05": 5, "median": 50, "mean": 50, "p95": 95, "max": 100}
    assert spread([]) is None


def test_directions_that_differ_by_half_a_turn_are_the_same():
    assert axial_std_deg([0, np.pi, 2 * np.pi], [1, 1, 1]) == pytest.approx(0, abs=1e-6)
    angles = np.radians(np.random.default_rng(0).normal(170, 8, 4000)) % np.pi
    assert axial_std_deg(angles, np.ones(4000)) == pytest.approx(8, rel=0.05)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "planar-fingerprint/0"}', '{"labels": {}}'])
def test_what_is_no_fingerprint_is_refused_with_its_name(text):
    with pytest.raises(InvalidFingerprint, match=r"^old\.json .*planar inspect"):
        Fingerprint.from_json(text, "old.json")
