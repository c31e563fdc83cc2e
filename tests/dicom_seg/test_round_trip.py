"""Mask → SEG → mask: each frame lies on the very pixels of the instance that it names."""

from __future__ import annotations

from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from seg_phantoms import (
    ALGORITHM,
    GEOMETRIES,
    TERMS,
    blobs,
    phantom_film,
    read_frames,
    write_ct,
    write_enhanced_ct,
    write_film,
    write_loop,
)

from pipeline.dicom_seg import source_images, write_seg
from pipeline.phantom import Radiograph
from pipeline.readers import read_picture

# Label maps came with highdicom 0.24.
KINDS = ("binary", "labelmap") if hasattr(hd.seg.SegmentationTypeValues, "LABELMAP") else ("binary",)


@pytest.fixture(scope="module")
def film() -> Radiograph:
    return phantom_film()


def stored_classes(file: Path) -> np.ndarray:
    """The classes that a phantom CT holds, by pydicom alone: (frames, rows, columns)."""
    ds = pydicom.dcmread(file)
    return ((ds.pixel_array.astype(int) - 1024) // 100).reshape(-1, ds.Rows, ds.Columns)


def shown(film: pydicom.Dataset) -> np.ndarray:
    """The grey values of an 8-bit film with a dark background."""
    return 255 - film.pixel_array if film.PhotometricInterpretation == "MONOCHROME1" else film.pixel_array


def one_hot(mask: np.ndarray) -> np.ndarray:
    return np.stack([mask == index for index in range(4)]).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_series_comes_back_on_the_pixels_of_each_slice(geometry: str, kind: str, tmp_path: Path) -> None:
    files = write_ct(tmp_path / "ct", GEOMETRIES[geometry])
    picture = read_picture(tmp_path / "ct")
    mask = (picture.array // 100).astype(np.uint8)
    write_seg(tmp_path / "seg.dcm", source_images(str(tmp_path / "ct")), mask, TERMS, ALGORITHM, kind=kind)
    found = read_frames(tmp_path / "seg.dcm")
    for file in files:
        uid = str(pydicom.dcmread(file).SOPInstanceUID)
        (classes,) = stored_classes(file)
        for segment in TERMS:
            got = found.get((uid, 0, segment), np.zeros(classes.shape))
            np.testing.assert_array_equal(got.astype(bool), classes == segment)
    assert sum(int(np.count_nonzero(plane)) for plane in found.values()) == np.count_nonzero(mask)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_voxels_lie_where_they_did_in_the_patient(geometry: str, tmp_path: Path) -> None:
    """By SimpleITK, which knows the SEG alone: a hole of two voxels in a one-class mask, in LPS millimetres."""
    # Whole bytes: GDCM leaves the last bits of other sizes as the memory happened to be.
    write_ct(tmp_path / "ct", GEOMETRIES[geometry], (24, 17, 6))
    picture = read_picture(tmp_path / "ct")
    mask = np.ones(picture.array.shape, np.uint8)
    mask[3:5, 4, 2] = 0
    write_seg(tmp_path / "seg.dcm", source_images(str(tmp_path / "ct")), mask, {1: TERMS[1]}, ALGORITHM)
    seg = sitk.ReadImage(str(tmp_path / "seg.dcm"))
    holes = np.argwhere(sitk.GetArrayFromImage(seg) == 0)[:, ::-1]
    got = sorted(seg.TransformIndexToPhysicalPoint(tuple(map(int, index))) for index in holes)
    expected = [picture.affine @ (x, 4, 2, 1) for x in (3, 4)]
    np.testing.assert_allclose(got, sorted((-p[0], -p[1], p[2]) for p in expected), atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("geometry", ["axial", "oblique", "flipped"])
def test_frames_of_an_enhanced_ct_are_found_by_their_number(geometry: str, kind: str, tmp_path: Path) -> None:
    file = write_enhanced_ct(tmp_path / "enhanced.dcm", GEOMETRIES[geometry], tmp_path / "ct")
    mask = (read_picture(file).array // 100).astype(np.uint8)
    write_seg(tmp_path / "seg.dcm", source_images(str(file)), mask, TERMS, ALGORITHM, kind=kind)
    found = read_frames(tmp_path / "seg.dcm")
    uid = str(pydicom.dcmread(file).SOPInstanceUID)
    for number, classes in enumerate(stored_classes(file), start=1):
        for segment in TERMS:
            got = found.get((uid, number, segment), np.zeros(classes.shape))
            np.testing.assert_array_equal(got.astype(bool), classes == segment)


@pytest.mark.parametrize("kind", KINDS)
def test_a_film_without_a_frame_of_reference_comes_back(kind: str, film: Radiograph, tmp_path: Path) -> None:
    file = write_film(tmp_path / "film.dcm", film)
    mask = (read_picture(file).array // 80).astype(np.uint8)
    write_seg(tmp_path / "seg.dcm", source_images(str(file)), mask, TERMS, ALGORITHM, kind=kind)
    source, seg = pydicom.dcmread(file), pydicom.dcmread(tmp_path / "seg.dcm")
    found = read_frames(tmp_path / "seg.dcm")
    assert len(found) == 3
    for (uid, _, segment), plane in found.items():
        assert uid == source.SOPInstanceUID
        np.testing.assert_array_equal(plane.astype(bool), shown(source) // 80 == segment)
    assert "FrameOfReferenceUID" not in seg


@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_a_loop_keep_their_numbers_and_get_no_place(kind: str, film: Radiograph, tmp_path: Path) -> None:
    file = write_loop(tmp_path / "loop.dcm", film)
    mask = (read_picture(file).array // 80).astype(np.uint8)
    write_seg(tmp_path / "seg.dcm", source_images(str(file)), mask, TERMS, ALGORITHM, kind=kind)
    source, seg = pydicom.dcmread(file), pydicom.dcmread(tmp_path / "seg.dcm")
    for (_, number, segment), plane in read_frames(tmp_path / "seg.dcm").items():
        np.testing.assert_array_equal(plane.astype(bool), shown(source)[number - 1] // 80 == segment)
    assert "FrameOfReferenceUID" not in seg
    groups = seg.PerFrameFunctionalGroupsSequence
    numbers = [group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber for group in groups]
    assert set(numbers) == {1, 2, 3, 4}
    assert [group.FrameContentSequence[0].InStackPositionNumber for group in groups] == numbers
    assert not any("PlanePositionSequence" in group for group in groups)


@pytest.mark.parametrize("name", ["ct#slice=2", "enhanced.dcm#slice=2"])
def test_one_slice_refers_to_one_frame(name: str, tmp_path: Path) -> None:
    write_enhanced_ct(tmp_path / "enhanced.dcm", GEOMETRIES["flipped"], tmp_path / "ct")
    picture = read_picture(f"{tmp_path}/{name}")
    images = source_images(f"{tmp_path}/{name}")
    write_seg(tmp_path / "seg.dcm", images, (picture.array // 100).astype(np.uint8), TERMS, ALGORITHM)
    found = read_frames(tmp_path / "seg.dcm")
    (where,) = {key[:2] for key in found}
    file = tmp_path / "enhanced.dcm"
    if where[1] == 0:
        (file,) = (one for one in (tmp_path / "ct").iterdir() if pydicom.dcmread(one).SOPInstanceUID == where[0])
    classes = stored_classes(file)[max(0, where[1] - 1)]
    for (_, _, segment), plane in found.items():
        np.testing.assert_array_equal(plane.astype(bool), classes == segment)


@pytest.mark.parametrize("source", ["ct", "enhanced.dcm", "film.dcm"])
def test_probabilities_come_back_to_one_part_in_255(source: str, film: Radiograph, tmp_path: Path) -> None:
    write_enhanced_ct(tmp_path / "enhanced.dcm", GEOMETRIES["oblique"], tmp_path / "ct")
    write_film(tmp_path / "film.dcm", film)
    picture, images = read_picture(tmp_path / source), source_images(str(tmp_path / source))
    values = np.random.default_rng(0).uniform(0, 1, (4, *picture.array.shape)).astype(np.float32)
    values /= values.sum(axis=0)
    write_seg(tmp_path / "seg.dcm", images, values, TERMS, ALGORITHM, kind="fractional")
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (seg.SegmentationType, seg.SegmentationFractionalType) == ("FRACTIONAL", "PROBABILITY")
    assert seg.MaximumFractionalValue == 255
    found = read_frames(tmp_path / "seg.dcm")
    for number, (header, frame) in enumerate(images.frames):
        uid = str(images.headers[header].SOPInstanceUID)
        for segment in TERMS:
            whole = images.stored(values[segment])[number]
            got = found[(uid, frame + 1 if images.multi_frame else 0, segment)]
            np.testing.assert_array_equal(got, np.rint(whole * 255).astype(int))


@pytest.mark.parametrize("kind", KINDS)
def test_highdicom_reads_the_slices_back(kind: str, tmp_path: Path) -> None:
    files = write_ct(tmp_path / "ct", GEOMETRIES["oblique"])
    mask = (read_picture(tmp_path / "ct").array // 100).astype(np.uint8)
    write_seg(tmp_path / "seg.dcm", source_images(str(tmp_path / "ct")), mask, TERMS, ALGORITHM, kind=kind)
    seg = hd.seg.segread(str(tmp_path / "seg.dcm"))
    uids = [str(pydicom.dcmread(file).SOPInstanceUID) for file in files]
    planes = seg.get_pixels_by_source_instance(
        uids, combine_segments=True, assert_missing_frames_are_empty=True, ignore_spatial_locations=True
    )
    np.testing.assert_array_equal(planes, np.concatenate([stored_classes(file) for file in files]))


def test_highdicom_reads_a_film_back(film: Radiograph, tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.dcm", film)
    images = source_images(str(path))
    mask = blobs(images.grid.display_shape)
    write_seg(tmp_path / "seg.dcm", images, mask, TERMS, ALGORITHM)
    seg = hd.seg.segread(str(tmp_path / "seg.dcm"))
    (plane,) = seg.get_pixels_by_source_instance(
        [str(pydicom.dcmread(path).SOPInstanceUID)], combine_segments=True, ignore_spatial_locations=True
    )
    np.testing.assert_array_equal(plane, images.stored(mask)[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", [*GEOMETRIES, "enhanced", "film", "loop"])
def test_planar_reads_its_own_segmentations_as_masks(source: str, kind: str, film: Radiograph, tmp_path: Path) -> None:
    path = tmp_path / "source"
    if source in GEOMETRIES:
        write_ct(path, GEOMETRIES[source])
    elif source == "enhanced":
        write_enhanced_ct(path, GEOMETRIES["oblique"], tmp_path / "ct")
    elif source == "film":
        write_film(path, film)
    else:
        write_loop(path, film)
    picture, images = read_picture(path), source_images(str(path))
    mask = (picture.array // (100 if picture.modality == "CT" else 80)).astype(np.uint8)
    write_seg(tmp_path / "seg.dcm", images, mask, TERMS, ALGORITHM, kind=kind)
    for number, (header, frame) in enumerate(images.frames):
        uid = images.headers[header].SOPInstanceUID
        name = f"{tmp_path}/seg.dcm#instance={uid}" + (f":{frame + 1}" if images.multi_frame else "")
        plane = mask if mask.ndim == 2 else mask[:, :, number]
        np.testing.assert_array_equal(read_picture(name, labels=True).array, plane)


def test_an_empty_mask_is_written_too(film: Radiograph, tmp_path: Path) -> None:
    file = write_film(tmp_path / "film.dcm", film)
    mask = np.zeros(read_picture(file).array.shape, np.uint8)
    for kind in (*KINDS, "fractional"):
        values = one_hot(mask) if kind == "fractional" else mask
        write_seg(tmp_path / f"{kind}.dcm", source_images(str(file)), values, TERMS, ALGORITHM, kind=kind)
        assert all(not plane.any() for key, plane in read_frames(tmp_path / f"{kind}.dcm").items() if key[2])
