"""From files to a datalist: codings, checks, subjects, sides, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from pipeline.datalist import load_cases, pixel_digest
from pipeline.errors import InvalidDatalist, InvalidOption, InvalidSplit, MissingFile, OutputExists, UnknownLabel
from pipeline.labels import LabelCoding
from pipeline.readers import read_picture
from pipeline.split import PARTS, Fractions
from pipeline.tasks.index import (
    IndexOptions,
    LabelOptions,
    PairingOptions,
    SplitOptions,
    SubjectOptions,
    index_set,
    read_task_spec,
)
from pipeline.tasks.index.pairing import Pair
from pipeline.tasks.index.shared_names import names_that_begin_alike

FEW = IndexOptions(split=SplitOptions(folds=1), workers=1)


def index(small_set, *mask_folders, options=FEW, **changes):
    folders = [small_set.root / name for name in mask_folders] or [small_set.masks]
    return index_set(small_set.images, folders, small_set.output, replace(options, **changes))


def test_masks_of_which_none_can_be_read_are_not_called_empty(small_set):
    small_set.cases(3)
    for mask in small_set.masks.iterdir():
        mask.write_bytes(mask.read_bytes()[:20])
    with pytest.raises(
        InvalidDatalist, match=r"No mask can be read: \d+ unreadable; e\.g\. .*[^.]\. Nothing was written"
    ):
        index(small_set)


def film(path, *, seed, patient="Doe", study="1.2", series=None, slice_mm=0.0):
    """A DICOM film of 20 rows and 24 columns, or a CT slice if it is of a series."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.3.{seed}"
    header = Dataset()
    header.file_meta = meta
    header.SOPClassUID, header.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    header.PatientID, header.StudyInstanceUID, header.Modality = patient, study, "CT" if series else "CR"
    header.Rows, header.Columns, header.SamplesPerPixel = 20, 24, 1
    header.PhotometricInterpretation, header.PixelRepresentation = "MONOCHROME2", 0
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
    if series:
        header.SeriesInstanceUID, header.PixelSpacing = f"1.2.9.{series}", [1, 1]
        header.ImageOrientationPatient, header.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, slice_mm]
    pixels = np.random.default_rng(seed).integers(0, 4096, (20, 24)).astype("<u2")
    header.PixelData = pixels.tobytes()
    header.save_as(path, enforce_file_format=True)


def refused(result) -> dict[str, str]:
    return {Path(finding.file).name: finding.code for finding in result.datalist.refused}


def warned(result) -> dict[str, str]:
    return {Path(finding.file).name: finding.code for finding in result.datalist.warnings}


def items(result) -> list[dict]:
    return [item for part in PARTS for item in result.datalist.part(part)]


def by_name(result) -> dict[str, dict]:
    return {Path(item["image"]).name: item for item in items(result)}


def decoded(result, name: str) -> np.ndarray:
    """The classes of a case, read back from the datalist alone."""
    for part in PARTS:
        for case in load_cases(result.path, part) if result.datalist.part(part) else ():
            if Path(case["image"]).name == name:
                files = case["label"] if isinstance(case["label"], list) else [case["label"]]
                masks = [read_picture(file, labels=True).array for file in files]
                mask = np.stack(masks, -1) if len(masks) > 1 else masks[0]
                return LabelCoding.parse(case["label_coding"]).decode(mask)
    raise AssertionError(f"{name} is in no part")


def test_items_say_what_the_files_hold(small_set):
    result = index(small_set.cases(10))
    assert [len(result.datalist.part(part)) for part in PARTS] == [7, 1, 2]
    item = by_name(result)["c03.png"]
    image, mask = (read_picture(small_set.root / name / "c03.png").array for name in ("images", "masks"))
    assert item["image"] == "images/c03.png"
    assert item["label"] == "masks/c03.png"
    assert item["label_coding"] == "threshold:127"
    assert item["image_sha256"] == pixel_digest(image)
    assert item["label_sha256"] == pixel_digest(mask)
    assert item["shape"] == [24, 20]
    assert "spacing_mm" not in item
    assert decoded(result, "c03.png")[7, 12] == 1
    assert result.class_pixels == (10 * 380, 10 * 100)


def test_index_is_the_same_whatever_the_number_of_processes(small_set):
    small_set.cases(60)
    first = index(small_set)
    second = index(small_set, workers=2, overwrite=True)
    assert first.datalist == second.datalist


def test_progress_reaches_the_number_of_pairs(small_set):
    seen = []
    index_set(
        small_set.cases(5).images,
        [small_set.masks],
        small_set.output,
        FEW,
        on_progress=lambda *told: seen.append(told),
    )
    assert seen[-1] == ("Checking", 5, 5)
    assert ("Reading masks", 5, 5) in seen


