"""Dark and bright: VOI LUT and window, PresentationLUTShape, padding, palettes, overlays."""

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian
from reader_phantoms import CT_IMAGE, dicom_of, in_syntax, item, ramp, save_dicom, write_dicom

from pipeline.readers import read_picture

PIXELS = np.ascontiguousarray(ramp(dtype=np.uint16).T // 16)  # 12 bits


@pytest.fixture
def read(tmp_path):
    def write_and_read(pixels=PIXELS, *, voi=False, labels=False, **elements):
        return read_picture(write_dicom(tmp_path / "object", pixels, **elements), voi=voi, labels=labels)

    return write_and_read


@pytest.mark.parametrize(
    ("function", "grey_of"),
    [
        # PS3.3 C.11.2.1.2.1, C.11.2.1.3.2 and C.11.2.1.3.1, with output from 0 to 255.
        (None, lambda x, c, w: np.clip((x - (c - 0.5)) / (w - 1) + 0.5, 0, 1) * 255),
        ("LINEAR_EXACT", lambda x, c, w: np.clip((x - c) / w + 0.5, 0, 1) * 255),
        ("SIGMOID", lambda x, c, w: 255 / (1 + np.exp(-4 * (x - c) / w))),
    ],
)
@pytest.mark.parametrize(("centre", "width"), [(2000, 1000), (40, 400), (-600, 1500), (0.5, 1)])
def test_windows_follow_the_standard(read, function, grey_of, centre, width):
    if function is None and width == 1:
        pytest.skip("the formula divides by zero there")
    elements = {"VOILUTFunction": function} if function else {}
    picture = read(voi=True, WindowCenter=centre, WindowWidth=width, RescaleIntercept=-1024, RescaleSlope=1, **elements)
    with np.errstate(over="ignore"):
        expected = grey_of(PIXELS.T.astype(float) - 1024, centre, width)
    np.testing.assert_allclose(picture.array, expected, atol=2e-3)


def test_a_window_of_width_one_is_a_threshold(read):
    shown = read(voi=True, WindowCenter=2000.5, WindowWidth=1).array
    np.testing.assert_array_equal(shown, np.where(PIXELS.T > 2000, 255, 0))


def test_the_lut_comes_before_the_window_and_after_the_modality(read):
    table = item(LUTDescriptor=[4, 100, 8], LUTData=np.array([0, 51, 102, 255], np.uint8).tobytes())
    pixels = np.array([[0, 50, 51], [52, 53, 4000]], np.uint16)
    shown = read(
        pixels, voi=True, VOILUTSequence=[table], WindowCenter=1, WindowWidth=2, RescaleIntercept=50, RescaleSlope=1
    )
    np.testing.assert_allclose(shown.array, [[0, 102], [0, 255], [51, 255]], atol=1e-4)


def test_tables_of_big_endian_files_are_read_in_their_order(tmp_path):
    values = np.arange(4096, dtype=np.uint16)[::-1]
    table = item(LUTDescriptor=[4096, 0, 16], ModalityLUTType="US")
    table.add_new("LUTData", "OW", values.astype(">u2").tobytes())
    ds = in_syntax(dicom_of(PIXELS, ModalityLUTSequence=[table]), ExplicitVRBigEndian)
    np.testing.assert_array_equal(read_picture(save_dicom(ds, tmp_path / "film")).array, 4095 - PIXELS.T)


def test_each_frame_has_its_own_window(tmp_path):
    pixels = np.full((2, 3, 4), 100, np.uint16)
    frames = [item(FrameVOILUTSequence=[item(WindowCenter=centre, WindowWidth=1001)]) for centre in (100, 600)]
    ds = dicom_of(pixels, PerFrameFunctionalGroupsSequence=frames)
    shown = read_picture(save_dicom(ds, tmp_path / "enhanced"), voi=True).array
    assert shown[0, 0].tolist() == pytest.approx([127.6, 0.1], abs=0.2)


# PS3.3, C.11.6: a film that is stored bright side down says so once or twice.


@pytest.mark.parametrize(
    ("photometric", "shape", "turned", "told"),
    [
        ("MONOCHROME2", None, False, False),
        ("MONOCHROME2", "IDENTITY", False, False),
        ("MONOCHROME2", "INVERSE", True, True),
        ("MONOCHROME1", None, True, False),
        ("MONOCHROME1", "INVERSE", True, False),
        ("MONOCHROME1", "IDENTITY", True, True),
    ],
)
@pytest.mark.parametrize("voi", [False, True])
def test_a_film_is_turned_once_and_what_contradicts_itself_is_told(read, photometric, shape, turned, told, voi):
    elements = {"PresentationLUTShape": shape} if shape else {}
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    plain = read(voi=voi, BitsStored=12, **window)
    picture = read(voi=voi, BitsStored=12, PhotometricInterpretation=photometric, **window, **elements)
    expected = (255 if voi else 4095) - plain.array.astype(float) if turned else plain.array
    np.testing.assert_allclose(picture.array, expected, atol=1e-3)
    assert any("PresentationLUTShape" in line for line in picture.warnings) == told


# Padding.

SLICE = np.array([[-2000, -2000, 0, 40], [-2000, 100, 200, 300]], np.int16)
CT = {"sop_class": CT_IMAGE, "RescaleSlope": 1, "RescaleIntercept": -1024}


@pytest.mark.parametrize(("vr", "value"), [("SS", -2000), ("US", 63536)])
def test_padding_keeps_its_value_and_is_black_under_a_window(tmp_path, vr, value):
    ds = dicom_of(SLICE, **CT)
    ds.add_new("PixelPaddingValue", vr, value)
    path = save_dicom(ds, tmp_path / "slice")
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.array, SLICE.T.astype(int) - 1024)
    # The picture's own range, from -1024 to -724, not that of the padding.
    shown = read_picture(path, voi=True).array
    np.testing.assert_allclose(shown, np.clip(SLICE.T / 300, 0, 1) * 255, atol=1e-3)


