"""Whose picture it is, and the hash that stands for it."""

import os
import re
import stat
import unicodedata
from pathlib import Path

import pytest

from pipeline.errors import InvalidOption, MissingFile
from pipeline.tasks.index.columns import read_column
from pipeline.tasks.index.pairing import Pair
from pipeline.tasks.index.subjects import subject_by_pattern, subject_key, subject_pseudonym

PAIRS = [Pair("a_1", "i/a_1.jpg", ("m/a_1.png",)), Pair("b_1", "i/b_1.jpg", ("m/b_1.png",))]


def table(tmp_path, text: str) -> str:
    (tmp_path / "index.csv").write_text(text)
    return str(tmp_path / "index.csv")


@pytest.mark.parametrize(
    "text",
    [
        "file,patient\na_1.jpg,7\nb_1.jpg,8\n",
        "patient;file\r\n7;a_1.png\r\n8;b_1\r\n",
        "\ufeffpatient\tpath\n7\t/data/x/a_1.jpg\n8\tC:\\x\\b_1.jpg\n",
        "study,patient,name\na_9,7,a_1\nb_9,8,b_1\n",
    ],
)
def test_rows_are_matched_by_the_column_that_names_the_images(tmp_path, text):
    column = read_column(f"{table(tmp_path, text)}:patient", PAIRS)
    assert [column.of(pair) for pair in PAIRS] == ["7", "8"]


def test_file_column_may_be_named(tmp_path):
    path = table(tmp_path, "old,new,patient\na_1,b_1,8\nb_1,a_1,7\n")
    assert read_column(f"{path}:patient@new", PAIRS).of(PAIRS[0]) == "7"
    assert read_column(f"{path}:patient@old", PAIRS).of(PAIRS[0]) == "8"


def test_image_without_row_or_with_an_empty_cell_has_no_value(tmp_path):
    path = table(tmp_path, "file,patient\na_1.jpg, \n")
    column = read_column(f"{path}:patient", PAIRS)
    assert [column.of(pair) for pair in PAIRS] == [None, None]