def test_bad_files_among_good_ones_are_listed_and_the_rest_go_on(small_set):
    small_set.cases(6)
    (small_set.images / "c00.png").write_bytes(b"")
    (small_set.masks / "c01.png").write_bytes((small_set.masks / "c01.png").read_bytes()[:60])
    small_set.mask("c02.png", size=(20, 24))
    small_set.image("lone.png")
    small_set.mask("widow.png")
    result = index(small_set)
    assert refused(result) == {
        "c00.png": "unreadable",
        "c01.png": "unreadable",
        "c02.png": "size_mismatch",
        "lone.png": "missing_mask",
        "widow.png": "mask_without_image",
    }
    assert sorted(by_name(result)) == ["c03.png", "c04.png", "c05.png"]
    reasons = {finding.code: finding.reason for finding in result.datalist.refused}
    assert "20×24 does not match image 24×20 (turned by 90°?)" in reasons["size_mismatch"]
    assert json.loads(small_set.output.read_text())["refused"][0].keys() == {"file", "code", "reason"}


def test_empty_mask_is_a_warning_or_a_refusal(small_set):
    small_set.cases(5)
    small_set.mask("c01.png", value=0)
    assert warned(index(small_set)) == {"c01.png": "empty_mask"}
    assert refused(index(small_set, refuse_empty=True, overwrite=True)) == {"c01.png": "empty_mask"}


def test_constant_image_is_a_warning(small_set):
    small_set.cases(5)
    Image.new("L", (24, 20), 77).save(small_set.images / "c01.png")
    assert warned(index(small_set)) == {"c01.png": "constant_image"}


def test_value_beyond_the_named_classes_is_refused(small_set):
    small_set.cases(5, value=2)
    small_set.mask("c01.png", value=9)
    result = index(small_set, labels=LabelOptions(levels="0=background,1=a,2=b"))
    assert refused(result) == {"c01.png": "unknown_label"}


def test_same_pixels_twice_keep_the_first_and_name_it(small_set):
    small_set.cases(5)
    Image.open(small_set.images / "c01.png").save(small_set.images / "x.tif")
    small_set.mask("x.png")
    result = index(small_set)
    assert refused(result) == {"x.tif": "duplicate_image"}
    assert "case 'c01', with the same mask" in result.datalist.refused[0].reason


def test_a_copy_that_is_refused_costs_no_case(small_set):
    small_set.cases(5)
    Image.open(small_set.images / "c01.png").save(small_set.images / "a.tif")  # comes first, and no table names it
    small_set.mask("a.png")
    lines = "\n".join(f"c0{number}.png,{number}" for number in range(5))
    (small_set.root / "index.csv").write_text(f"file,patient\n{lines}\n")
    result = index(small_set, subjects=SubjectOptions(column=f"{small_set.root / 'index.csv'}:patient"))
    assert refused(result) == {"a.tif": "no_subject"}
    assert sum(len(result.datalist.part(part)) for part in PARTS) == 5


def test_nearly_same_pixels_become_one_subject(small_set):
    small_set.cases(8)
    picture = np.asarray(Image.open(small_set.images / "c01.png")).astype(int)
    Image.fromarray((picture + 1).clip(0, 255).astype(np.uint8)).save(small_set.images / "x.png")
    small_set.mask("x.png")
    result = index(small_set)
    assert warned(result) == {"x.png": "near_duplicate"}
    assert by_name(result)["x.png"]["subject"] == by_name(result)["c01.png"]["subject"]
    assert sum(result.datalist.split["subjects"].values()) == 8


def test_subject_stays_on_one_side_and_its_name_is_not_written(small_set):
    small_set.cases(12)
    rows = "".join(f"c{k:02d}.png,Doe{k % 4}\n" for k in range(12))
    (small_set.root / "index.csv").write_text("file,patient\n" + rows)
    subjects = SubjectOptions(column=f"{small_set.root / 'index.csv'}:patient")
    result = index(small_set, subjects=subjects)
    sides = {}
    for part in PARTS:
        for item in result.datalist.part(part):
            assert sides.setdefault(item["subject"], part) == part
    assert len(sides) == 4
    assert "Doe" not in small_set.output.read_text()


def test_split_does_not_depend_on_the_key(small_set, monkeypatch):
    small_set.cases(12)
    first = index(small_set)
    monkeypatch.setenv("PLANAR_SUBJECT_KEY", "another key for tests")
    second = index(small_set, overwrite=True)
    for part in PARTS:
        one, two = first.datalist.part(part), second.datalist.part(part)
        assert [item["image"] for item in one] == [item["image"] for item in two]
        assert not {item["subject"] for item in one} & {item["subject"] for item in two}


