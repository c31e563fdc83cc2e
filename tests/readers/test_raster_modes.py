"""What PNG, JPEG, BMP, GIF and TIFF may hold."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reader_phantoms import colours, ramp, write_raster

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.readers import read_grid, read_picture, slices_in


def save(image, path, **options):
    image.save(path, **options)
    return str(path)


def test_alpha_is_dropped_and_not_blended(tmp_path):
    alpha = np.zeros((7, 5, 1), np.uint8)
    path = write_raster(tmp_path / "rgba.png", np.concatenate([colours(), alpha], axis=-1))
    np.testing.assert_array_equal(read_picture(path).array, colours())
    path = write_raster(tmp_path / "la.png", np.concatenate([ramp()[..., np.newaxis], alpha], axis=-1))
    np.testing.assert_array_equal(read_picture(path).array, ramp())


@pytest.mark.parametrize("colour", [[255], [0, 0, 255]])
def test_a_mask_that_lies_in_alpha_alone_is_refused_with_what_to_do(tmp_path, colour):
    drawn = np.zeros((7, 5, len(colour) + 1), np.uint8)
    drawn[..., :-1] = colour
    path = write_raster(tmp_path / "mask.png", drawn)
    assert read_picture(path, labels=True).array.shape[:2] == (7, 5)  # one alpha everywhere says nothing
    drawn[2:4, 1:3, -1] = 255
    path = write_raster(tmp_path / "mask.png", drawn)
    with pytest.raises(UnsupportedImage, match=r"mask\.png: .*alpha channel .* alone.*getchannel"):
        read_picture(path, labels=True)
    assert read_picture(path).array.shape[:2] == (7, 5)


def test_a_palette_gives_colours_in_an_image_and_indices_in_a_mask(tmp_path):
    indices = (ramp() % 3).astype(np.uint8)
    palette = np.array([[0, 0, 0], [0, 0, 255], [200, 10, 0]], np.uint8)
    image = Image.fromarray(indices.T, mode=None).convert("L")
    image = image.copy()
    image.putpalette(palette.tobytes())
    path = save(image, tmp_path / "palette.png")
    np.testing.assert_array_equal(read_picture(path).array, palette[indices])
    mask = read_picture(path, labels=True)
    np.testing.assert_array_equal(mask.array, indices)
    np.testing.assert_array_equal(mask.palette[:3], palette)
    assert mask.meta()["palette"].startswith("0000000000ffc80a00")


def test_a_gif_is_read_as_its_first_frame_by_its_palette(tmp_path):
    indices = (ramp() % 3).astype(np.uint8)
    palette = np.array([[0, 0, 0], [0, 0, 255], [200, 10, 0]], np.uint8)
    first, second = Image.fromarray(indices.T.copy()), Image.fromarray((2 - indices).T.copy())
    for frame in (first, second):
        frame.putpalette(palette.tobytes())
    path = save(first, tmp_path / "drawn.gif", save_all=True, append_images=[second], optimize=False)
    picture, mask = read_picture(path), read_picture(path, labels=True)
    np.testing.assert_array_equal(picture.array, palette[indices])
    assert picture.warnings == ("an animation of 2 frames, of which the first is read",)
    np.testing.assert_array_equal(mask.palette[mask.array], palette[indices])
    assert mask.array.dtype == np.uint8 and read_grid(path).display_shape == indices.shape


@pytest.mark.parametrize("first", [0, 255])
def test_a_gif_of_greys_is_grey_whatever_the_order_of_its_palette(tmp_path, first):
    shown = (ramp() > 100) * np.uint8(255)
    image = Image.fromarray((shown != first).T.astype(np.uint8))
    image.putpalette([first] * 3 + [255 - first] * 3)
    path = save(image, tmp_path / "mask.gif", optimize=False)
    np.testing.assert_array_equal(read_picture(path).array, shown)
    mask = read_picture(path, labels=True)
    np.testing.assert_array_equal(mask.array, shown)
    assert mask.palette is None


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_one_bit_is_255_in_an_image_and_1_in_a_mask(tmp_path, suffix):
    bits = ramp() > 100
    path = save(Image.fromarray(bits.T), tmp_path / f"bits.{suffix}")
    np.testing.assert_array_equal(read_picture(path).array, bits * np.uint8(255))
    mask = read_picture(path, labels=True)
    if suffix != "bmp":  # a BMP of one bit has a palette, and its colours are all there is
        np.testing.assert_array_equal(mask.array, bits.astype(np.uint8))
    assert mask.array.dtype == np.uint8


def test_cmyk_becomes_rgb(tmp_path):
    image = Image.fromarray(np.ascontiguousarray(colours().swapaxes(0, 1))).convert("CMYK")
    picture = read_picture(save(image, tmp_path / "print.tif"))
    np.testing.assert_array_equal(picture.array, np.asarray(image.convert("RGB")).swapaxes(0, 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_min_is_white_is_turned_round(tmp_path, dtype):
    path = write_raster(tmp_path / "negative.tif", ramp(dtype=dtype), tiffinfo={262: 0})
    stored = read_picture(path).array
    with Image.open(path) as image:
        assert image.tag_v2[262] == 0
    raw = (tmp_path / "negative.tif").read_bytes()
    in_file = np.ascontiguousarray(ramp(dtype=dtype).T).tobytes()
    # Pillow writes the bytes as given, or mirrored; what a viewer shows is white minus what lies in the file.
    white = np.iinfo(dtype).max
    assert np.array_equal(stored, white - ramp(dtype=dtype)) == (in_file in raw)
    assert np.array_equal(stored, ramp(dtype=dtype)) == (in_file not in raw)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_masks_that_are_shown_with_white_for_0_keep_what_is_stored(tmp_path, dtype):
    path = write_raster(tmp_path / "mask.tif", ramp(dtype=dtype), tiffinfo={262: 0})
    in_file = np.ascontiguousarray(ramp(dtype=dtype).T).tobytes() in (tmp_path / "mask.tif").read_bytes()
    stored = ramp(dtype=dtype) if in_file else np.iinfo(dtype).max - ramp(dtype=dtype)
    np.testing.assert_array_equal(read_picture(path, labels=True).array, stored)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "lzw.tif"])
def test_exif_orientation_is_honoured(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    stored = ramp()
    compression = {"compression": "tiff_lzw"} if suffix == "lzw.tif" else {}
    path = write_raster(tmp_path / f"turned.{suffix}", stored, exif=exif, **compression)
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.grid.to_source(picture.array), stored)
    assert picture.array.shape == ((5, 7) if orientation > 4 else (7, 5))
    assert picture.grid.exif_orientation == orientation
    assert read_grid(path).to_meta() == picture.grid.to_meta()


def test_a_jpeg_on_its_side_is_shown_upright(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    brighter_to_the_right = np.tile(np.linspace(0, 255, 40)[:, None], (1, 24)).astype(np.uint8)
    path = write_raster(tmp_path / "side.jpg", brighter_to_the_right, exif=exif)
    picture = read_picture(path)
    assert picture.array.shape == (24, 40)
    assert picture.array[0, 0] < 20 < 230 < picture.array[0, -1]  # left to right became top to bottom


def test_pages_of_a_tiff_are_slices(tmp_path):
    pages = [ramp(seed=seed) for seed in range(3)]
    first, *rest = [Image.fromarray(np.ascontiguousarray(page.T)) for page in pages]
    path = save(first, tmp_path / "stack.tif", save_all=True, append_images=rest)
    assert read_picture(path).array.shape == (7, 5, 3)
    names = slices_in(path)
    assert len(names) == 3
    for name, page in zip(names, pages, strict=True):
        np.testing.assert_array_equal(read_picture(name).array, page)


def test_pages_of_different_sizes_are_refused(tmp_path):
    first, second = (Image.fromarray(ramp(width=width).T.copy()) for width in (7, 9))
    path = save(first, tmp_path / "pyramid.tif", save_all=True, append_images=[second])
    with pytest.raises(UnsupportedImage, match=r"pyramid\.tif: its 2 pages differ \(7×5, 9×5\)"):
        read_picture(path)


def test_a_float64_tiff_is_refused_with_what_to_do(tmp_path):
    values = ramp(dtype=np.float64)
    tags = {256: 7, 257: 5, 258: 64, 259: 1, 262: 1, 273: 200, 277: 1, 278: 5, 279: values.nbytes, 339: 3}
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, v) for tag, v in tags.items())
    header = b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0)
    path = tmp_path / "double.tif"
    path.write_bytes(header.ljust(200, b"\0") + np.ascontiguousarray(values.T).tobytes())
    with pytest.raises(UnreadableImage, match=r"double\.tif.*64-bit.*Export it as"):
        read_picture(path)


def test_the_array_may_be_written_to(tmp_path):
    picture = read_picture(write_raster(tmp_path / "float.tif", ramp(dtype=np.float32)))
    picture.array[0, 0] = 1
    assert picture.array.flags.writeable


def test_cielab_is_refused_by_name(tmp_path):
    path = save(Image.new("LAB", (7, 5)), tmp_path / "lab.tif")
    with pytest.raises(UnsupportedImage, match=r"lab\.tif: CIELAB"):
        read_picture(path)


def test_a_picture_of_too_many_pixels_is_refused(tmp_path, monkeypatch):
    path = write_raster(tmp_path / "slide.png", ramp(64, 48))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UnsupportedImage, match=r"slide\.png: too many pixels \(over 2000\)"):
        read_picture(path)


def test_a_16_in_the_size_of_a_png_does_not_make_it_16_bit(tmp_path: Path) -> None:
    indices = (np.arange(160 * 416) % 3).astype(np.uint8).reshape(416, 160)
    palette = Image.fromarray(indices, "L").convert("P")
    palette.putpalette([0, 0, 0, 200, 10, 10, 10, 200, 10])
    palette.putdata(indices.ravel().tolist())
    path = tmp_path / "palette.png"
    palette.save(path)
    picture = read_picture(str(path), labels=True)
    assert picture.array.dtype == np.uint8
    assert (picture.array == indices.T).all()
    deep = np.full((416, 160, 3), 51_234, np.uint16)
    import SimpleITK

    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(deep, isVector=True), str(tmp_path / "deep.png"))
    assert read_picture(str(tmp_path / "deep.png")).array.max() == 51_234
