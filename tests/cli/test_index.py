"""`planar index` as it is typed: exit status, summary, one-line errors, real sets."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pipeline.cli.index import command
from pipeline.datalist import load_cases
from pipeline.errors import InvalidOption, InvalidSplit


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("PLANAR_SUBJECT_KEY", "a key for tests only")


@pytest.fixture
def films(tmp_path):
    for k in range(10):
        for folder, picture in (
            ("images", np.random.default_rng(k).integers(0, 256, (12, 16))),
            ("masks", np.eye(12, 16) * 255),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(picture.astype(np.uint8)).save(tmp_path / folder / f"f{k}.png")
    return tmp_path


def planar_index(*arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result


def test_clean_set_ends_well_and_names_the_next_command(films):
    result = planar_index(films / "images", films / "masks", "-o", films / "d.json")
    assert result.return_value == 0
    assert "10 cases of 10 subjects (one subject a file): training 7 (7 subjects)" in result.stdout
    assert "threshold:127 (guessed from all masks)" in result.stdout
    assert "background 93.75%, foreground 6.25%" in result.stdout
    fingerprint = films / "fingerprint.json"
    assert f"Next: planar inspect {films / 'd.json'} -o {fingerprint}  (and then planar plan" in result.stdout
    assert f"Or:   planar train BUNDLE --data {films / 'd.json'}" in result.stdout


def test_refused_file_ends_with_status_1_and_is_named_with_its_reason(films):
    (films / "images" / "f3.png").write_bytes(b"no picture")
    result = planar_index(films / "images", films / "masks", "-o", films / "d.json")
    assert result.return_value == 1
    assert "Refused: 1 unreadable: f3.png: " in result.stdout
    assert len(json.loads((films / "d.json").read_text())["refused"]) == 1


def test_each_reason_has_its_line_and_a_split_that_fails_for_them_says_them(films):
    (films / "images" / "f3.png").write_bytes(b"no picture")
    (films / "images" / "f5.png").write_bytes(b"")
    result = planar_index(films / "images", films / "masks", "-o", films / "d.json")
    assert [line.partition(": ")[2][:22] for line in result.stdout.splitlines() if line.startswith("Refused")] == [
        "1 unreadable: f3.png: ",
        "1 unreadable: f5.png: ",
    ]
    with pytest.raises(InvalidSplit, match=r"cannot fill 9 folds.*Refused were 2 unreadable; e\.g\. .*f3\.png"):
        planar_index(films / "images", films / "masks", "-o", films / "e.json", "--folds", "9")


def test_a_value_of_one_mask_alone_is_pointed_out(films):
    mask = np.array(Image.open(films / "masks" / "f3.png"))
    mask[0, 0] = 77
    Image.fromarray(mask).save(films / "masks" / "f3.png")
    result = planar_index(films / "images", films / "masks", "-o", films / "d.json")
    assert "rare class: f3.png: value_77 is in 1 of 10 masks" in result.stdout
    assert "--levels" in result.stdout


def test_pattern_and_image_pattern_contradict_each_other(films):
    with pytest.raises(InvalidOption, match="--pattern stands for both"):
        planar_index("i", "m", "-o", films / "d.json", "--pattern", "(.)", "--mask-pattern", "(.)")


def test_options_reach_the_datalist(films):
    planar_index(
        *(films / "images", films / "masks", "-o", films / "d.json", "--class-names", "lung", "--modality", "DX"),
        *("--name", "films", "--split", "60,20,20", "--folds", "2", "--seed", "5", "--subject-pattern", r"(\d)$"),
    )
    document = json.loads((films / "d.json").read_text())
    assert document["labels"] == {"0": "background", "1": "lung"}
    assert (document["modality"], document["name"]) == ({"0": "DX"}, "films")
    assert (document["split"]["seed"], document["split"]["folds"]) == (5, 2)
    assert len(document["training"]) == 6


@pytest.mark.real_data
def test_shenzhen_is_448_subjects_with_lungs_on_a_quarter_of_the_pixels(planar_data, tmp_path):
    shenzhen = planar_data / "cxr_shenzhen"
    arguments = (shenzhen / "images", shenzhen / "masks", "--subjects", f"{shenzhen / 'index.csv'}:patient")
    result = planar_index(*arguments, "--class-names", "lung", "-o", tmp_path / "d.json")
    assert result.return_value == 0
    assert "448 cases of 448 subjects" in result.stdout
    assert "threshold:127 (guessed" in result.stdout
    assert "lung 23.89%" in result.stdout
    assert [len(load_cases(tmp_path / "d.json", part)) for part in ("training", "validation", "test")] == [313, 45, 90]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "task", "cases", "status"),
    [
        ("ct_chest_rgb", "ct_chest", 23, 0),
        ("ct_lungs", "ct_lung", 18, 0),
        ("fundus_disc", "fundus_disc", 88, 0),
        ("fundus_disc_cup_rgb", "fundus_disc_cup", 24, 0),
        ("tomo_pores", "tomo_pore", 15, 0),
        ("cells_wbc", "cells_wbc", 254, 1),  # 139.bmp has the pixels of 112.bmp
    ],
)
def test_real_sets_are_indexed_by_their_task_spec(planar_data, tmp_path, name, task, cases, status):
    from pathlib import Path

    spec = Path(__file__).parents[2] / "configs" / "tasks" / f"{task}.yaml"
    folder = planar_data / name
    result = planar_index(folder / "images", folder / "masks", "--task", spec, "-o", tmp_path / "d.json")
    document = json.loads((tmp_path / "d.json").read_text())
    assert sum(len(document[part]) for part in ("training", "validation", "test")) == cases
    assert result.return_value == status
    assert not [w for w in document["warnings"] if w["code"] not in ("near_duplicate",)]
