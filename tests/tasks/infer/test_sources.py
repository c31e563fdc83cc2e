"""What is segmented, and what is not: results of an earlier run, and one picture named twice."""

import errno
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from pipeline.errors import MissingFile, OutputExists, UnreadableImage
from pipeline.tasks.infer import sources as sources_module
from pipeline.tasks.infer.resuming import SOURCES, Known, note_source
from pipeline.tasks.infer.sources import Refusal, find_sources, reason, require_new


def draw(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(path)


def stems(inputs: list[Path | str], out: Path) -> tuple[list[str], list[str]]:
    found, refused, told = find_sources([str(name) for name in inputs], out)
    assert refused == []
    return [source.stem for source in found], told


def test_the_output_folder_inside_an_input_folder_is_no_input(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "b.png", "masks/a_mask.png", "masks/gone_mask.png", "masks/a_overlay.png", "masking/c.png")
    found, told = stems([tmp_path], tmp_path / "masks")
    assert found == ["a", "b", "masking/c"]
    assert told == [f"3 results of an earlier run in {tmp_path / 'masks'} were left out."]


def test_the_same_holds_for_a_glob(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "masks/a_mask.png")
    assert stems([f"{tmp_path}/**/*.png"], tmp_path / "masks")[0] == ["a"]


def test_results_among_the_images_are_no_input(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "a_mask.png", "a_overlay.png", "ct_mask.png", "b/c.png", "b/c_mask/0.png")
    found, told = stems([tmp_path], tmp_path)
    # ct_mask.png is no result of anything that is there.
    assert found == ["a", "b/c", "ct_mask"]
    assert told == [f"3 results of an earlier run in {tmp_path} were left out."]


def test_what_is_named_in_the_output_folder_is_meant(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "masks/x.png", "masks/old/y.png")
    inputs = [tmp_path, tmp_path / "masks" / "x.png", tmp_path / "masks" / "old"]
    assert stems(inputs, tmp_path / "masks") == (["a", "masks/old/y", "masks/x"], [])


def test_a_folder_elsewhere_may_hold_what_looks_like_results(tmp_path: Path) -> None:
    draw(tmp_path, "in/a.png", "in/a_mask.png")
    assert stems([tmp_path / "in"], tmp_path / "out") == (["a", "a_mask"], [])


def note(folder: Path, *stems: str) -> None:
    """As an inference does that has written to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        note_source(folder, stem, Known(stem, ""))


def test_results_of_another_inference_are_no_input(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "b/c.png", "lungs/a_mask.png", "lungs/a_overlay.png", "lungs/b/c_mask/0.png", "lungs/d.png")
    note(tmp_path / "lungs", "a", "b/c")
    found, told = stems([tmp_path], tmp_path / "heart")
    assert found == ["a", "b/c", "lungs/d"]
    first = tmp_path / "lungs" / "a_mask.png"
    assert told == [f"{first} and 2 others: results of another inference, left out. Name a file to have it segmented."]
    # The same for a glob; and what is named outright is meant.
    assert stems([f"{tmp_path}/**/*.png"], tmp_path / "heart")[0] == ["a", "c", "d"]
    assert stems([first], tmp_path / "heart") == (["a_mask"], [])


def test_results_of_another_inference_among_the_images_are_no_input(tmp_path: Path) -> None:
    draw(tmp_path, "in/a.png", "in/a_mask.png", "in/b_mask.png")
    note(tmp_path / "in", "a")
    assert stems([tmp_path / "in"], tmp_path / "out")[0] == ["a", "b_mask"]


def test_a_damaged_archive_is_refused_and_the_others_are_sources(tmp_path: Path) -> None:
    draw(tmp_path, "a.png")
    with zipfile.ZipFile(tmp_path / "good.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "b.png")
    (tmp_path / "bad.zip").write_bytes((tmp_path / "good.zip").read_bytes()[:-30])
    bad, good = str(tmp_path / "bad.zip"), str(tmp_path / "good.zip")
    found, refused, _ = find_sources([bad, good], tmp_path / "out")
    assert [source.stem for source in found] == ["b"]
    assert refused == [Refusal(bad, f"{bad}: the zip archive is damaged or cut short. Copy it again.")]
    found, refused, told = find_sources([bad], tmp_path / "out")
    assert (found, len(refused), told) == ([], 1, [])


def test_a_note_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    draw(tmp_path, "in/a.png", "in/a_mask.png")
    (tmp_path / "in" / SOURCES).write_bytes(b'\xff\xfe{"stem"')
    assert stems([tmp_path / "in"], tmp_path / "out")[0] == ["a", "a_mask"]


def test_results_alone_are_no_input(tmp_path: Path) -> None:
    draw(tmp_path, "masks/a_mask.png")
    with pytest.raises(MissingFile, match="nothing but results of an earlier run"):
        find_sources([str(tmp_path)], tmp_path / "masks")


def test_a_picture_that_is_named_in_two_ways_comes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path, "films/a.png")
    monkeypatch.chdir(tmp_path)
    names = ["films", "./films/a.png", str(tmp_path / "films"), "films/../films/a.png"]
    assert stems(names, tmp_path / "out") == (["a"], [])


def test_a_file_that_may_not_be_read_is_refused_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path, "a.png", "b.png")

    def slices_in(path: str) -> list[str]:
        if path.endswith("a.png"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return [path]

    monkeypatch.setattr(sources_module, "slices_in", slices_in)
    found, refused, _ = find_sources([str(tmp_path)], tmp_path / "out")
    assert [source.stem for source in found] == ["b"]
    assert [refusal.reason for refusal in refused] == [f"{tmp_path / 'a.png'}: Permission denied."]


@pytest.mark.parametrize("name", ["a_mask.png", "a_mask.nii.gz", "a_prob.nii.gz", "a_overlay.png", "a_mask/0.png"])
def test_any_result_that_is_there_is_told(tmp_path: Path, name: str) -> None:
    draw(tmp_path, "in/a.png")
    found, _, _ = find_sources([str(tmp_path / "in")], tmp_path / "out")
    require_new(tmp_path / "out", found)
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).touch()
    with pytest.raises(OutputExists, match=r"a_(mask|prob|overlay)"):
        require_new(tmp_path / "out", found)


def test_a_reason_names_the_file_once() -> None:
    assert reason(UnreadableImage("in/a.png: cut\nshort"), "in/a.png") == "in/a.png: cut short"
    assert reason(RuntimeError("size 3 against 4"), "in/a.png") == "in/a.png: size 3 against 4"
    assert reason(KeyError(), "in/a.png") == "in/a.png: KeyError"


def test_reports_and_segmentations_among_a_study_s_images_are_left_out_and_told(tmp_path: Path) -> None:
    draw(tmp_path, "study/film.png")
    report = dicom_object(tmp_path / "study" / "sr.dcm", "1.2.840.10008.5.1.4.1.1.88.11")
    dicom_object(tmp_path / "study" / "seg.dcm", "1.2.840.10008.5.1.4.1.1.66.4")
    found, told = stems([tmp_path / "study"], tmp_path / "out")
    assert found == ["film"]
    assert [line for line in told if "no images, but reports" in line and "and 1 other:" in line] == told
    # Named outright it is meant, and what is wrong with it is said.
    _, refused, _ = find_sources([str(tmp_path / "study" / "film.png"), report], tmp_path / "out")
    assert "Basic Text SR" in refused[0].reason
    (tmp_path / "study" / "film.png").unlink()
    with pytest.raises(MissingFile, match="no image among them"):
        find_sources([str(tmp_path / "study")], tmp_path / "out")


def dicom_object(path: Path, sop_class: str) -> str:
    """A DICOM object without pixels."""
    ds = pydicom.Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, pydicom.uid.generate_uid()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = sop_class, ds.SOPInstanceUID
    if hasattr(pydicom, "pixels"):
        pydicom.dcmwrite(path, ds, enforce_file_format=True)
    else:  # pydicom 2
        ds.is_little_endian, ds.is_implicit_VR = True, False
        pydicom.dcmwrite(path, ds, write_like_original=False)
    return str(path)


@pytest.mark.parametrize(("given", "out"), [("real", "link/masks"), ("link", "real/masks")])
def test_results_are_known_through_a_link_to_their_folder(tmp_path: Path, given: str, out: str) -> None:
    draw(tmp_path / "real", "a.png", "masks/a_mask.png")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert stems([tmp_path / given], tmp_path / out)[0] == ["a"]


def test_of_what_a_library_has_wrapped_the_inner_reason_is_told() -> None:
    try:
        try:
            raise ValueError("no such axis")
        except ValueError as error:
            raise RuntimeError("applying transform <object at 0x7f>") from error
    except RuntimeError as error:
        assert reason(error, "film.png") == "film.png: no such axis"


def test_a_slice_that_cannot_be_opened_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    draw(tmp_path, "a.png")
    (tmp_path / "gone.dcm").symlink_to(tmp_path / "nowhere.dcm")
    found, refused, _ = find_sources([str(tmp_path)], tmp_path / "out")
    assert [source.stem for source in found] == ["a"]
    assert [Path(refusal.file).name for refusal in refused] == ["gone.dcm"]
