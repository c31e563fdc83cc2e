"""How large pixels are, how films lie, and where frames and slices lie: nothing unusual passes in silence."""

import numpy as np
import pytest
from reader_phantoms import dicom_of, item, ramp, save_dicom, write_dicom

from pipeline.geometry import picture_affine
from pipeline.readers import read_grid, read_picture, slices_in
from pipeline.readers.slice_places import passes_of, remarks_on_places

PIXELS = np.ascontiguousarray(ramp(dtype=np.uint16).T // 16)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@pytest.fixture
def read(tmp_path):
    def write_and_read(pixels=PIXELS, **elements):
        return read_picture(write_dicom(tmp_path / "object", pixels, PixelSpacing=[1, 1], **elements))

    return write_and_read


# Films.


@pytest.mark.parametrize(
    ("orientation", "said"),
    [
        (["L", "F"], None),
        (["LA", "FR"], None),
        (["P", "F"], None),
        (["A", "F"], None),
        (["R", "F"], "mirrored"),
        (["L", "H"], "upside down"),
        (["F", "L"], "on its side"),
        (["H", "R"], "on its side"),
        (["", ""], None),
        ("L", None),
        (None, None),
        (["LE", "V"], None),  # animals have other words
    ],
)
def test_a_film_is_read_as_stored_and_an_unusual_orientation_is_told(read, orientation, said):
    picture = read(PatientOrientation=orientation)
    np.testing.assert_array_equal(picture.array, PIXELS.T)
    assert [said in line for line in picture.warnings] == ([True] if said else [])


@pytest.mark.parametrize(
    ("factor", "spacing_mm", "told"),
    [(2, (0.15, 0.1), False), (0, (0.3, 0.2), False), (-1, (0.3, 0.2), True), (0.2, (0.3, 0.2), True)],
)
def test_a_magnification_that_cannot_be_is_told(tmp_path, factor, spacing_mm, told):
    elements = {"ImagerPixelSpacing": [0.2, 0.3], "EstimatedRadiographicMagnificationFactor": factor}
    picture = read_picture(write_dicom(tmp_path / "film", PIXELS, **elements))
    assert picture.spacing_mm == pytest.approx(spacing_mm)
    assert any("Magnification" in line for line in picture.warnings) == told


def test_pixels_that_are_not_square_are_told_where_their_size_is_unknown(tmp_path):
    picture = read_picture(write_dicom(tmp_path / "film", PIXELS, PixelAspectRatio=[4, 3]))
    assert "not square" in picture.warnings[0]
    assert read_picture(write_dicom(tmp_path / "same", PIXELS, PixelAspectRatio=[1, 1])).warnings[0].endswith("only.")


# Frames of one object.


def enhanced(heights_mm, *, orientations=None, spacings=None, count=None):
    count = count or len(heights_mm)
    frames = []
    for k in range(count):
        groups = {"PlanePositionSequence": [item(ImagePositionPatient=[-10, -20, heights_mm[k]])]} if heights_mm else {}
        if orientations:
            groups["PlaneOrientationSequence"] = [item(ImageOrientationPatient=list(orientations[k]))]
        if spacings:
            groups["PixelMeasuresSequence"] = [item(PixelSpacing=[spacings[k]] * 2)]
        frames.append(item(**groups))
    shared = {} if orientations else {"PlaneOrientationSequence": [item(ImageOrientationPatient=list(AXIAL))]}
    if not spacings:
        shared["PixelMeasuresSequence"] = [item(PixelSpacing=[0.5, 0.4])]
    pixels = np.stack([np.ascontiguousarray(ramp(dtype=np.int16, seed=k).T) for k in range(count)])
    ds = dicom_of(
        pixels,
        sop_class="1.2.840.10008.5.1.4.1.1.2.1",
        SharedFunctionalGroupsSequence=[item(**shared)],
        PerFrameFunctionalGroupsSequence=frames,
    )
    return ds, pixels.transpose(2, 1, 0)


UNUSUAL = [
    ("phases", {"heights_mm": [0, 2, 0, 2]}, "Up to 2 frames lie at one place"),
    ("orientations", {"heights_mm": [0, 2], "orientations": [AXIAL, (0, 1, 0, 0, 0, -1)]}, "several orientations"),
    ("sizes", {"heights_mm": [0, 2], "spacings": [0.5, 0.7]}, "differ in pixel size"),
]


@pytest.mark.parametrize(("case", "lie", "said"), UNUSUAL, ids=[case for case, *_ in UNUSUAL])
def test_frames_that_are_no_volume_stay_as_stored_and_say_why(tmp_path, case, lie, said):
    ds, stored = enhanced(**lie)
    path = save_dicom(ds, tmp_path / case)
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.array, stored)
    assert any(said in line for line in picture.warnings)
    assert len(slices_in(path)) == stored.shape[2]
    assert read_grid(path).to_meta() == picture.grid.to_meta()


