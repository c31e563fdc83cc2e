"""What an archive needs to file a SEG beside its images, and what says who made it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from seg_phantoms import (
    ALGORITHM,
    ENHANCED_CT,
    GEOMETRIES,
    TERMS,
    change,
    phantom_film,
    save,
    write_ct,
    write_enhanced_ct,
    write_film,
    write_loop,
)

from pipeline.dicom_seg import Algorithm, source_images, write_seg
from pipeline.dicom_seg.identity import PATIENT_AND_STUDY
from pipeline.errors import GeometryMismatch, InvalidOption, UnsupportedImage
from pipeline.phantom import Radiograph
from pipeline.readers import read_picture


@pytest.fixture(scope="module")
def film() -> Radiograph:
    return phantom_film()


def seg_of(source: Path, out: Path, algorithm: Algorithm = ALGORITHM) -> Dataset:
    images = source_images(str(source))
    mask = np.zeros(read_picture(source).array.shape, np.uint8)
    mask[3:9, 2:7] = 1
    write_seg(out, images, mask, TERMS, algorithm)
    return pydicom.dcmread(out)


def references(ds: Dataset) -> set[tuple[str, str]]:
    found = set()
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                found |= references(item)
    if "ReferencedSOPInstanceUID" in ds:
        found.add((str(ds.ReferencedSOPClassUID), str(ds.ReferencedSOPInstanceUID)))
    return found


def test_patient_and_study_are_those_of_the_film(film: Radiograph, tmp_path: Path) -> None:
    source = write_film(
        tmp_path / "film.dcm",
        film,
        PatientBirthDate="19500102",
        AccessionNumber="A-17",
        IssuerOfPatientID="HOSPITAL",
        PatientAge="050Y",
        ReferringPhysicianName="Doe^Jane",
        ClinicalTrialSubjectID="S-1",
    )
    ds, seg = pydicom.dcmread(source), seg_of(source, tmp_path / "seg.dcm")
    for keyword in PATIENT_AND_STUDY:
        assert seg.get(keyword) == ds.get(keyword), keyword
    assert seg.StudyInstanceUID == ds.StudyInstanceUID
    assert seg.SeriesInstanceUID != ds.SeriesInstanceUID
    assert (seg.Modality, seg.SeriesNumber, seg.InstanceNumber) == ("SEG", 351, 1)


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "Müller^Jörg"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)
def test_names_in_other_alphabets_come_through(
    charset: str | list[str], name: str, film: Radiograph, tmp_path: Path
) -> None:
    source = write_film(tmp_path / "film.dcm", film, SpecificCharacterSet=charset, PatientName=name)
    ds, seg = pydicom.dcmread(source), seg_of(source, tmp_path / "seg.dcm")
    assert str(seg.PatientName) == str(ds.PatientName) == name
    assert seg.PatientName.components[0] == ds.PatientName.components[0]


def test_words_in_sequences_come_through_another_character_set(film: Radiograph, tmp_path: Path) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "T1", "99X", "Röntgen des Brustkorbs"
    source = write_film(tmp_path / "film.dcm", film, SpecificCharacterSet="ISO_IR 100", ProcedureCodeSequence=[code])
    images = source_images(str(source))
    mask = np.ones(images.grid.display_shape, np.uint8)
    terms = {1: replace(TERMS[1], label="肺")}
    write_seg(tmp_path / "seg.dcm", images, mask, terms, ALGORITHM)
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    assert seg.SpecificCharacterSet == "ISO_IR 192"
    assert seg.ProcedureCodeSequence[0].CodeMeaning == "Röntgen des Brustkorbs"
    assert seg.SegmentSequence[0].SegmentLabel == "肺"


def test_a_header_with_wrong_values_gets_its_seg(film: Radiograph, tmp_path: Path) -> None:
    source = write_film(tmp_path / "film.dcm", film, PatientSex="FEMALE", StudyTime=None, StudyID=None, Modality=None)
    ds = pydicom.dcmread(source)
    ds.add(pydicom.DataElement(0x00100030, "DA", "", validation_mode=0))
    ds["PatientBirthDate"]._value = "born in May"
    ds["PatientSex"]._value = "FEMALE"
    save(ds, source)
    seg = seg_of(source, tmp_path / "seg.dcm")
    assert (seg.PatientSex, seg.StudyTime, seg.StudyID) == ("", "", "")


@pytest.mark.parametrize("kind", ["series", "enhanced", "film", "loop"])
def test_every_reference_names_an_image_with_its_own_class(kind: str, film: Radiograph, tmp_path: Path) -> None:
    if kind == "series":
        write_ct(tmp_path / "source", GEOMETRIES["oblique"])
    elif kind == "enhanced":
        write_enhanced_ct(tmp_path / "source", GEOMETRIES["oblique"], tmp_path / "ct")
    elif kind == "film":
        write_film(tmp_path / "source", film)
    else:
        write_loop(tmp_path / "source", film)
    seg = seg_of(tmp_path / "source", tmp_path / "seg.dcm")
    files = list((tmp_path / "source").iterdir()) if kind == "series" else [tmp_path / "source"]
    sources = [pydicom.dcmread(file) for file in files]
    assert references(seg) == {(str(ds.SOPClassUID), str(ds.SOPInstanceUID)) for ds in sources}
    (series,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == sources[0].SeriesInstanceUID
    if kind == "enhanced":
        assert sources[0].SOPClassUID == ENHANCED_CT


def test_a_segment_says_what_it_is_and_what_made_it(film: Radiograph, tmp_path: Path) -> None:
    seg = seg_of(write_film(tmp_path / "film.dcm", film), tmp_path / "seg.dcm")
    assert [item.SegmentLabel for item in seg.SegmentSequence] == ["right_lung", "left_lung", "heart"]
    left = seg.SegmentSequence[1]
    kind = left.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning) == ("39607008", "SCT", "Lung")
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert left.SegmentAlgorithmType == "AUTOMATIC"
    (algorithm,) = left.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("cxr_lung_segmentation", "1.2.3")
    assert "a1" * 32 in str(algorithm.AlgorithmParameters)
    colours = [tuple(item.RecommendedDisplayCIELabValue) for item in seg.SegmentSequence]
    assert len(set(colours)) == 3


def _side_by_side(now: Dataset, before: Dataset) -> Iterator[tuple[pydicom.DataElement, object]]:
    """The elements that have a value, in sequences too, and what each was before."""
    for new, old in zip(now.iterall(), before.iterall(), strict=True):
        if new.VR != "SQ":
            yield new, old.value


def test_the_same_mask_of_the_same_film_is_the_same_object(film: Radiograph, tmp_path: Path) -> None:
    source = write_film(tmp_path / "film.dcm", film)
    one, again = (seg_of(source, tmp_path / f"{n}.dcm") for n in "ab")
    other = seg_of(source, tmp_path / "c.dcm", Algorithm("cxr_lung_segmentation", "1.2.3", ("b2" * 32,)))
    assert one.SOPInstanceUID == again.SOPInstanceUID
    assert one.SOPInstanceUID != other.SOPInstanceUID
    assert one.SeriesInstanceUID != other.SeriesInstanceUID
    # It was made at another moment, and is the same in all else.
    assert {element.VR for element, before in _side_by_side(again, one) if element.value != before} <= {
        "TM",
        "DT",
        "DA",
    }


def test_images_without_a_study_get_one_and_it_is_said(film: Radiograph, tmp_path: Path) -> None:
    files = write_ct(tmp_path / "ct", GEOMETRIES["axial"])
    for file in files:
        ds = pydicom.dcmread(file)
        ds.StudyInstanceUID = ds.SeriesInstanceUID = ""
        ds.save_as(file)
    images = source_images(str(tmp_path / "ct"))
    assert images.warnings == (
        "There is no StudyInstanceUID and no SeriesInstanceUID: the DICOM result gets one of its own, and is filed "
        "apart.",
    )
    seg = seg_of(tmp_path / "ct", tmp_path / "seg.dcm")
    assert seg.StudyInstanceUID.startswith("2.25.")


def test_an_identifier_that_only_the_files_header_has_is_taken_from_there(film: Radiograph, tmp_path: Path) -> None:
    source = write_film(tmp_path / "film.dcm", film)
    ds = pydicom.dcmread(source)
    uid = ds.SOPInstanceUID
    ds.SOPInstanceUID = ds.SOPClassUID = ""
    ds.save_as(source)
    assert {one for _, one in references(seg_of(source, tmp_path / "seg.dcm"))} == {uid}


def test_images_without_a_frame_of_reference_share_one(tmp_path: Path) -> None:
    for file in write_ct(tmp_path / "ct", GEOMETRIES["axial"]):
        save(change(pydicom.dcmread(file), {"FrameOfReferenceUID": None, "SliceThickness": None}), file)
    seg = seg_of(tmp_path / "ct", tmp_path / "seg.dcm")
    assert seg.FrameOfReferenceUID.startswith("2.25.")
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.SliceThickness == 5


def test_slices_of_one_identifier_are_refused_and_of_two_studies_are_not(tmp_path: Path) -> None:
    files = write_ct(tmp_path / "ct", GEOMETRIES["axial"])
    one, other = (pydicom.dcmread(file) for file in files[2:4])
    save(change(other, {"StudyInstanceUID": "1.2.3"}), files[3])
    seg_of(tmp_path / "ct", tmp_path / "seg.dcm")
    save(change(other, {"SOPInstanceUID": one.SOPInstanceUID}), files[3])
    with pytest.raises(UnsupportedImage, match="2 slices have one SOPInstanceUID"):
        source_images(str(tmp_path / "ct"))


def test_a_film_with_no_pixel_size_claims_none(film: Radiograph, tmp_path: Path) -> None:
    source = write_film(tmp_path / "film.dcm", film, PixelSpacing=[0, 0], ImagerPixelSpacing=None)
    seg = seg_of(source, tmp_path / "seg.dcm")
    assert "PixelMeasuresSequence" not in seg.SharedFunctionalGroupsSequence[0]


def test_what_is_no_dicom_image_is_refused_in_one_line(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "film.png")
    with pytest.raises(UnsupportedImage, match=r"film\.png: a PNG file has no identifiers") as caught:
        source_images(str(tmp_path / "film.png"))
    assert "\n" not in str(caught.value)


def test_a_mask_of_another_size_is_refused(film: Radiograph, tmp_path: Path) -> None:
    images = source_images(str(write_film(tmp_path / "film.dcm", film)))
    with pytest.raises(GeometryMismatch, match="does not match its image"):
        write_seg(tmp_path / "seg.dcm", images, np.zeros((5, 5), np.uint8), TERMS, ALGORITHM)
    with pytest.raises(InvalidOption, match="no kind of segmentation 'surface'"):
        write_seg(tmp_path / "seg.dcm", images, np.zeros((5, 5), np.uint8), TERMS, ALGORITHM, kind="surface")
    assert [path.name for path in tmp_path.iterdir()] == ["film.dcm"]


def test_what_highdicom_refuses_is_one_line_that_names_the_image(
    film: Radiograph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = source_images(str(write_film(tmp_path / "film.dcm", film)))

    def refuse(**_: object) -> None:
        raise ValueError("a reason\nin two lines")

    monkeypatch.setattr("highdicom.seg.Segmentation", refuse)
    mask = np.zeros(images.grid.display_shape, np.uint8)
    with pytest.raises(UnsupportedImage, match=r"film\.dcm: no DICOM SEG .*a reason in two lines"):
        write_seg(tmp_path / "seg.dcm", images, mask, TERMS, ALGORITHM)
