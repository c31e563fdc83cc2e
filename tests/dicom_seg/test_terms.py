"""Classes in DICOM's words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
import yaml
from pydicom.sr import _concepts_dict, codedict
from skimage.color import deltaE_ciede2000, rgb2lab

from pipeline.bundle import Bundle, shipped_folder
from pipeline.dicom_seg import read_terms, terms_of
from pipeline.dicom_seg.colours import cielab_of
from pipeline.errors import InvalidBundle

TABLES = sorted((shipped_folder("configs") or Path()).glob("labels/*.yaml"))
SPECS = sorted((shipped_folder("configs") or Path()).glob("tasks/*.yaml"))


def named(*classes: str) -> dict[int, str]:
    return dict(enumerate(("background", *classes)))


@pytest.mark.skipif(not hasattr(pydicom, "pixels"), reason="the dictionary of pydicom 2 is older than the tables")
@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_every_code_is_one_of_the_standards_with_its_meaning(table: Path) -> None:
    known: dict[str, set[str]] = {}
    for entries in _concepts_dict.concepts["SCT"].values():
        for value, (meaning, _) in entries.items():
            known.setdefault(value, set()).add(meaning.lower())
    content = yaml.safe_load(table.read_text(encoding="utf-8"))
    for code in (content["category"], *content["labels"].values()):
        assert code["meaning"].lower() in known[code["value"]]


def test_no_name_stands_in_two_tables() -> None:
    names = [
        spelling
        for table in TABLES
        for name, said in yaml.safe_load(table.read_text(encoding="utf-8"))["labels"].items()
        for spelling in (name, *said.get("also", ()))
    ]
    assert len(names) == len(set(names))


def test_the_chest_tasks_of_this_project_have_codes() -> None:
    for spec in SPECS:
        content = yaml.safe_load(spec.read_text(encoding="utf-8"))
        if content["modality"] in ("CR", "CT"):
            assert all(term.known for term in read_terms(dict(enumerate(content["labels"]))).values()), spec.name


@pytest.mark.parametrize(
    "name", ["left_lung", "lung_left", "Left Lung", "LeftLung", "lung_l", "L_lung", "llung", "leftlung"]
)
def test_a_side_becomes_a_modifier_in_any_spelling(name: str) -> None:
    term = read_terms(named(name))[1]
    assert (term.kind.value, term.side and term.side.meaning) == ("39607008", "Left")
    assert term.label == name


def test_a_name_that_holds_a_side_but_is_one_of_its_own_keeps_it() -> None:
    term = read_terms(named("lung_upper_lobe_right"))[1]
    assert (term.kind.meaning, term.side and term.side.meaning) == ("Upper lobe of lung", "Right")
    assert read_terms(named("liver"))[1].side is None


def test_an_unknown_class_is_tissue_under_its_own_label() -> None:
    terms = read_terms(named("lung", "zebra", "left_zebra"))
    assert [term.known for term in terms.values()] == [True, False, False]
    assert (terms[2].kind.value, terms[2].label) == ("85756007", "zebra")
    assert terms[3].side is not None


def test_no_two_classes_have_one_colour() -> None:
    many = read_terms(named(*(f"thing_{number}" for number in range(20)), "lung", "left_lung", "right_lung", "heart"))
    colours = [term.colour for term in many.values()]
    assert len(set(colours)) == len(colours)


def test_the_colours_of_many_unknown_classes_can_be_told_apart() -> None:
    colours = [term.colour for term in read_terms(named(*(f"thing_{number}" for number in range(20)))).values()]
    lab = rgb2lab(np.asarray(colours).reshape(-1, 1, 3) / 255)
    differences = deltaE_ciede2000(lab, lab.swapaxes(0, 1))
    assert differences[np.triu_indices(len(colours), 1)].min() > 12


def test_the_tables_colour_is_taken() -> None:
    assert read_terms(named("heart"))[1].colour == (0xD5, 0x5E, 0x00)


def test_a_bundles_own_table_comes_first(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    table = {
        "category": {"value": "260787004", "scheme": "SCT", "meaning": "Physical object"},
        "labels": {
            "zebra": {"value": "Z1", "scheme": "99ZOO", "meaning": "Zebra", "colour": "#010203"},
            "lung": {"value": "L1", "scheme": "99ZOO", "meaning": "Lung of a zebra", "colour": "#040506"},
        },
    }
    # JSON is YAML.
    (tmp_path / "configs" / "labels.yaml").write_text(json.dumps(table))
    terms = terms_of(Bundle(tmp_path, "zoo"), named("zebra", "lung", "heart"))
    assert [(term.kind.scheme, term.kind.value) for term in terms.values()] == [
        ("99ZOO", "Z1"),
        ("99ZOO", "L1"),
        ("SCT", "80891009"),
    ]
    assert terms[1].colour == (1, 2, 3)


@pytest.mark.parametrize("content", ["labels: 3", "labels: {lung: {value: 1}}", "[", "labels: {lung: {colour: blue}}"])
def test_a_broken_table_is_one_clear_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "labels.yaml").write_text(content)
    with pytest.raises(InvalidBundle, match=r"labels\.yaml: no table of labels") as caught:
        terms_of(Bundle(tmp_path, "zoo"), named("lung"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("colour", "lab"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (54.29, 80.81, 69.89)),  # Lindbloom's calculator, sRGB to Lab D50
        ((0, 128, 0), (46.28, -47.55, 48.59)),
    ],
)
def test_colours_in_cielab(colour: tuple[int, int, int], lab: tuple[float, float, float]) -> None:
    lightness, a, b = cielab_of(colour)
    assert lightness * 100 / 65535 == pytest.approx(lab[0], abs=0.05)
    assert a * 255 / 65535 - 128 == pytest.approx(lab[1], abs=0.1)
    assert b * 255 / 65535 - 128 == pytest.approx(lab[2], abs=0.1)


def test_pydicom_still_has_the_dictionary_that_the_codes_are_checked_by() -> None:
    assert codedict.codes.SCT.Lung.value == "39607008"
