from pathlib import Path

from pipeline.tasks.infer.naming import output_names


def named(tmp_path: Path, files: list[str], inputs: list[str]) -> list[str]:
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return output_names([tmp_path / name for name in files], [str(tmp_path / name) for name in inputs])


def test_a_file_named_alone_keeps_its_stem(tmp_path: Path) -> None:
    assert named(tmp_path, ["deep/film.nii.gz"], ["deep/film.nii.gz"]) == ["film"]


def test_a_file_under_an_input_folder_keeps_its_place(tmp_path: Path) -> None:
    assert named(tmp_path, ["set/a/x.png", "set/b/x.png"], ["set"]) == ["a/x", "b/x"]


def test_two_files_of_one_stem_keep_their_suffixes(tmp_path: Path) -> None:
    assert named(tmp_path, ["set/x.png", "set/x.jpg", "set/y.png"], ["set"]) == ["x.png", "x.jpg", "y"]


def test_names_that_differ_in_case_alone_are_told_apart(tmp_path: Path) -> None:
    names = named(tmp_path, ["set/x.png", "set/X.jpg"], ["set"])
    assert len({name.casefold() for name in names}) == 2


def test_files_that_only_case_tells_apart_get_a_number_and_no_folders(tmp_path: Path) -> None:
    assert named(tmp_path, ["set/A.png", "set/a.PNG", "set/b.png"], ["set"]) == ["A", "a_2", "b"]
    assert named(tmp_path, ["one/A.png", "one/a.PNG", "two/a.png"], ["one", "two"]) == [
        "one/A.png",
        "one/a.PNG_2",
        "two/a.png",
    ]


def test_one_name_in_two_input_folders_gets_the_folder(tmp_path: Path) -> None:
    assert named(tmp_path, ["one/x.png", "two/x.png"], ["one", "two"]) == ["one/x.png", "two/x.png"]


def test_two_series_in_one_folder_are_numbered(tmp_path: Path) -> None:
    folder = tmp_path / "ct"
    folder.mkdir()
    names = output_names([folder, folder], [str(folder)])
    assert len(set(names)) == 2
    assert all(Path(name).name.startswith("ct") for name in names)


def test_a_number_does_not_make_a_name_that_another_has(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    names = output_names([tmp_path / "ct"] * 2 + [tmp_path / "b" / "ct_2"], [str(tmp_path / "b")])
    assert names[:2] == ["ct", "ct_2"]
    assert len({name.casefold() for name in names}) == 3


def test_a_dicom_file_with_dots_in_its_name_keeps_them(tmp_path: Path) -> None:
    assert named(tmp_path, ["CT.1.2.840.113"], ["CT.1.2.840.113"]) == ["CT.1.2.840.113"]


def test_as_many_folders_as_tell_them_apart(tmp_path: Path) -> None:
    inputs = [f"{patient}/images" for patient in ("p1", "p2")]
    assert named(tmp_path, [f"{name}/x.png" for name in inputs], inputs) == ["p1/images/x.png", "p2/images/x.png"]


def test_a_link_is_called_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "annex-0001").touch()
    (tmp_path / "patient7.png").symlink_to(tmp_path / "annex-0001")
    assert named(tmp_path, ["patient7.png"], ["patient7.png"]) == ["patient7"]