def test_image_without_subject_is_refused(small_set):
    small_set.cases(5)
    (small_set.root / "index.csv").write_text("file,patient\nc00.png,1\nc01.png,2\nc02.png,3\nc03.png,4\n")
    result = index(small_set, subjects=SubjectOptions(column=f"{small_set.root / 'index.csv'}:patient"))
    assert refused(result) == {"c04.png": "no_subject"}


def test_subject_by_pattern(small_set):
    for seed, name in enumerate(f"{patient}_{view}.png" for patient in "abcd" for view in "12"):
        small_set.image(name, seed=seed)
        small_set.mask(name)
    result = index(small_set, subjects=SubjectOptions(pattern="^(.)_"))
    assert sum(result.datalist.split["subjects"].values()) == 4


def test_only_one_source_of_subjects_is_allowed(small_set):
    with pytest.raises(InvalidOption, match="one place"):
        index(small_set.cases(5), subjects=SubjectOptions(pattern="(.)", tag="PatientID"))


def test_dicom_subject_is_the_patient_or_the_tag_asked_for(small_set):
    for k in range(6):
        film(small_set.images / f"{k}.dcm", seed=k, patient=f"Doe{k // 2}", study=f"1.2.{k}")
        small_set.mask(f"{k}.png")
    by_patient = index(small_set)
    assert sum(by_patient.datalist.split["subjects"].values()) == 3
    assert by_patient.datalist.modality == "CR"
    assert "Doe" not in small_set.output.read_text()
    by_study = index(small_set, subjects=SubjectOptions(tag="StudyInstanceUID"), overwrite=True)
    assert sum(by_study.datalist.split["subjects"].values()) == 6
    with pytest.raises(InvalidOption, match="no such keyword"):
        index(small_set, subjects=SubjectOptions(tag="Patient"), overwrite=True)


def test_files_without_the_tag_are_refused(small_set):
    small_set.cases(4)
    with pytest.raises(InvalidDatalist, match="no StudyInstanceUID"):
        index(small_set, subjects=SubjectOptions(tag="StudyInstanceUID"))


def test_folder_of_a_dicom_series_is_one_volume_if_its_mask_is(small_set):
    for name in ("p1", "p2", "p3"):
        for k in range(4):
            film(
                small_set.images / name / f"s{9 - k}.dcm",
                seed=ord(name[1]) * 10 + k,
                series=name[1],
                slice_mm=5.0 * k,
                patient=name,
            )
        mask = np.zeros((24, 20, 4), np.uint8)
        mask[3:9, 3:9, 1:3] = 1
        volume(small_set.masks / f"{name}.nii.gz", mask, across=-1)  # as the series lies
    result = index(small_set)
    assert sorted(by_name(result)) == [f"{name}#slice={k}" for name in ("p1", "p2", "p3") for k in (1, 2)]
    case = by_name(result)["p2#slice=1"]
    assert case["image_sha256"] == pixel_digest(read_picture(small_set.images / "p2#slice=1").array)


def test_slices_of_a_series_stay_single_if_their_masks_do(small_set):
    for k in range(4):
        film(small_set.images / f"s{k}.dcm", seed=k, series="1", slice_mm=5.0 * k, patient=str(k))
        small_set.mask(f"s{k}.png")
    assert sorted(by_name(index(small_set))) == ["s0.dcm", "s1.dcm", "s2.dcm", "s3.dcm"]


def test_split_column_is_followed(small_set):
    small_set.cases(4)
    (small_set.root / "index.csv").write_text("file,set\nc00,train\nc01,Val\nc02,test\nc03,TRAIN\n")
    result = index(small_set, split=SplitOptions(column=f"{small_set.root / 'index.csv'}:set"))
    assert [len(result.datalist.part(part)) for part in PARTS] == [2, 1, 1]
    assert result.datalist.split["folds"] == 3  # nobody asked for five, which three subjects cannot fill


def test_subject_on_two_sides_of_a_split_column_is_refused(small_set):
    small_set.cases(3)
    (small_set.root / "index.csv").write_text("file,set,who\nc00,train,Doe\nc01,test,Doe\nc02,test,Roe\n")
    table = small_set.root / "index.csv"
    with pytest.raises(InvalidSplit, match="1 subject on two sides") as caught:
        index(small_set, subjects=SubjectOptions(column=f"{table}:who"), split=SplitOptions(folds=1, column="set"))
    assert "Doe" not in str(caught.value)
    assert not small_set.output.exists()


RARE = LabelOptions(levels="0=background,128=lung,255=heart")
HALVES = SplitOptions(Fractions(0.5, 0, 0.5), folds=2)


def with_a_rare_class(small_set):
    """Twelve cases; a heart in two of them."""
    small_set.cases(12, value=128)
    for name in ("c01.png", "c03.png"):
        small_set.mask(name, value=255, background=128)
    return small_set