def test_a_range_of_padding_counts_whole(read):
    elements = {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 10}
    pixels = np.array([[0, 5, 10, 11], [20, 30, 40, 111]], np.uint16)
    shown = read(pixels, voi=True, **elements).array
    np.testing.assert_allclose(shown, np.clip((pixels.T - 11.0) / 100, 0, 1) * 255, atol=1e-3)


@pytest.mark.parametrize(("photometric", "bright"), [("MONOCHROME2", True), ("MONOCHROME1", False)])
def test_padding_brighter_than_the_picture_is_told(read, photometric, bright):
    pixels = np.array([[4095, 4095, 10], [11, 12, 13]], np.uint16)
    elements = {"PixelPaddingValue": 4095, "BitsStored": 12, "PhotometricInterpretation": photometric}
    assert any("padding" in line for line in read(pixels, **elements).warnings) == bright
    shown = read(pixels, voi=True, **elements).array
    assert (shown[:2, 0] == 0).all()


def test_overlays_are_ignored(read):
    plane = {
        0x60000010: ("US", 5),
        0x60000011: ("US", 7),
        0x60000040: ("CS", "G"),
        0x60000050: ("SS", [1, 1]),
        0x60000100: ("US", 1),
        0x60000102: ("US", 0),
        0x60003000: ("OW", b"\xff" * 6),
    }
    ds = dicom_of(PIXELS)
    for tag, (vr, value) in plane.items():
        ds.add_new(tag, vr, value)
    np.testing.assert_array_equal(read().array, PIXELS.T)


def palette(entries, bits, **elements):
    told = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, column in zip(("Red", "Green", "Blue"), np.array(entries).T, strict=True):
        told[f"{name}PaletteColorLookupTableDescriptor"] = [len(entries), elements.get("first", 0), bits]
        dtype = {8: "u1", 16: elements.get("order", "<u2")}[bits]
        told[f"{name}PaletteColorLookupTableData"] = column.astype(dtype).tobytes()
    return told


def test_a_palette_that_starts_late_gives_the_first_colour_before(read):
    indices = np.array([[0, 1, 2], [3, 4, 5]], np.uint8)
    colours = [[10, 0, 0], [0, 20, 0], [0, 0, 30], [9, 9, 9]]
    elements = palette(colours, 8, first=2)
    expected = np.array(colours, np.uint8)[np.clip(indices.T.astype(int) - 2, 0, 3)]
    np.testing.assert_array_equal(read(indices, **elements).array, expected)
    np.testing.assert_array_equal(read(indices, labels=True, **elements).palette[2:], colours)


def test_a_palette_of_a_big_endian_file(tmp_path):
    colours = np.array([[0, 0, 0], [65535, 256, 0], [0, 32768, 65535], [1, 2, 3]])
    indices = np.array([[0, 1], [2, 3]], np.uint8)
    ds = dicom_of(indices)
    for keyword, value in palette(colours, 16, order=">u2").items():
        setattr(ds, keyword, value)
    ds = in_syntax(ds, ExplicitVRBigEndian)
    read = read_picture(save_dicom(ds, tmp_path / "photo")).array
    np.testing.assert_array_equal(read, (colours >> 8).astype(np.uint8)[indices.T])
