"""The same pixels, whatever transfer syntax they are stored in, and as the header says: bits, frames, colours."""

import base64

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from reader_phantoms import colours, dicom_of, encapsulated, get_frame, in_syntax, jpeg_of, ramp, save_dicom

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.readers import read_picture

LOSSLESS = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
]
# 150 x + 90 y in 12 bits, and the same less 1024 in 16 signed ones, by the encoder of OpenJPH.
HIGH_THROUGHPUT = {
    "unsigned": """
    /0//UQApQAAAAAAUAAAADAAAAAAAAAAAAAAAFAAAAAwAAAAAAAAAAAABCwEB/1AACAACAAAABv9SAAwAAgABAAUEBEAB/1wAEyBocHBwcHBwcHBw
    cHBwaGho/2QAFwABT3BlbkpQSCBWZXIgMC4zMS4wLv+QAAoAAAAAAIoAAf+TwAJQnQIHdADAATA+8wOHdADAASwAE4DTAId0AAQm8ACiNADAATQA
    E4DT9ACCdABxjAAk9jUAwAFVAAVwoooS9dIP4gt2AJQpU6ZM+eAY/jGBvrgAwAK2ABaoKioqKioq78p6cYJ3ALIymUwmk8lksvyEPYhAe/YhAey8
    AP/Z
    """,
    "signed": """
    /0//UQApQAAAAAAUAAAADAAAAAAAAAAAAAAAFAAAAAwAAAAAAAAAAAABjwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCIkJCQkJCQkJCQ
    kJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4zMS4wLv+QAAoAAAAAAJAAAf+TwAAmYPwCh3QAwAATAD7zA4d0AMAAEsAAE4DTAId0AAQm8ACiNADA
    ABNAABOA0/QAgnQAcYwAJPY1AMAAFVAABXCiihL10g/iC3YAlClTpkz54Bj+MYG+uADAACtgABaoKioqKioq78p6cYJ3ALIymUwmk8lksvyEPYhA
    e/YhAey8AP/Z
    """,
}
BY_NAME = {"ids": lambda syntax: pydicom.uid.UID(syntax).name[:24]}


def rows(array):
    return np.ascontiguousarray(array.swapaxes(0, 1))


@pytest.mark.parametrize("syntax", LOSSLESS, **BY_NAME)
@pytest.mark.parametrize(
    ("bits", "dtype"),
    [(8, np.uint8), (10, np.uint16), (12, np.uint16), (16, np.uint16), (12, np.int16), (16, np.int16)],
)
def test_lossless_syntaxes_give_the_same_array(tmp_path, syntax, bits, dtype):
    signed = np.issubdtype(dtype, np.signedinteger)
    if syntax == JPEGLosslessSV1 and (signed or bits not in (8, 16)):
        pytest.skip("this encoder writes whole unsigned bytes alone")
    pixels = rows(ramp(64, 48, dtype).astype(np.int64) % 2**bits - signed * 2 ** (bits - 1)).astype(dtype)
    ds = dicom_of(pixels, BitsStored=bits)
    path = save_dicom(in_syntax(ds, syntax), tmp_path / "film")
    np.testing.assert_array_equal(read_picture(path).array, pixels.T)


@pytest.mark.parametrize("syntax", [s for s in LOSSLESS if s != JPEGLosslessSV1], **BY_NAME)
def test_lossless_syntaxes_give_the_same_colours(tmp_path, syntax):
    path = save_dicom(in_syntax(dicom_of(rows(colours(64, 48))), syntax), tmp_path / "photo")
    np.testing.assert_array_equal(read_picture(path).array, colours(64, 48))


@pytest.mark.skipif(not hasattr(pydicom, "pixels"), reason="pydicom 2 does not know High-Throughput JPEG 2000")
@pytest.mark.parametrize("sign", ["unsigned", "signed"])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"])
def test_high_throughput_jpeg_2000_is_read(tmp_path, syntax, sign):
    signed = sign == "signed"
    pixels = np.add.outer(90 * np.arange(12), 150 * np.arange(20)).astype(np.int16 if signed else np.uint16)
    pixels -= 1024 * signed
    ds = dicom_of(pixels, BitsStored=16 if signed else 12)
    path = save_dicom(encapsulated(ds, [base64.b64decode(HIGH_THROUGHPUT[sign])], syntax), tmp_path / "film")
    np.testing.assert_array_equal(read_picture(path).array, pixels.T)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless], **BY_NAME)