@pytest.mark.parametrize(("in_table", "of_file"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_table_and_files_in_other_unicode_forms_name_the_same_images(tmp_path, in_table, of_file):
    name = unicodedata.normalize(of_file, "Müller")
    pair = Pair(f"größe/{name}", f"i/größe/{name}.png", ("m",))
    path = table(tmp_path, unicodedata.normalize(in_table, "datei,füller\ngröße/Müller.png,Özil\n"))
    assert read_column(f"{path}:{unicodedata.normalize(of_file, 'füller')}", [pair]).of(pair) == "Özil"


def test_a_pattern_finds_one_subject_in_names_of_both_unicode_forms():
    names = [unicodedata.normalize(form, "Müller_1") for form in ("NFC", "NFD")]
    assert {subject_by_pattern("^(.ü[^_]+)_", Pair(name, f"i/{name}.png", ("m",))) for name in names} == {"Müller"}


def test_same_file_name_in_two_folders_is_told_apart_by_its_path(tmp_path):
    pairs = [Pair("p1/x", "i/p1/x.png", ("m",)), Pair("p2/x", "i/p2/x.png", ("m",))]
    path = table(tmp_path, "file,patient\np1/x.png,7\np2/x.png,8\n")
    column = read_column(f"{path}:patient", pairs)
    assert [column.of(pair) for pair in pairs] == ["7", "8"]


@pytest.mark.parametrize(
    ("text", "option", "said"),
    [
        ("file,patient\na_1,7\n", ":subject", "no column 'subject'. Its columns are file, patient"),
        ("file,patient\na_1,7\n", ":patient@path", "no column 'path'"),
        ("file,patient\nzzz,7\n", ":patient", "No column of .* names the images"),
        ("file,patient\na_1,7\na_1,8\n", ":patient", "two rows for 'a_1' that disagree"),
        ("file,patient\na_1,7\n", "", "names no column"),
    ],
)
def test_unusable_table_is_refused(tmp_path, text, option, said):
    with pytest.raises(InvalidOption, match=said):
        read_column(table(tmp_path, text) + option, PAIRS)


NUMBERED = [Pair(str(k), f"i/{k}.png", (f"m/{k}.png",)) for k in range(1, 13)]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("visit,patient,image", lambda k: f"{k % 12 + 1},{(k + 1) // 2},{k}.png"),
        ("patient,image", lambda k: f"{(k + 1) // 2},{k}.png"),
        ("patient,image", lambda k: f"{(k + 1) // 2},{k}"),
        ("age,patient,image", lambda k: f"{k % 5 + 3},{(k + 1) // 2},{k}.png"),
        ("patient,image,mask", lambda k: f"{(k + 1) // 2},{k}.png,masks/{k}.png"),
    ],
)
def test_numbers_that_happen_to_name_images_are_not_taken_for_files(tmp_path, header, row):
    path = table(tmp_path, "\n".join([header, *map(row, range(1, 13))]))
    column = read_column(f"{path}:patient", NUMBERED)
    assert [column.of(pair) for pair in NUMBERED] == [str((k + 1) // 2) for k in range(1, 13)]
    assert column.written == f"{path}:patient@image"


def test_columns_that_might_both_be_that_of_the_files_are_asked_about(tmp_path):
    rows = [f"{k % 12 + 1},P{k},{k}" for k in range(1, 13)]
    path = table(tmp_path, "\n".join(["visit,patient,image", *rows]))
    with pytest.raises(
        InvalidOption, match=r"Several columns of .* name images: visit, image\..*:patient@visit, or @im"
    ):
        read_column(f"{path}:patient", NUMBERED)
    assert read_column(f"{path}:patient@image", NUMBERED).of(NUMBERED[0]) == "P1"


def test_numbers_do_not_win_by_an_image_that_the_table_does_not_have(tmp_path):
    rows = [f"{k},P{k},{k if k < 11 else f'lost{k}'}.png" for k in range(1, 13)]
    with pytest.raises(InvalidOption, match=r"Several columns of .* name images: row, image"):
        read_column(f"{table(tmp_path, chr(10).join(['row,patient,image', *rows]))}:patient", NUMBERED)


def test_the_column_that_is_asked_for_may_be_that_of_the_files(tmp_path):
    path = table(tmp_path, "file,age\na_1.jpg,7\nb_1.jpg,8\n")
    assert read_column(f"{path}:file", PAIRS).of(PAIRS[0]) == "a_1.jpg"


def test_rows_that_disagree_are_told_with_the_column_of_the_files(tmp_path):
    path = table(tmp_path, "file,patient\na_1,7\na_1,8\n")
    with pytest.raises(InvalidOption, match=r"looked up in the column 'file'.*:patient@FILECOLUMN"):
        read_column(f"{path}:patient", PAIRS)


def test_pattern_may_speak_of_slices_and_sees_the_volume_first():
    volume = Pair("v_2", "i/v_2.nii", ("m/v_2.nii",))
    assert subject_by_pattern(r"^(.+#slice=\d*)\d$", volume, "v_2#slice=12") == "v_2#slice=1"
    assert subject_by_pattern("^(.+)$", volume, "v_2#slice=12") == "v_2"


def test_missing_table_is_named(tmp_path):
    with pytest.raises(MissingFile, match=r"none\.csv"):
        read_column(f"{tmp_path / 'none.csv'}:patient", PAIRS)


def test_pattern_gives_its_first_group():
    assert subject_by_pattern(r"^([a-z])_", PAIRS[1]) == "b"
    assert subject_by_pattern(r"^(\d)", PAIRS[1]) is None


def test_pseudonym_is_sixteen_digits_that_depend_on_the_key():
    one, two = (subject_pseudonym("Doe^Jane", key) for key in (b"k" * 16, b"l" * 16))
    assert re.fullmatch("[0-9a-f]{16}", one)
    assert one != two


def test_key_from_the_environment_wins(monkeypatch):
    monkeypatch.setenv("PLANAR_SUBJECT_KEY", "0123456789abcdef")
    assert subject_key() == (b"0123456789abcdef", "PLANAR_SUBJECT_KEY")


def test_short_key_is_refused(monkeypatch):
    monkeypatch.setenv("PLANAR_SUBJECT_KEY", "secret")
    with pytest.raises(InvalidOption, match="at least 16"):
        subject_key()


@pytest.mark.skipif(os.name == "nt", reason="file modes are POSIX")
def test_key_file_is_made_once_and_for_its_owner_alone(monkeypatch, tmp_path):
    monkeypatch.delenv("PLANAR_SUBJECT_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    key, file = subject_key()
    assert file == str(tmp_path / "config" / "planar" / "subject.key")
    assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
    assert subject_key() == (key, file)
    assert [path.name for path in (tmp_path / "config" / "planar").iterdir()] == ["subject.key"]
