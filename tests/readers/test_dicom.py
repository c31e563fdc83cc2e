"""What a DICOM file means: HU, dark background, colours, millimetres, slices."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian, RLELossless
from reader_phantoms import CT_IMAGE, colours, dicom_of, item, ramp, save_dicom, write_dicom

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.geometry import picture_affine
from pipeline.readers import read_grid, read_picture, slices_in


def rows(array):
    return np.ascontiguousarray(array.swapaxes(0, 1))


PIXELS = rows(ramp(dtype=np.uint16) // 16)  # 12 bits


@pytest.fixture
def read(tmp_path):
    def write_and_read(pixels=PIXELS, *, voi=False, labels=False, **elements):
        return read_picture(write_dicom(tmp_path / "object", pixels, **elements), voi=voi, labels=labels)

    return write_and_read


def test_rescaling_gives_hounsfield_units_as_int16(read):
    picture = read(RescaleSlope=1, RescaleIntercept=-1024, Modality="CT", sop_class=CT_IMAGE)
    np.testing.assert_array_equal(picture.array, PIXELS.T.astype(int) - 1024)
    assert (picture.array.dtype, picture.modality) == (np.int16, "CT")


def test_a_fractional_slope_gives_float32(read):
    picture = read(RescaleSlope=0.5, RescaleIntercept=-10)
    np.testing.assert_allclose(picture.array, PIXELS.T * 0.5 - 10)
    assert picture.array.dtype == np.float32


def test_values_beyond_16_bits_become_float32_and_stay_exact(read):
    picture = read(RescaleSlope=100, RescaleIntercept=0)
    np.testing.assert_array_equal(picture.array, PIXELS.T.astype(int) * 100)
    assert picture.array.dtype == np.float32


def test_a_modality_lut_is_looked_up(read):
    threefold = (np.arange(4096, dtype=np.uint16) * 3).tobytes()
    table = item(LUTDescriptor=[4096, 0, 16], LUTData=threefold, ModalityLUTType="US")
    np.testing.assert_array_equal(read(ModalityLUTSequence=[table]).array, PIXELS.T * 3)


def test_monochrome1_is_turned_round_about_the_range_of_its_bits(read):
    picture = read(PhotometricInterpretation="MONOCHROME1", BitsStored=12)
    np.testing.assert_array_equal(picture.array, 4095 - PIXELS.T.astype(int))
    assert (picture.array.dtype, picture.photometric) == (np.uint16, "MONOCHROME1")


def test_monochrome1_is_turned_round_after_rescaling(read):
    picture = read(PhotometricInterpretation="MONOCHROME1", BitsStored=12, RescaleSlope=2, RescaleIntercept=-100)
    np.testing.assert_array_equal(picture.array, 2 * 4095 - 100 - 100 - (PIXELS.T.astype(int) * 2 - 100))


def test_signed_monochrome1_is_turned_round_about_minus_one(read):
    pixels = rows(ramp(dtype=np.int16)) - 9000
    picture = read(pixels, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(picture.array, -1 - pixels.T.astype(int))


def test_a_mask_keeps_its_stored_values(read):
    picture = read(labels=True, PhotometricInterpretation="MONOCHROME1", RescaleSlope=2, RescaleIntercept=7)
    np.testing.assert_array_equal(picture.array, PIXELS.T)


def test_the_window_gives_grey_from_0_to_255(read):
    picture = read(voi=True, WindowCenter=2000, WindowWidth=1001)
    expected = np.clip((PIXELS.T - 1999.5) / 1000 + 0.5, 0, 1) * 255  # PS3.3 C.11.2.1.2.1
    np.testing.assert_allclose(picture.array, expected, atol=1e-3)
    assert picture.array.dtype == np.float32


def test_the_first_of_several_windows_counts_and_the_mirror_comes_last(read):
    one = read(voi=True, WindowCenter=2000, WindowWidth=1001)
    several = {"WindowCenter": [2000, 40], "WindowWidth": [1001, 400]}
    two = read(voi=True, PhotometricInterpretation="MONOCHROME1", BitsStored=12, **several)
    np.testing.assert_allclose(two.array, 255 - one.array, atol=1e-3)


@pytest.mark.parametrize(("function", "at_centre"), [("SIGMOID", 127.5), ("LINEAR_EXACT", 127.5)])
def test_other_window_functions_have_their_middle_at_the_centre(read, function, at_centre):
    pixels = np.full((3, 4), 2000, np.uint16)
    picture = read(pixels, voi=True, WindowCenter=2000, WindowWidth=1000, VOILUTFunction=function)
    np.testing.assert_allclose(picture.array, at_centre)


def test_a_voi_lut_is_looked_up_and_scaled_to_255(read):
    table = item(LUTDescriptor=[4096, 0, 12], LUTData=np.arange(4095, -1, -1, dtype=np.uint16).tobytes())
    np.testing.assert_allclose(read(voi=True, VOILUTSequence=[table]).array, (4095 - PIXELS.T) / 4095 * 255, atol=1e-3)


def test_without_a_window_the_whole_range_is_shown(read):
    grey = read(voi=True).array
    assert (grey.min(), grey.max()) == (0, 255)


SPACINGS = [
    ({"PixelSpacing": [0.2, 0.3]}, (0.3, 0.2), "PixelSpacing"),
    ({"PixelSpacing": [0.2, 0.3], "ImagerPixelSpacing": [1, 1]}, (0.3, 0.2), "PixelSpacing"),
    ({"ImagerPixelSpacing": [0.2, 0.3]}, (0.3, 0.2), "ImagerPixelSpacing"),
    (
        {"ImagerPixelSpacing": [0.2, 0.3], "EstimatedRadiographicMagnificationFactor": 2},
        (0.15, 0.1),
        "ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor",
    ),
    ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.3]}, (0.3, 0.2), "ImagerPixelSpacing"),
    ({"NominalScannedPixelSpacing": [0.2, 0.3]}, (0.3, 0.2), "NominalScannedPixelSpacing"),
]


@pytest.mark.parametrize(("elements", "spacing_mm", "source"), SPACINGS)
def test_spacing_is_x_then_y_from_the_first_element_that_is_a_size(read, elements, spacing_mm, source):
    picture = read(**elements)
    assert picture.spacing_mm == pytest.approx(spacing_mm)
    assert (picture.spacing_source, picture.warnings) == (source, ())
    np.testing.assert_allclose(picture.affine, picture_affine(spacing_mm))


@pytest.mark.parametrize("spacing", [[0, 0], [0.1, -1], [0.1], None])
def test_spacing_that_is_no_size_is_unknown_and_says_so(read, spacing):
    picture = read(PixelSpacing=spacing)
    assert (picture.spacing_mm, picture.spacing_source) == (None, "unknown")
    assert "pixels only" in picture.warnings[0]
    np.testing.assert_array_equal(picture.affine, picture_affine())


def test_planar_and_interleaved_colours_are_the_same(read):
    interleaved = read(rows(colours()))
    planar = read(np.ascontiguousarray(np.moveaxis(rows(colours()), -1, 0)), SamplesPerPixel=3, **PLANAR)
    np.testing.assert_array_equal(interleaved.array, colours())
    np.testing.assert_array_equal(planar.array, colours())


PLANAR = {"PhotometricInterpretation": "RGB", "PlanarConfiguration": 1, "Rows": 5, "Columns": 7, "NumberOfFrames": 1}


def test_ybr_becomes_rgb(read):
    from PIL import Image

    ycc = np.asarray(Image.fromarray(rows(colours())).convert("YCbCr"))
    picture = read(ycc, PhotometricInterpretation="YBR_FULL")
    assert np.abs(picture.array.astype(int) - colours()).max() <= 2  # rounding of the conversion
    assert picture.colour


def palette_elements(bits):
    entries = np.array([[0, 0, 0], [0, 0, 255], [200, 10, 0], [9, 9, 9]]) * (257 if bits == 16 else 1)
    elements = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, column in zip(("Red", "Green", "Blue"), entries.T, strict=True):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [4, 0, bits]
        elements[f"{name}PaletteColorLookupTableData"] = column.astype(np.uint16 if bits == 16 else np.uint8).tobytes()
    return elements


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_gives_colours_in_an_image_and_indices_in_a_mask(read, bits):
    indices = (ramp() % 4).astype(np.uint8)
    palette = np.array([[0, 0, 0], [0, 0, 255], [200, 10, 0], [9, 9, 9]], np.uint8)
    picture = read(rows(indices), **palette_elements(bits))
    np.testing.assert_array_equal(picture.array, palette[indices])
    mask = read(rows(indices), labels=True, **palette_elements(bits))
    np.testing.assert_array_equal(mask.array, indices)
    np.testing.assert_array_equal(mask.palette, palette)


def test_frames_without_places_are_slices_as_stored(tmp_path):
    frames = np.stack([rows(ramp(seed=seed)) for seed in range(3)])
    path = write_dicom(tmp_path / "cine.dcm", frames, PixelSpacing=[0.2, 0.3])
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.array, frames.transpose(2, 1, 0))
    np.testing.assert_array_equal(read_picture(f"{path}#slice=2").array, frames[2].T)
    assert len(slices_in(path)) == 3
    assert picture.spacing_mm == (0.3, 0.2)


def test_coloured_frames_keep_their_colours(read):
    frames = np.stack([rows(colours()), rows(colours())[::-1]])
    np.testing.assert_array_equal(read(frames).array, frames.transpose(2, 1, 0, 3))


def enhanced_ct(pixels, heights_mm, intercepts):
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.4], SliceThickness=2)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
    )
    frames = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[-10, -20, height])],
            PixelValueTransformationSequence=[item(RescaleSlope=1, RescaleIntercept=intercept)],
        )
        for height, intercept in zip(heights_mm, intercepts, strict=True)
    ]
    return dicom_of(
        pixels,
        sop_class="1.2.840.10008.5.1.4.1.1.2.1",
        Modality="CT",
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=frames,
    )


def test_enhanced_frames_are_ordered_by_place_and_rescaled_each(tmp_path):
    frames = np.stack([rows(ramp(dtype=np.int16, seed=seed)) // 8 for seed in range(3)])
    path = save_dicom(enhanced_ct(frames, [30, 34, 32], [-1000, 0, 5]), tmp_path / "enhanced")
    picture = read_picture(path)
    hu = frames.transpose(2, 1, 0).astype(int) + np.array([-1000, 0, 5])
    np.testing.assert_array_equal(picture.array, hu[:, :, [0, 2, 1]])
    expected = np.diag([-0.4, -0.5, 2, 1])
    expected[:3, 3] = [10, 20, 30]
    np.testing.assert_allclose(picture.affine, expected)
    assert picture.spacing_mm == (0.4, 0.5)
    assert read_grid(path).to_meta() == picture.grid.to_meta()


def ct_slice(pixels, cosines, position=(-10, -20, 30), **elements):
    return dicom_of(
        pixels,
        sop_class=CT_IMAGE,
        ImageOrientationPatient=list(cosines),
        ImagePositionPatient=list(position),
        PixelSpacing=[0.5, 0.4],
        **elements,
    )


@pytest.mark.parametrize(
    ("cosines", "to_display"),
    [
        ([1, 0, 0, 0, 1, 0], lambda a: a),  # axial as usual
        ([-1, 0, 0, 0, -1, 0], lambda a: a[::-1, ::-1]),  # prone: turned by 180°
        ([0, 1, 0, 1, 0, 0], lambda a: a.T),  # rows run to the back
        ([1, 0, 0, 0, 0, -1], lambda a: a),  # coronal as usual
        ([0, 1, 0, 0, 0, -1], lambda a: a),  # sagittal as usual
        ([0, -1, 0, 0, 0, -1], lambda a: a[::-1]),  # sagittal, nose to the right
    ],
)
def test_slices_are_shown_as_a_viewer_does(tmp_path, cosines, to_display):
    pixels = rows(ramp(dtype=np.int16))
    picture = read_picture(save_dicom(ct_slice(pixels, cosines), tmp_path / "slice"))
    np.testing.assert_array_equal(picture.array, to_display(pixels.T))
    np.testing.assert_array_equal(picture.grid.to_source(picture.array)[:, :, 0], pixels.T)
    # Rows that run along the display's y have their spacing there.
    np.testing.assert_allclose(picture.spacing_mm, picture.grid.spacing_mm)
    assert picture.spacing_mm == ((0.5, 0.4) if cosines == [0, 1, 0, 1, 0, 0] else (0.4, 0.5))


def test_the_affine_of_an_oblique_slice_follows_the_standard(tmp_path):
    angle = np.radians(20)
    cosines = [np.cos(angle), 0, np.sin(angle), 0, 1, 0]
    ds = ct_slice(PIXELS, cosines, SliceThickness=3)
    affine = read_picture(save_dicom(ds, tmp_path / "oblique")).affine
    # PS3.3 equation C.7.6.2.1-1 at column 3, row 2, turned from LPS to RAS.
    place = np.array([-10, -20, 30]) + 3 * 0.4 * np.array(cosines[:3]) + 2 * 0.5 * np.array(cosines[3:])
    np.testing.assert_allclose(affine @ [3, 2, 0, 1], [*place * [-1, -1, 1], 1])


def test_a_file_without_suffix_modality_or_preamble_is_read(tmp_path):
    ds = dicom_of(PIXELS)
    del ds.Modality
    assert read_picture(save_dicom(ds, tmp_path / "IM000001")).modality == ""
    whole = (tmp_path / "IM000001").read_bytes()
    # Old archives leave out the preamble and the meta header.
    length = int.from_bytes(whole[140:144], "little")
    (tmp_path / "bare.dcm").write_bytes(whole[144 + length :])
    np.testing.assert_array_equal(read_picture(tmp_path / "bare.dcm").array, PIXELS.T)


def test_run_length_encoding_decodes_to_the_same_pixels(tmp_path):
    ds = dicom_of(PIXELS)
    ds.compress(RLELossless)
    np.testing.assert_array_equal(read_picture(save_dicom(ds, tmp_path / "rle")).array, PIXELS.T)


def test_a_preamble_that_looks_like_tiff_is_still_dicom(tmp_path):
    ds = dicom_of(PIXELS)
    ds.preamble = b"II*\0" + b"\0" * 124
    assert read_picture(save_dicom(ds, tmp_path / "dual")).source_format == "DICOM"


@pytest.mark.parametrize(
    ("sop_class", "said"),
    [
        ("1.2.840.10008.5.1.4.1.1.66.4", "a segmentation"),
        ("1.2.840.10008.5.1.4.1.1.481.2", "dose"),
    ],
)
def test_objects_with_other_pixels_are_refused(tmp_path, sop_class, said):
    path = write_dicom(tmp_path / "object", PIXELS, sop_class=sop_class)
    with pytest.raises(UnsupportedImage, match=said):
        read_picture(path)


@pytest.mark.parametrize(
    ("sop_class", "name"),
    [
        ("1.2.840.10008.5.1.4.1.1.481.3", "RT Structure Set Storage"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "Grayscale Softcopy Presentation State Storage"),
    ],
)
def test_objects_without_pixels_are_refused_by_name(tmp_path, sop_class, name):
    ds = dicom_of(PIXELS, sop_class=sop_class)
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(ds, keyword)
    with pytest.raises(UnsupportedImage, match=name):
        read_picture(save_dicom(ds, tmp_path / "object"))


def test_a_transfer_syntax_without_decoder_is_named(tmp_path):
    ds = dicom_of(PIXELS)
    ds.compress(RLELossless)
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"  # MPEG2
    with pytest.raises(UnsupportedImage, match="MPEG2"):
        read_picture(save_dicom(ds, tmp_path / "video"))


def test_a_jpeg_stream_without_its_end_is_not_filled_up_with_grey(tmp_path):
    from pydicom.encaps import encapsulate

    ds = dicom_of(PIXELS)
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
    ds.PixelData = encapsulate([b"\xff\xd8\xff\xc3" + b"\0" * 200])
    ds["PixelData"].is_undefined_length = True
    with pytest.raises(UnreadableImage, match="cut short"):
        read_picture(save_dicom(ds, tmp_path / "film"))


def test_the_patient_stays_out_of_the_metadata(read):
    picture = read(PatientName="Doe^Jane", PatientBirthDate="19500101")
    assert picture.subject_id == "Phantom^1"
    meta = repr(picture.meta())
    assert not any(secret in meta for secret in ("Doe", "Phantom", "19500101"))


def test_implicit_syntax_reads_the_same(tmp_path):
    ds = dicom_of(PIXELS)
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    if hasattr(pydicom, "pixels"):
        ds.save_as(tmp_path / "implicit", enforce_file_format=True)
    else:
        ds.is_little_endian, ds.is_implicit_VR = True, True
        ds.save_as(tmp_path / "implicit", write_like_original=False)
    np.testing.assert_array_equal(read_picture(tmp_path / "implicit").array, PIXELS.T)


def test_32_bit_pixels_do_not_overflow_when_rescaled(read):
    pixels = np.array([[2**23, 5], [0, 7]], np.uint32)
    np.testing.assert_array_equal(read(pixels, RescaleSlope=1, RescaleIntercept=-5).array, pixels.T.astype(int) - 5)