def test_several_frames_come_in_their_order(tmp_path, syntax):
    frames = np.stack([rows(ramp(dtype=np.uint16, seed=seed)) for seed in range(3)])
    path = save_dicom(in_syntax(dicom_of(frames), syntax), tmp_path / "cine")
    np.testing.assert_array_equal(read_picture(path).array, frames.transpose(2, 1, 0))


def test_baseline_jpeg_is_what_pillow_decodes(tmp_path):
    import io

    from PIL import Image

    smooth = np.add.outer(np.arange(40), np.arange(48)).astype(np.uint8) * 2
    stream = jpeg_of(smooth, quality=80)
    ds = encapsulated(dicom_of(smooth), [stream], JPEGBaseline8Bit)
    expected = np.asarray(Image.open(io.BytesIO(stream)))
    read = read_picture(save_dicom(ds, tmp_path / "film")).array
    assert np.abs(read.astype(int) - expected.T).max() <= 1  # another inverse cosine transform


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_FULL"])
def test_jpeg_colours_are_red_green_and_blue(tmp_path, photometric):
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:, :16, 0] = picture[:, 16:32, 1] = picture[:, 32:, 2] = 200
    stream = jpeg_of(picture, quality=95, subsampling=1 if photometric.endswith("422") else 0)
    ds = encapsulated(dicom_of(picture, PhotometricInterpretation=photometric), [stream], JPEGBaseline8Bit)
    read = read_picture(save_dicom(ds, tmp_path / "photo")).array
    assert np.abs(read[4:12].astype(int) - [200, 0, 0]).max() <= 4
    assert np.abs(read[36:44].astype(int) - [0, 0, 200]).max() <= 4


# The bits of PS3.5, 8.1.1.


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless], **BY_NAME)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("stored", "high_bit"), [(12, 11), (12, 15), (10, 12), (8, 7), (15, 15)])
def test_bits_above_and_below_the_picture_hold_overlays_and_are_ignored(tmp_path, syntax, signed, stored, high_bit):
    if syntax == RLELossless and stored == 8:
        pytest.skip("this encoder leaves the upper byte out")
    values = rows(ramp(dtype=np.uint16)).astype(np.int64) % 2**stored
    junk = np.random.default_rng(5).integers(0, 2**16, values.shape)
    below = high_bit + 1 - stored
    mask = (2**stored - 1) << below
    raw = ((values << below) & mask) | (junk & ~mask & 0xFFFF)
    elements = {"BitsStored": stored, "HighBit": high_bit, "PixelRepresentation": int(signed)}
    path = save_dicom(in_syntax(dicom_of(raw.astype(np.uint16), **elements), syntax), tmp_path / "film")
    expected = np.where(signed & (values >= 2 ** (stored - 1)), values - 2**stored, values)
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.array, expected.T)
    assert not any("HighBit" in line for line in picture.warnings)