def test_a_cine_loop_is_no_volume_and_needs_no_warning(tmp_path):
    ds, stored = enhanced([5, 5, 5])
    picture = read_picture(save_dicom(ds, tmp_path / "cine"))
    np.testing.assert_array_equal(picture.array, stored)
    np.testing.assert_allclose(picture.affine, picture_affine((0.4, 0.5)))
    assert picture.warnings == ()


def test_a_missing_frame_is_told(tmp_path):
    ds, _ = enhanced([0, 2, 4, 8])
    picture = read_picture(save_dicom(ds, tmp_path / "gap"))
    assert "1 slice seems to be missing, the first after slice 3 of 4" in picture.warnings[0]


def test_a_header_that_claims_more_frames_than_bytes_is_refused_before_they_are_listed(tmp_path):
    from pipeline.errors import UnreadableImage

    ds, _ = enhanced([0, 2])
    ds.NumberOfFrames = 2000000000
    path = save_dicom(ds, tmp_path / "many")
    for ask in (read_grid, slices_in, read_picture):
        with pytest.raises(UnreadableImage):
            ask(path)


# Slices of a series: arithmetic alone.


def stack(heights, shear=(0.0, 0.0)):
    heights = np.array(heights, float)
    return np.stack([heights * shear[0], heights * shear[1], heights], axis=1)


@pytest.mark.parametrize(
    ("positions", "said"),
    [
        (stack([0, 2, 4, 6]), []),
        (stack([0, 2.01, 3.99, 6]), []),
        (stack([0, 2, 4, 8]), ["1 slice seems to be missing, the first after slice 3 of 4", "up to 1.3 mm"]),
        (stack([0, 4, 6, 8, 12, 14, 16, 18, 24]), ["4 slices seem to be missing, the first after slice 1 of 9"]),
        (stack([0, 2, 5, 6]), ["1.00 to 3.00 mm apart, the mean is taken", "up to 1.0 mm"]),
        (stack([0, 2, 4], shear=(0, np.tan(np.radians(12)))), ["tilted by 12.0°"]),
        (stack([0, 2, 4, 8], shear=(0, 0.2)), ["missing", "tilted by 11.3°"]),
        (np.add(stack([0, 2, 4]), [[0, 0, 0], [0, 3, 0], [0, 0, 0]]), ["3.0 mm beside"]),
    ],
)
def test_what_is_unusual_about_slices_is_told_and_nothing_else(positions, said):
    told = remarks_on_places(positions, AXIAL)
    assert bool(told) == bool(said)
    assert len(told) <= 2
    for words in said:
        assert any(words in line for line in told)


def test_the_same_remarks_whichever_way_slices_face():
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    cosines = (*turn[:, 0], *turn[:, 1])
    for positions in (stack([0, 2, 4, 8]), stack([0, 2, 4], shear=(0.1, 0.2))):
        assert remarks_on_places(positions @ turn.T, cosines) == remarks_on_places(positions, AXIAL)


def test_passes_are_counted_by_place_whatever_rounding_does_to_it():
    heights = np.array([10.005, 12.005, 10.0049999999, 12.005, 14.0])
    assert passes_of(heights).tolist() == [0, 0, 1, 1, 0]