def test_a_rare_class_on_one_side_is_told(small_set):
    with_a_rare_class(small_set)
    told = {}
    for seed in range(4):
        split = replace(HALVES, seed=seed)
        result = index(small_set, labels=RARE, split=split, overwrite=True)
        told[seed] = [finding.reason for finding in result.datalist.warnings if finding.code == "one_sided_class"]
    one_sided = [reasons for reasons in told.values() if reasons]
    assert one_sided and len(one_sided) < 4
    assert all("heart is in 2 masks, and in none of the t" in reasons[0] for reasons in one_sided)


@pytest.mark.parametrize("seed", range(4))
def test_a_stratified_split_shares_a_rare_class_out(small_set, seed):
    with_a_rare_class(small_set)
    result = index(small_set, labels=RARE, split=replace(HALVES, seed=seed, stratify=True))
    rare = {"c01.png", "c03.png"}
    sides = [part for part in PARTS for item in result.datalist.part(part) if Path(item["image"]).name in rare]
    assert sides == ["training", "test"]
    assert not [finding for finding in result.datalist.warnings if finding.code == "one_sided_class"]
    assert result.datalist.split["method"] == "seeded, stratified by class"


@pytest.mark.parametrize("other", [{"test_only": True}, {"column": "set"}])
def test_a_split_that_is_given_is_not_stratified(small_set, other):
    with pytest.raises(InvalidOption, match="--stratify chooses the split"):
        index(small_set.cases(3), split=SplitOptions(stratify=True, **other))


def test_test_only_puts_everything_into_test(small_set):
    result = index(small_set.cases(3), split=SplitOptions(test_only=True))
    assert [len(result.datalist.part(part)) for part in PARTS] == [0, 0, 3]
    assert "fold" not in items(result)[0]


def test_too_few_subjects_leave_no_file(small_set):
    with pytest.raises(InvalidSplit):
        index(small_set.cases(2))
    assert not small_set.output.exists()


def test_folders_of_classes_keep_their_class_and_report_overlaps(small_set):
    small_set.cases(5, box=(2, 2, 10, 10))
    for k in range(5):
        small_set.mask(f"c{k:02d}.png", box=(12, 2, 20, 10) if k else (8, 2, 16, 10), folder="right")
    labels = LabelOptions(class_names=("left_lung", "right_lung"))
    result = index(small_set, "masks", "right", labels=labels)
    assert result.datalist.labels == ["background", "left_lung", "right_lung"]
    assert np.unique(decoded(result, "c01.png")).tolist() == [0, 1, 2]
    assert warned(result) == {"c00.png": "overlapping_masks"}


def test_folders_merged_are_one_class(small_set):
    small_set.cases(5, box=(2, 2, 10, 10))
    for k in range(5):
        small_set.mask(f"c{k:02d}.png", box=(12, 2, 20, 10), folder="right")
    result = index(small_set, "masks", "right", labels=LabelOptions(merge=True, class_names=("lung",)))
    assert result.datalist.labels == ["background", "lung"]
    assert np.count_nonzero(decoded(result, "c01.png") == 1) == 128


def test_case_missing_in_one_folder_keeps_the_class_of_the_other(small_set):
    small_set.cases(5, box=(2, 2, 10, 10))
    for k in range(1, 5):
        small_set.mask(f"c{k:02d}.png", box=(12, 2, 20, 10), folder="right")
    result = index(
        small_set,
        "right",
        "masks",
        labels=LabelOptions(class_names=("right", "left")),
        pairing=PairingOptions(allow_missing_masks=True),
    )
    assert by_name(result)["c00.png"]["label_coding"] == "threshold:127@2"
    assert np.unique(decoded(result, "c00.png")).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("lung", "Lung"), "lung, Lung: 'Lung' is there twice"),
        (("lung", ""), "one has no name"),
        (("background", "lung"), "background, background, lung: 'background' is there twice"),
    ],
)
def test_classes_without_a_name_of_their_own_are_refused(small_set, names, said):
    small_set.cases(4)
    with pytest.raises(InvalidOption, match=said):
        index(small_set, labels=LabelOptions(class_names=names))


def test_several_folders_need_to_be_one_class_or_several(small_set):
    small_set.cases(3)
    small_set.mask("c00.png", folder="Right")
    with pytest.raises(InvalidOption, match="--class-names masks,right"):
        index(small_set, "masks", "Right")


def test_coloured_masks_by_option_and_by_guess(small_set):
    small_set.cases(5, value=(0, 0, 255))
    given = index(small_set, labels=LabelOptions(colours="#0000ff=lung,#000000=background"))
    assert given.datalist.labels == ["background", "lung"]
    guessed = index(small_set, overwrite=True)
    assert guessed.datalist.labels == ["background", "blue"]
    assert guessed.coding_was_guessed
    for result in (given, guessed):
        assert np.count_nonzero(decoded(result, "c02.png") == 1) == 100


