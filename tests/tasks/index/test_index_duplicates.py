"""Nearly equal pictures are found, different ones are not."""

import io

import numpy as np
from PIL import Image

from pipeline.tasks.index.duplicates import nearly_equal_pairs, thumbnail


def smooth_picture(seed: int, size=(160, 120)) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 9)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))


def as_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def test_recompressed_resized_windowed_and_coloured_copies_are_nearly_equal():
    picture = smooth_picture(0)
    copies = [
        as_jpeg(picture, 50),
        np.asarray(Image.fromarray(picture).resize((300, 400))),
        picture.astype(np.int16) * 12 - 1024,
        picture.astype(np.float32) * 1e-6,
        np.dstack([picture] * 3),
    ]
    pairs = nearly_equal_pairs([thumbnail(other) for other in [picture, *copies]])
    assert {second for first, second in pairs if first == 0} == {1, 2, 3, 4, 5}


def test_different_pictures_are_not_nearly_equal():
    assert nearly_equal_pairs([thumbnail(smooth_picture(seed)) for seed in range(200)]) == []


def test_mirrored_picture_is_another_one():
    picture = smooth_picture(0)
    assert nearly_equal_pairs([thumbnail(picture), thumbnail(picture[::-1])]) == []


def test_constant_and_tiny_pictures_equal_none():
    flat = np.full((40, 40), 7, np.uint8)
    assert thumbnail(flat) == b""
    assert thumbnail(np.arange(64.0).reshape(8, 8)) == b""
    assert thumbnail(np.full((40, 40), np.nan, np.float32)) == b""
    assert nearly_equal_pairs([b"", b"", thumbnail(smooth_picture(0))]) == []


def test_many_equal_frames_give_a_bounded_number_of_pairs_that_join_them_all():
    frames = [thumbnail(smooth_picture(0))] * 300
    pairs = nearly_equal_pairs(frames)
    assert len(pairs) <= 300 * 8
