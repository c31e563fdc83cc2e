from __future__ import annotations

import hashlib
import json
import unicodedata
from pathlib import Path

import pytest

from pipeline.tracking.case_tables import log_table
from pipeline.tracking.privacy import Pseudonyms, scrubbed_text


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def case(name: str) -> str:
    return f"case-{digest(name)[:12]}"


def names(*images: str, folder: str | None = "/data/set", **more: object) -> Pseudonyms:
    return Pseudonyms.of([{"image": image, "image_sha256": digest(image), **more} for image in images], folder)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/data/set/films/doe_j.png: cut short", "<images>/CASE.png: cut short"),
        ("films/doe_j.png", "films/CASE.png"),
        ("the mask of doe_j, once more doe_j_mask.png", "the mask of CASE, once more CASE_mask.png"),
        ("doe_jane and xdoe_j are others", "doe_jane and xdoe_j are others"),
        ("Dice 0.93 in models/model.pt", "Dice 0.93 in models/model.pt"),
    ],
)
def test_a_file_is_called_by_its_pixels_wherever_it_is_named(text: str, told: str) -> None:
    known = names("films/doe_j.png", "films/roe_r.png")
    assert known.scrub(text) == told.replace("CASE", case("films/doe_j.png"))


def test_the_folder_of_a_patient_is_a_name_too_and_that_of_a_collection_is_not() -> None:
    patients = [f"study/DOE^JANE_{n}/scan.nii.gz" for n in range(8)]
    known = names(*patients)
    told = known.scrub("study/DOE^JANE_3/scan.nii.gz, and DOE^JANE_4 as well")
    assert "DOE" not in told
    assert "scan.nii.gz" in told  # which says nothing of whose it is
    collections = names(*(f"{name}/{n}.png" for name in ("Shenzhen", "Montgomery") for n in range(4)))
    assert collections.scrub("trained on Shenzhen") == "trained on Shenzhen"


def test_short_and_common_names_are_replaced_in_paths_and_left_in_texts() -> None:
    known = names("a/li.png", "a/image.png")
    assert known.scrub("li.png of li") == f"{case('a/li.png')}.png of li"
    assert known.scrub("the image") == "the image"


def test_names_with_letters_of_other_alphabets_are_found_in_any_spelling() -> None:
    composed = unicodedata.normalize("NFC", "Müller&Söhne")
    known = names(f"films/{composed}.png")
    for written in (composed, unicodedata.normalize("NFD", composed), composed.replace("&", "&amp;")):
        assert known.scrub(f"{written}.png") == f"{case(f'films/{composed}.png')}.png"


def test_slices_with_equal_pixels_are_cases_of_their_own() -> None:
    items = [{"image": f"ct.nii.gz#slice={n}", "image_sha256": digest("air")} for n in range(3)]
    known = Pseudonyms.of(items, "/data")
    assert [known.case(item["image"]) for item in items] == [case("air"), f"{case('air')}-2", f"{case('air')}-3"]
    assert known.case("/data/ct.nii.gz#slice=1") == f"{case('air')}-2"


def test_keyed_subjects_stay_and_others_are_called_by_their_pictures() -> None:
    keyed = "00112233445566aa"
    known = names("a.png", "b.png", subject="Doe, Jane")
    assert known.subject(keyed) == keyed
    assert known.subject("Doe, Jane").startswith("subject-")
    assert known.subject("a.png") == case("a.png")  # whom nobody knows is the picture's
    assert known.subject("Someone Else") == "subject-unknown"
    assert "Doe" not in known.scrub("of Doe, Jane.")


def test_places_have_names_of_their_own(tmp_path: Path) -> None:
    known = Pseudonyms()
    known.add_place(tmp_path / "in", "<data>")
    known.add_place(tmp_path, "<folder>")
    assert known.scrub(f"{tmp_path}/in/x {tmp_path}/inner {tmp_path}") == "<data>/x <folder>/inner <folder>"


def test_of_tables_and_json_words_are_replaced_and_numbers_are_not(tmp_path: Path) -> None:
    known = names("films/12345.png", "films/67890.png")
    (tmp_path / "t.csv").write_text("file,pixels\n12345.png,12345\n")
    told = case("films/12345.png")
    assert scrubbed_text(tmp_path / "t.csv", known.scrub) == f"file,pixels\n{told}.png,12345\n"
    (tmp_path / "t.json").write_text('{"12345.png": [12345, 0.12345, "0.12345"]}')
    clean = scrubbed_text(tmp_path / "t.json", known.scrub)
    assert json.loads(clean or "") == {f"{told}.png": [12345, 0.12345, "0.12345"]}


def test_what_names_nobody_stays_byte_for_byte(tmp_path: Path) -> None:
    known = names("films/doe_jane.png")
    for name, text in (("t.json", '{"a":1,\n"b":[1.50]}'), ("t.csv", 'a,"b"\r\n1,2'), ("t.txt", "a\r\nb")):
        (tmp_path / name).write_text(text, newline="")
        assert scrubbed_text(tmp_path / name, known.scrub) == Path(tmp_path / name).read_text()
    (tmp_path / "m.pt").write_bytes(b"doe_jane")
    assert scrubbed_text(tmp_path / "m.pt", known.scrub) is None


class Told:
    """A record that keeps what it is told."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def text(self, text: str, path: str) -> None:
        self.texts[path] = text


def test_the_table_of_cases_names_cases_and_digests_of_masks(tmp_path: Path) -> None:
    known = names("films/doe.png")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "doe.png").write_bytes(b"mask")
    row = f"films/doe.png,{digest('x')},films/doe.png,lung,0.9,masks/doe.png"
    (tmp_path / "cases.csv").write_text(f"image,image_sha256,subject,class,dice,mask\n{row}\n")
    entry = {"image": "films/doe.png", "subject": "films/doe.png", "dice": None, "mask": ""}
    (tmp_path / "metrics.json").write_text(json.dumps({"faults": ["films/doe.png: none"], "cases": [entry]}))
    told = Told()
    for name in ("cases.csv", "metrics.json"):
        log_table(told, tmp_path / name, known)  # type: ignore[arg-type]
    who = case("films/doe.png")
    assert told.texts["tables/cases.csv"] == (
        "case,image_sha256,subject,class,dice,mask_sha256\n"
        f"{who},{digest('x')},{who},lung,0.9,{hashlib.sha256(b'mask').hexdigest()}\n"
    )
    content = json.loads(told.texts["tables/metrics.json"])
    assert content["cases"] == [{"case": who, "subject": who, "dice": None, "mask_sha256": ""}]
    assert "doe" not in content["faults"][0]