def test_palette_masks_follow_their_own_palette_under_colours(small_set):
    small_set.cases(4)
    for k in range(4):
        mask = Image.fromarray(np.asarray(Image.open(small_set.masks / f"c{k:02d}.png")) // 255 * (k + 1)).convert("P")
        palette = [255, 255, 0] * 256
        palette[:3], palette[3 * (k + 1) : 3 * (k + 1) + 3] = (0, 0, 0), (0, 0, 250)
        mask.putpalette(palette)
        mask.save(small_set.masks / f"c{k:02d}.png")
    labels = LabelOptions(colours="#000000=background,#0000ff=lung,#ffff00=other")
    result = index(small_set, labels=labels)
    for k in range(4):
        assert np.unique(decoded(result, f"c{k:02d}.png"), return_counts=True)[1].tolist() == [380, 100]


def palette_mask(path, indices, palette):
    """A palette PNG of 24×20 pixels: rows of equal height of some indices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.repeat(np.array(indices, np.uint8), 20 // len(indices))[:, None].repeat(24, 1), "P")
    image.putpalette([value for grey in palette for value in (grey,) * 3])
    image.save(path)


def classes_in(item, n_classes):
    mask = read_picture(item["label"], labels=True).array
    return np.unique(LabelCoding.parse(item["label_coding"]).decode(mask, n_classes=n_classes)).tolist()


def test_palettes_in_which_an_index_means_two_colours_are_guessed_by_their_colours(small_set):
    small_set.cases(4)
    for k in range(4):
        drawn = Image.open(small_set.masks / f"c{k:02d}.png")
        # The same picture in every file: half of them begin their palette with black, half with white.
        indices = (np.asarray(drawn) > 0).astype(np.uint8) ^ (k % 2)
        mask = Image.fromarray(indices, "P")
        mask.putpalette([255] * 3 + [0] * 3 if k % 2 else [0] * 3 + [255] * 3)
        mask.save(small_set.masks / f"c{k:02d}.png")
    result = index(small_set)
    assert result.class_pixels == (4 * 380, 4 * 100)
    assert [np.count_nonzero(decoded(result, f"c{k:02d}.png")) for k in range(4)] == [100] * 4


def test_masks_whose_background_is_white_are_doubted_or_refused(small_set):
    small_set.cases(4, value=0, background=255)
    result = index(small_set)
    assert warned(result) == {"c00.png": "inverted_masks"}
    (doubt,) = [finding.reason for finding in result.datalist.warnings]
    assert "--levels 255=background,0=foreground" in doubt
    said = index(small_set, labels=LabelOptions(levels="255=background,0=foreground"), overwrite=True)
    assert said.class_pixels == (4 * 380, 4 * 100) and not said.datalist.warnings
    for k in range(4):
        mask = Image.open(small_set.masks / f"c{k:02d}.png")
        mask.paste(128, (6, 6, 9, 9))
        mask.save(small_set.masks / f"c{k:02d}.png")
    with pytest.raises(UnknownLabel, match="255=background,0=class_1,128=class_2"):
        index(small_set, overwrite=True)


def test_folders_of_one_class_each_do_not_hold_several(small_set):
    small_set.cases(4)
    small_set.cases(4, folder="right", box=(16, 5, 20, 15))
    for folder in ("masks", "right"):
        for file in (small_set.root / folder).iterdir():
            mask = Image.open(file)
            mask.paste(128, (6, 6, 9, 9))
            mask.save(file)
    labels = LabelOptions(class_names=("left", "right"))
    with pytest.raises(UnknownLabel, match=r"hold 3 values \(0, 128, 255\).*--threshold 127.5"):
        index(small_set, "masks", "right", labels=labels)
    result = index(small_set, "masks", "right", labels=replace(labels, threshold=127.5))
    assert result.datalist.labels == ["background", "left", "right"]


def test_masks_of_one_bit_are_black_and_white_under_a_threshold(small_set):
    small_set.cases(4)
    for file in small_set.masks.iterdir():
        Image.open(file).convert("1").save(file)
    result = index(small_set, labels=LabelOptions(threshold=127))
    assert result.class_pixels[1] == 4 * 100 and not result.datalist.warnings
    assert all(classes_in(item, 2) == [0, 1] for item in load_cases(small_set.output, "training"))


def test_folders_of_one_bit_masks_are_one_class_too(small_set):
    small_set.cases(4)
    small_set.cases(4, folder="right", box=(16, 5, 20, 15))
    for file in [*small_set.masks.iterdir(), *(small_set.root / "right").iterdir()]:
        Image.open(file).convert("1").save(file)
    Image.new("1", (24, 20)).save(small_set.root / "right" / "c00.png")  # a lung that is gone
    result = index(small_set, "masks", "right", labels=LabelOptions(threshold=127, merge=True))
    assert result.class_pixels[1] == 4 * 100 + 3 * 40


@pytest.mark.parametrize(
    ("palette", "levels", "half"),
    [
        ((0, 128, 255), "0=background,128=cytoplasm,255=nucleus", 2),
        ((0, 128, 255), "0=background,1=cytoplasm,2=nucleus", 2),  # of the indices
        ((255, 0, 128), "0=background,128=cytoplasm,255=nucleus", 1),
    ],
)
def test_grey_palettes_mean_their_greys_where_the_levels_speak_of_them(small_set, palette, levels, half):
    """Half of each mask has the index 2."""
    small_set.cases(4)
    for k in range(4):
        palette_mask(small_set.masks / f"c{k:02d}.png", [0, 1, 2, 2], palette)
    result = index(small_set, labels=LabelOptions(levels=levels))
    assert all(classes_in(item, 3) == [0, 1, 2] for item in load_cases(small_set.output, "training"))
    assert result.class_pixels[half] == 4 * 240


def test_masks_of_which_no_pixel_is_a_class_are_refused_with_what_to_say(small_set):
    small_set.cases(4, value=1)
    with pytest.raises(UnknownLabel, match=r"c00\.png: it holds values other than 0.*threshold:127.*--threshold 0"):
        index(small_set, labels=LabelOptions(threshold=127))
    assert not small_set.output.exists()


def test_masks_that_are_empty_in_truth_may_all_be_so_where_the_coding_is_said(small_set):
    small_set.cases(4, value=0)
    assert index(small_set, labels=LabelOptions(threshold=127)).class_pixels == (4 * 480, 0)


def test_blurred_colours_are_not_guessed(small_set):
    small_set.cases(5, value=(0, 0, 255))
    for k in range(5):
        path = small_set.masks / f"c{k:02d}.png"
        Image.open(path).resize((48, 40), Image.Resampling.BICUBIC).resize((24, 20), Image.Resampling.BICUBIC).save(
            path
        )
    with pytest.raises(UnknownLabel, match="--colours '#000000=background,#0000ff=blue'"):
        index(small_set)


def test_exact_colours_refuse_a_blurred_mask(small_set):
    small_set.cases(5, value=(0, 0, 255))
    small_set.mask("c00.png", value=(0, 0, 250))
    result = index(small_set, labels=LabelOptions(colours="#000000=background,#0000ff=lung", exact=True))
    assert refused(result) == {"c00.png": "unknown_label"}


def test_task_spec_names_classes_and_coding(small_set):
    spec = small_set.root / "task.yaml"
    spec.write_text("name: cells\nmodality: SM\nlabels: [background, cell]\nmasks: threshold:100\n")
    result = index(small_set.cases(5), labels=LabelOptions(task=read_task_spec(spec)))
    assert (result.datalist.name, result.datalist.modality) == ("cells", "SM")
    assert result.datalist.labels == ["background", "cell"]
    assert items(result)[0]["label_coding"] == "threshold:100"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("labels: [background]\nmasks: index7\n", "cannot be read"),
        ("labels: [background]\nmasks: threshold:1\n", "more classes than labels"),
        ("name: x\n", "no task spec"),
        ("- 1\n", "no task spec"),
        ("a: [", "no task spec"),
    ],
)
def test_unusable_task_spec_is_refused_with_its_name(tmp_path, text, said):
    (tmp_path / "task.yaml").write_text(text)
    with pytest.raises(InvalidOption, match=said) as caught:
        read_task_spec(tmp_path / "task.yaml")
    assert "task.yaml" in str(caught.value)


def test_every_task_spec_of_the_project_can_be_read():
    specs = sorted((Path(__file__).parents[3] / "configs" / "tasks").glob("*.yaml"))
    assert len(specs) >= 7
    for path in specs:
        assert read_task_spec(path).name == path.stem


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (LabelOptions(threshold=1, levels="0=background,1=a"), "both say"),
        (LabelOptions(exact=True), "belongs to --colours"),
        (LabelOptions(merge=True), "several mask folders"),
        (LabelOptions(levels="0=background,1"), "must give"),
        (LabelOptions(levels="a=background,1=b"), "cannot be read"),
        (LabelOptions(colours="blue=background,red=b"), "cannot be read"),
        (LabelOptions(threshold=1, class_names=("a", "b")), "2 classes"),
        (LabelOptions(levels="0=background,1=a", class_names=("a",)), "drop --class-names"),
    ],
)
def test_contradicting_label_options_are_refused(small_set, labels, said):
    with pytest.raises(InvalidOption, match=said):
        index(small_set.cases(3), labels=labels)


def test_existing_output_is_kept(small_set):
    small_set.output.write_text("mine")
    with pytest.raises(OutputExists, match="--overwrite"):
        index(small_set.cases(5))
    assert small_set.output.read_text() == "mine"


def test_missing_folder_is_named(small_set):
    small_set.cases(3)
    with pytest.raises(MissingFile, match="none"):
        index(small_set, "none")


def test_set_without_a_good_case_is_refused_with_the_reasons(small_set):
    small_set.cases(3, size=(9, 9), box=(1, 1, 5, 5))
    with pytest.raises(InvalidDatalist, match="3 size_mismatch"):
        index(small_set)
    assert not small_set.output.exists()


def volume(path, array, across=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([across, across, 5, 1])), path)


def test_volume_gives_a_case_for_each_slice_with_label(small_set):
    generator = np.random.default_rng(0)
    for name in "abc":
        scan, mask = generator.normal(size=(20, 18, 6)).astype(np.float32), np.zeros((20, 18, 6), np.uint8)
        mask[5:9, 5:9, 2:4] = 1
        volume(small_set.images / f"{name}.nii.gz", scan)
        volume(small_set.masks / f"{name}_seg.nii.gz", mask)
    result = index(small_set)
    assert sorted(by_name(result)) == [f"{name}.nii.gz#slice={k}" for name in "abc" for k in (2, 3)]
    assert sum(result.datalist.split["subjects"].values()) == 3
    item = by_name(result)["b.nii.gz#slice=3"]
    assert item["label"] == "masks/b_seg.nii.gz#slice=3"
    assert item["shape"] == [20, 18]
    assert item["spacing_mm"] == [1.0, 1.0]
    assert item["image_sha256"] == pixel_digest(read_picture(small_set.images / "b.nii.gz#slice=3").array)
    assert np.count_nonzero(decoded(result, "b.nii.gz#slice=3")) == 16
    assert set(warned(result).values()) == {"empty_slices"}


def test_slices_without_label_are_kept_on_request(small_set):
    for name in "abc":
        scan = np.random.default_rng(ord(name)).normal(size=(20, 18, 10)).astype(np.float32)
        mask = np.zeros((20, 18, 10), np.uint8)
        mask[5:9, 5:9, 2] = 1
        volume(small_set.images / f"{name}.nii", scan)
        volume(small_set.masks / f"{name}.nii", mask)
    assert len(items(index(small_set, keep_empty_slices=1.0))) == 30
    half = len(items(index(small_set, keep_empty_slices=0.5, overwrite=True)))
    assert 8 <= half <= 25


def test_volumes_of_other_depth_are_refused(small_set):
    volume(small_set.images / "a.nii", np.random.default_rng(0).normal(size=(20, 18, 6)).astype(np.float32))
    volume(small_set.masks / "a.nii", np.ones((20, 18, 5), np.uint8))
    with pytest.raises(InvalidDatalist, match="20×18×5 does not match image 20×18×6"):
        index(small_set, labels=LabelOptions(threshold=0))


def test_shifted_grid_of_equal_size_is_a_warning(small_set):
    for name, shift in (("a", 0), ("b", 30), ("c", 0)):
        scan = np.random.default_rng(ord(name)).normal(size=(20, 18, 4)).astype(np.float32)
        volume(small_set.images / f"{name}.nii", scan)
        affine = np.diag([1.0, 1, 5, 1])
        affine[0, 3] = shift
        small_set.masks.mkdir(exist_ok=True)
        mask = np.zeros((20, 18, 4), np.uint8)
        mask[3:9, 3:9] = 1
        nib.save(nib.Nifti1Image(mask, affine), small_set.masks / f"{name}.nii")
    assert warned(index(small_set)) == {"b.nii": "geometry_differs"}


def test_float_picture_with_nan_is_a_warning(small_set):
    small_set.cases(5)
    picture = np.random.default_rng(0).normal(size=(20, 24)).astype(np.float32)
    picture[3, 3] = np.nan
    (small_set.images / "c00.png").unlink()
    Image.fromarray(picture).save(small_set.images / "c00.tif")
    assert warned(index(small_set)) == {"c00.tif": "not_finite"}


def test_fractions_are_followed(small_set):
    result = index(small_set.cases(10), split=SplitOptions(Fractions(0.5, 0, 0.5), folds=2))
    assert [len(result.datalist.part(part)) for part in PARTS] == [5, 0, 5]
    assert {item["fold"] for item in result.datalist.training} == {0, 1}


def test_files_whose_names_begin_alike_are_pointed_out_where_each_is_a_subject(small_set):
    for seed, name in enumerate(("a_1", "a_2", "b_1", "b_2", "c", "d", "e", "f", "g", "h")):
        small_set.image(f"{name}.png", seed=seed)
        small_set.mask(f"{name}.png")
    found = index(small_set).datalist
    alike = [finding for finding in found.warnings if finding.code == "names_begin_alike"]
    assert [Path(finding.file).name for finding in alike] == ["a_1.png", "a_2.png", "b_1.png", "b_2.png"]
    pattern = "^(.+?)([_. -][^_. -]+)?$"
    assert f"--subject-pattern '{pattern}'" in alike[0].reason
    # What it says to do is right.
    again = index(small_set, subjects=SubjectOptions(pattern=pattern), overwrite=True).datalist
    assert (again.warnings, again.refused, sum(again.split["subjects"].values())) == ([], [], 8)


@pytest.mark.parametrize(
    "names",
    [
        [f"film_{number}" for number in range(40)],
        [f"CHNCXR_{number:04d}_0" for number in range(40)],
        [f"{side}_{number}" for side in ("left", "right") for number in range(20)],
        ["a", "b", "c"],
    ],
)
def test_numbers_behind_the_name_of_a_set_are_no_patients(names):
    assert names_that_begin_alike([Pair(name, f"{name}.png", (f"{name}.png",)) for name in names]) == []


@pytest.mark.parametrize(
    "names",
    [
        [f"P{patient:02d}/{number:03d}" for patient in (1, 2) for number in range(60)],
        [f"P{patient:02d}/P{patient:02d}_{number:03d}" for patient in range(6) for number in range(60)],
        [f"P{patient:02d}_{number:03d}" for patient in range(6) for number in range(60)],
        ["one/left", "one/right", "two/left", "two/right"],
    ],
)
def test_folders_and_names_of_patients_with_all_their_slices_are_pointed_out(names):
    found = names_that_begin_alike([Pair(name, f"{name}.png", (f"{name}.png",)) for name in names])
    assert len(found) == len(names)
    pattern = "^(.+)/" if "/" in names[0] else "^(.+?)([_. -][^_. -]+)?$"
    assert f"'{pattern}'" in found[0].reason


@pytest.mark.parametrize(
    "names",
    [
        [f"{kind}/{kind}{number:03d}" for kind in ("normal", "tb") for number in range(60)],
        [f"all/{number:03d}" for number in range(60)],
        [f"{name}/image" for name in "abcdef"],
    ],
)
def test_folders_that_are_no_patients_are_not_pointed_out(names):
    assert names_that_begin_alike([Pair(name, f"{name}.png", (f"{name}.png",)) for name in names]) == []


def test_a_picture_of_two_subjects_makes_them_one(small_set):
    """One copy of it is dropped; what else the two have must not land on two sides."""
    table = small_set.root / "subjects.csv"
    rows = []
    for k in range(12):
        small_set.image(f"c{k:02d}.png", seed=k if k != 11 else 0)
        small_set.mask(f"c{k:02d}.png")
        rows.append(f"c{k:02d}.png,{'anon' if k in (10, 11) else f's{k}'}")
    table.write_text("file,subject\n" + "\n".join(rows) + "\n")
    result = index(small_set, subjects=SubjectOptions(column=f"{table}:subject"))
    assert refused(result) == {"c11.png": "duplicate_image"}
    subject = {name: item["subject"] for name, item in by_name(result).items()}
    assert subject["c00.png"] == subject["c10.png"] and len(set(subject.values())) == 10


def test_films_without_a_patient_are_their_studys(small_set):
    for k in range(8):
        film(small_set.images / f"{k}.dcm", seed=k, patient="", study=f"1.2.{k // 2}")
        small_set.mask(f"{k}.png")
    found = index(small_set).datalist
    assert found.split["subjects_from"] == "DICOM StudyInstanceUID"
    assert sum(found.split["subjects"].values()) == 4


def test_images_and_masks_the_wrong_way_round_are_told(small_set):
    small_set.cases(10)
    with pytest.raises(InvalidOption, match=r"the wrong way round\? Images come first: planar index .*images .*masks"):
        index_set(small_set.masks, [small_set.images], small_set.output, FEW)
    assert not small_set.output.exists()
    # A threshold would make masks of any picture.
    options = replace(FEW, labels=LabelOptions(threshold=127))
    with pytest.raises(InvalidOption, match="the wrong way round"):
        index_set(small_set.masks, [small_set.images], small_set.output, options)


def test_pictures_of_few_values_with_masks_of_few_values_are_taken_as_they_are(small_set):
    for number in range(8):
        small_set.mask(f"{number}.png", folder="images", box=(2 + number, 2, 20, 18))
        small_set.mask(f"{number}.png")
    assert index(small_set).datalist.refused == []


def test_the_folder_that_is_missing_is_the_one_that_is_named(small_set):
    small_set.cases(10)
    missing = small_set.root / "nowhere"
    with pytest.raises(MissingFile, match="nowhere"):
        index_set(missing, [small_set.masks], small_set.output)
    with pytest.raises(MissingFile, match="nowhere"):
        index_set(small_set.images, [missing], small_set.output)
    with pytest.raises(MissingFile, match="nowhere"):
        index_set(missing, [small_set.root / "neither"], small_set.output)