def test_a_high_bit_that_the_pixels_belie_is_told(tmp_path):
    pixels = rows(ramp(dtype=np.uint16) // 16)
    picture = read_picture(save_dicom(dicom_of(pixels, BitsStored=12, HighBit=15), tmp_path / "film"))
    np.testing.assert_array_equal(picture.array, pixels.T)
    assert any("HighBit 15" in line for line in picture.warnings)


def test_a_missing_high_bit_is_the_usual_one(tmp_path):
    pixels = rows(ramp(dtype=np.uint16) % 4096)
    ds = dicom_of(pixels, BitsStored=12)
    del ds.HighBit
    np.testing.assert_array_equal(read_picture(save_dicom(ds, tmp_path / "film")).array, pixels.T)


def test_what_a_careless_writer_left_out_is_filled_in_and_told(tmp_path):
    pixels = rows(ramp(dtype=np.uint16))
    ds = dicom_of(pixels)
    for keyword in ("PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "BitsStored"):
        delattr(ds, keyword)
    picture = read_picture(save_dicom(ds, tmp_path / "film"))
    np.testing.assert_array_equal(picture.array, pixels.T)
    assert any("PixelRepresentation" in line and "assumed" in line for line in picture.warnings)


def test_one_bit_pixels_are_zero_and_one(tmp_path):
    inside = rows(ramp(16, 8) % 2)
    ds = dicom_of(inside, BitsStored=1)
    ds.BitsAllocated, ds.PixelData = 1, np.packbits(inside, bitorder="little").tobytes()
    np.testing.assert_array_equal(read_picture(save_dicom(ds, tmp_path / "plane")).array, inside.T)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_pixels_are_read(tmp_path, dtype):
    values = rows(ramp(dtype=dtype))
    ds = dicom_of(values.astype(np.float32))
    del ds.PixelData, ds.PixelRepresentation, ds.BitsStored, ds.HighBit
    ds.BitsAllocated = 8 * values.itemsize
    setattr(ds, "FloatPixelData" if dtype == np.float32 else "DoubleFloatPixelData", values.tobytes())
    np.testing.assert_allclose(read_picture(save_dicom(ds, tmp_path / "map")).array, values.T)


def test_frames_that_the_header_does_not_count_are_told(tmp_path):
    frames = np.stack([rows(ramp(dtype=np.uint16, seed=seed)) for seed in range(3)])
    for count in (1, 2):
        picture = read_picture(save_dicom(dicom_of(frames, NumberOfFrames=count), tmp_path / f"{count}"))
        kept = frames.transpose(2, 1, 0)[:, :, :count]
        np.testing.assert_array_equal(picture.array, kept if count > 1 else kept[:, :, 0])
        assert any("holds 3 frames" in line for line in picture.warnings)


# What is damaged is refused before a decoder meets it.


def compressed(tmp_path, **changed):
    ds = in_syntax(dicom_of(rows(ramp(64, 48, np.uint16))), JPEGLosslessSV1)
    for keyword, value in changed.items():
        setattr(ds, keyword, value)
    return save_dicom(ds, tmp_path / "film")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"Rows": 65000}, "a frame is 64×48×1, the header says 64×65000×1"),
        ({"Columns": 63}, "a frame is 64×48×1, the header says 63×48×1"),
        ({"NumberOfFrames": 2000000000}, "it holds 1 of 2000000000 frames"),
        ({"NumberOfFrames": -3}, "NumberOfFrames is -3"),
    ],
)
def test_a_size_that_the_stream_belies_is_refused(tmp_path, changed, said):
    with pytest.raises(UnreadableImage, match=said):
        read_picture(compressed(tmp_path, **changed))


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLosslessSV1], **BY_NAME)
@pytest.mark.parametrize("part", [0.3, 0.7, 0.98])
def test_a_compressed_frame_cut_short_is_no_half_picture(tmp_path, syntax, part):
    ds = in_syntax(dicom_of(rows(ramp(64, 48, np.uint16))), syntax)
    frame = get_frame(ds.PixelData, 0, number_of_frames=1)
    ds = encapsulated(ds, [frame[: int(len(frame) * part)]], syntax)
    with pytest.raises(UnreadableImage, match="damaged or cut short"):
        read_picture(save_dicom(ds, tmp_path / "film"))


def test_what_a_file_quotes_stays_out_of_the_message(tmp_path):
    ds = dicom_of(rows(ramp()), sop_class="1.2.840.10008.5.1.4.1.1.7", PhotometricInterpretation="DOE JANE")
    with pytest.raises((UnreadableImage, UnsupportedImage)) as error:
        read_picture(save_dicom(ds, tmp_path / "film"))
    assert "DOE" not in str(error.value)


@pytest.mark.parametrize(("photometric", "samples"), [("RGB", 1), ("MONOCHROME2", 3), ("HSV", 3), ("CMYK", 3)])
def test_colour_spaces_that_are_not_read_are_named(tmp_path, photometric, samples):
    pixels = rows(colours()) if samples == 3 else rows(ramp())
    path = save_dicom(dicom_of(pixels, PhotometricInterpretation=photometric), tmp_path / "photo")
    with pytest.raises(UnsupportedImage, match=f"{photometric}, with {samples} sample"):
        read_picture(path)


def test_pixels_on_a_server_are_told(tmp_path):
    ds = dicom_of(rows(ramp()), PixelDataProviderURL="https://pacs.example/jpip?1")
    del ds.PixelData
    with pytest.raises(UnsupportedImage, match="JPIP"):
        read_picture(save_dicom(ds, tmp_path / "film"))
