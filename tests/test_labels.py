"""Label codings: their strings, what they decode, and what is guessed from a set's masks."""

import time

import numpy as np
import pytest

from pipeline.errors import UnknownLabel
from pipeline.labels import (
    LabelCoding,
    MaskHistogram,
    colour_clusters,
    guess_coding,
    surrounding_value,
    zero_may_be_the_object,
)

BLACK, RED, GREEN, BLUE = (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)
CHEST = "colours:#000000=0,#0000ff=1,#00ff00=2,#ff0000=3"


def decode(coding: str, mask, **options):
    return LabelCoding.parse(coding).decode(np.asarray(mask), **options).tolist()


def histogram_of(*masks, lossy=False) -> MaskHistogram:
    histogram = MaskHistogram(lossy=lossy)
    for mask in masks:
        histogram.add(np.asarray(mask, np.uint8))
    return histogram


def blurred_disc(levels=(0, 255), size=64) -> np.ndarray:
    """A disc whose edge runs through all values between two levels."""
    x, y = np.mgrid[:size, :size] - size / 2
    edge = np.clip(size / 4 - np.hypot(x + 0.31, y - 0.17) + 0.5, 0, 1)
    return (levels[0] + edge * (levels[1] - levels[0])).round().astype(np.uint8)


@pytest.mark.parametrize(
    "text",
    [
        "index",
        "index@1,2",
        "threshold:127",
        "threshold:0.5@1,1",
        "levels:0=0,128=1,255=2",
        CHEST,
        "colours-exact:#000000=0,#0000ff=1",
    ],
)
def test_coding_string_survives_parsing(text):
    assert str(LabelCoding.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "indexes",
        "index:3",
        "threshold:",
        "levels:",
        "levels:0",
        "levels:0=0,0=1",
        "colours:blue=1",
        "index@",
        "index@256",
    ],
)
def test_unreadable_coding_is_refused_with_examples(text):
    with pytest.raises(UnknownLabel, match=r"cannot be read.*threshold:127"):
        LabelCoding.parse(text)


def test_threshold_itself_is_background():
    assert decode("threshold:127", [[0, 127, 128, 255]]) == [[0, 0, 1, 1]]


def test_levels_take_the_nearest_and_strays_are_counted():
    mask = np.array([[0, 30, 60, 128, 130, 191, 192, 255]], np.uint8)
    classes, strays = LabelCoding.parse("levels:0=0,128=1,255=2").decode_counting(mask)
    assert classes.tolist() == [[0, 0, 0, 1, 1, 1, 2, 2]]
    assert strays == 0
    assert LabelCoding.parse("levels:0=0,10=1").decode_counting(mask)[1] == 7


def test_two_levels_may_be_one_class():
    assert decode("levels:0=0,128=1,255=1", [[0, 128, 255]]) == [[0, 1, 1]]


def test_colours_take_the_nearest_so_that_blurred_edges_keep_their_class():
    mask = np.array([[BLACK, (0, 0, 130), (0, 0, 126), (3, 250, 2), (200, 20, 0)]], np.uint8)
    assert decode(CHEST, mask) == [[0, 1, 0, 2, 3]]


def test_colour_far_from_all_is_a_stray():
    mask = np.array([[BLACK, (0, 128, 128), (255, 255, 255)]], np.uint8)
    assert LabelCoding.parse(CHEST).decode_counting(mask)[1] == 2


def test_exact_colours_refuse_any_other_and_name_it():
    coding = CHEST.replace("colours", "colours-exact")
    assert decode(coding, np.array([[BLUE, BLACK]], np.uint8)) == [[1, 0]]
    with pytest.raises(UnknownLabel, match="#0000fe"):
        decode(coding, np.array([[BLUE, (0, 0, 254)]], np.uint8))


def test_decoding_does_not_depend_on_the_dtype_that_a_reader_gives():
    generator = np.random.default_rng(0)
    colours = generator.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    for coding, mask in ((CHEST, colours), ("levels:0=0,128=1,255=2", colours[..., 0]), ("index", colours[..., 0])):
        expected = decode(coding, mask)
        for dtype in (np.float32, np.int16, np.uint16):
            assert decode(coding, mask.astype(dtype)) == expected


def test_nearest_colour_agrees_with_a_plain_search():
    mask = np.random.default_rng(1).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    palette = np.array([BLACK, BLUE, GREEN, RED])
    distance = np.linalg.norm(mask[:, :, None].astype(float) - palette, axis=-1)
    assert decode(CHEST, mask) == distance.argmin(-1).tolist()


def test_grey_stored_as_rgb_is_grey():
    grey = np.array([[0, 200], [255, 90]], np.uint8)
    assert decode("threshold:127", np.dstack([grey] * 3)) == [[0, 1], [1, 0]]


def test_colours_under_a_grey_coding_are_refused():
    with pytest.raises(UnknownLabel, match="--colours"):
        decode("threshold:127", np.array([[BLACK, BLUE]], np.uint8))


def test_grey_mask_under_a_colour_coding_is_refused():
    with pytest.raises(UnknownLabel, match="expects a colour mask"):
        decode(CHEST, np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize("value", [-1.0, 0.5, 256.0, np.nan, np.inf])
def test_index_refuses_what_is_no_class_number(value):
    with pytest.raises(UnknownLabel, match="no class index"):
        decode("index", np.array([[0, value]], np.float32))


def test_index_beyond_the_known_classes_is_refused_and_listed():
    assert decode("index", [[0, 2]], n_classes=3) == [[0, 2]]
    with pytest.raises(UnknownLabel, match=r"classes 7 but the task knows 0\.\.2"):
        decode("index", [[0, 7]], n_classes=3)


def test_decoding_leaves_the_mask_alone():
    mask = np.array([[0, 3]], np.uint8)
    LabelCoding.parse("index").decode(mask)[:] = 9
    assert mask.tolist() == [[0, 3]]


def test_several_files_become_classes_and_the_later_wins_where_they_overlap():
    left, right = np.array([[255, 255, 0]]), np.array([[0, 255, 255]])
    stack = np.stack([left, right], -1).astype(np.uint8)
    assert decode("threshold:127@1,2", stack) == [[1, 2, 2]]
    assert decode("threshold:127@1,1", stack) == [[1, 1, 1]]
    assert decode("threshold:127@2", left) == [[2, 2, 0]]


def test_wrong_number_of_files_is_refused():
    with pytest.raises(UnknownLabel, match="expects 2 mask files"):
        decode("index@1,2", np.zeros((4, 4, 3)))


def test_decoding_colours_of_a_large_mask_is_fast():
    mask = np.random.default_rng(0).integers(0, 256, (512, 512, 3)).astype(np.float32)
    coding = LabelCoding.parse(CHEST)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        coding.decode(mask)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.06  # 5 ms alone on a core of 2024; the machine may be busy


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1], "index"),
        ([0, 1, 2, 3], "index"),
        ([0, 255], "threshold:127"),
        ([0, 128], "threshold:64"),
        ([0, 128, 255], "levels:0=0,128=1,255=2"),
        ([0, 1, 3], "levels:0=0,1=1,3=2"),
        ([0, 85, 170, 255], "levels:0=0,85=1,170=2,255=3"),
    ],
)
def test_exact_grey_values_are_guessed(values, expected):
    assert str(guess_coding(histogram_of([values]))) == expected


def test_guess_looks_at_all_masks_together():
    assert str(guess_coding(histogram_of([[0, 1]], [[0, 0]], [[0, 2]]))) == "index"


def test_blurred_or_jpeg_noisy_binary_masks_are_a_threshold():
    noisy = np.where(blurred_disc() > 127, 252, 3) + np.random.default_rng(0).integers(-3, 4, (64, 64))
    assert str(guess_coding(histogram_of(noisy, lossy=True))) == "threshold:127"
    assert str(guess_coding(histogram_of(blurred_disc(size=256)))) == "threshold:127"


def test_a_small_third_peak_is_not_taken_for_blur():
    mask = blurred_disc(size=256)
    mask[:10, :10] = 128 + np.random.default_rng(0).integers(-2, 3, (10, 10))
    with pytest.raises(UnknownLabel, match="--levels 0=background"):
        guess_coding(histogram_of(mask))


def test_small_values_of_jpeg_masks_are_not_taken_for_classes():
    with pytest.raises(UnknownLabel, match="leave their meaning open"):
        guess_coding(histogram_of([[0, 1, 2]], lossy=True))


def test_stray_grey_levels_raise_and_list_the_frequent_values():
    mask = np.repeat([0, 128, 255], 2000)
    mask[:3] = [1, 129, 254]
    with pytest.raises(UnknownLabel, match=r"0 \(33.*--levels 0=background,128=class_1,255=class_2"):
        guess_coding(histogram_of([mask]))


def test_pure_colours_are_guessed_with_black_as_background():
    mask = [[BLUE, BLACK, RED, BLACK]]
    assert str(guess_coding(histogram_of(mask))) == "colours:#000000=0,#0000ff=1,#ff0000=2"


def test_black_masks_do_not_disturb_a_coloured_set():
    histogram = histogram_of([[BLUE, BLACK]], [[BLACK, BLACK]], np.zeros((2, 2)))
    assert str(guess_coding(histogram)) == "colours:#000000=0,#0000ff=1"


def test_blurred_colours_raise_with_an_option_to_paste_that_leaves_the_blends_out():
    edge = blurred_disc(size=128)
    mask = np.dstack([np.zeros_like(edge), np.zeros_like(edge), edge])
    with pytest.raises(UnknownLabel, match="--colours '#000000=background,#0000ff=blue'"):
        guess_coding(histogram_of(mask))


def test_grey_and_coloured_masks_together_are_refused():
    with pytest.raises(UnknownLabel, match="Some masks are grey and some coloured"):
        guess_coding(histogram_of([[BLUE, BLACK]], [[0, 255]]))


def test_empty_masks_alone_are_refused():
    with pytest.raises(UnknownLabel, match="Every mask is empty"):
        guess_coding(histogram_of(np.zeros((3, 3))))


def test_masks_without_zero_are_not_guessed():
    with pytest.raises(UnknownLabel, match="--levels"):
        guess_coding(histogram_of([[1, 2, 3]]))


def around(value, *inner, size=12):
    """A mask of one value with bars of others in its middle."""
    mask = np.full((size, size), value)
    for k, other in enumerate(inner):
        mask[3 + k, 3:9] = other
    return mask


def test_a_background_that_is_not_black_is_asked_for():
    with pytest.raises(UnknownLabel, match="--levels '255=background,0=class_1,128=class_2'"):
        guess_coding(histogram_of(around(255, 0, 128)))
    red, white = (255, 0, 0), (255, 255, 255)
    picture = np.array([BLACK, red, white])[around(2, 0, 1)]
    with pytest.raises(UnknownLabel, match="--colours '#ffffff=background,#000000=class_1,#ff0000=class_2'"):
        guess_coding(histogram_of(picture))


def test_a_class_that_reaches_most_edges_is_no_background():
    mask = around(2, 0, 1)
    mask[:3] = 0
    assert str(guess_coding(histogram_of(mask))) == "index"


@pytest.mark.parametrize(("mask", "expected"), [(around(255, 0), True), (around(0, 255), False)])
def test_black_objects_on_white_are_doubted(mask, expected):
    assert zero_may_be_the_object(histogram_of(mask)) is expected


def test_masks_whose_palettes_differ_are_taken_by_their_colours():
    black_first, white_first = np.array([[0] * 3, [255] * 3], np.uint8), np.array([[255] * 3, [0] * 3], np.uint8)
    histogram, one = MaskHistogram(), MaskHistogram()
    histogram.add(around(0, 1).astype(np.uint8), black_first)
    assert str(guess_coding(histogram)) == "index"
    one.add(around(1, 0).astype(np.uint8), white_first)
    histogram.update(one)
    assert str(guess_coding(histogram)) == "colours:#000000=0,#ffffff=1"


def test_a_white_background_by_palette_is_doubted_or_asked_for():
    histogram, several = MaskHistogram(), MaskHistogram()
    white_first = np.array([[255] * 3, [0] * 3, RED], np.uint8)
    histogram.add(around(0, 1).astype(np.uint8), white_first)
    assert zero_may_be_the_object(histogram) and surrounding_value(histogram) == 0xFFFFFF
    several.add(around(0, 1, 2).astype(np.uint8), white_first)
    with pytest.raises(UnknownLabel, match="--colours '#ffffff=background,#000000=class_1,#ff0000=class_2'"):
        guess_coding(several)


def test_a_palette_whose_black_is_not_the_first_is_taken_by_its_colours():
    histogram = MaskHistogram()
    histogram.add(around(2, 0, 1).astype(np.uint8), np.array([RED, BLUE, BLACK], np.uint8))
    assert str(guess_coding(histogram)) == "colours:#000000=0,#0000ff=1,#ff0000=2"


def test_numbered_objects_are_no_classes():
    objects = [around(0, *range(1, n + 1), size=15) for n in (3, 8, 5)]
    with pytest.raises(UnknownLabel, match=r"1 to n, with n from 3 to 8.*--threshold 0 makes"):
        guess_coding(histogram_of(*objects))
    # As many in each are classes, and so is what does not begin with 1.
    assert str(guess_coding(histogram_of(*[objects[1]] * 3))) == "index"
    assert str(guess_coding(histogram_of(*objects, around(0, 2, 3)))) == "index"
    assert str(guess_coding(histogram_of(*objects), n_classes=9)) == "index"
    # One mask that has lost an object is no class either.
    with pytest.raises(UnknownLabel, match="numbered objects"):
        guess_coding(histogram_of(*objects * 4, around(0, 2, 3)))


@pytest.mark.parametrize("counts", [(8,) * 9 + (7, 7), (8, 7, 8, 7), (8, 8, 8, 7, 6)])
def test_classes_of_which_some_masks_lack_the_last_are_classes(counts):
    masks = [around(0, *range(1, n + 1), size=15) for n in counts]
    assert str(guess_coding(histogram_of(*masks))) == "index"


def test_many_numbers_are_one_class_above_0():
    many = np.zeros((60, 60))
    many.flat[: 40 * 50] = np.repeat(np.arange(1, 41), 50)
    others = [np.where(many > last, 0, many) for last in (33, 20)]
    with pytest.raises(UnknownLabel, match="--threshold 0 makes"):
        guess_coding(histogram_of(many, *others))
    with pytest.raises(UnknownLabel, match=r"or --threshold 0\."):
        guess_coding(histogram_of(np.where(many == 7, 0, many)))


def test_small_values_in_three_channels_are_colours():
    one_hot = np.zeros((4, 4, 3))
    one_hot[0, :, 0] = one_hot[1, :, 1] = one_hot[2, :, 2] = 1
    with pytest.raises(UnknownLabel, match="colours of the masks"):
        guess_coding(histogram_of(one_hot))
    with pytest.raises(UnknownLabel, match="expects a grey mask"):
        decode("index", one_hot.astype(np.uint8))


def test_named_classes_allow_an_index_with_gaps():
    assert str(guess_coding(histogram_of([[0, 1, 3]]), n_classes=4)) == "index"


def test_histogram_of_a_photograph_stays_bounded():
    histogram = MaskHistogram()
    generator = np.random.default_rng(0)
    for _ in range(3):
        histogram.add(generator.normal(size=(300, 300)))
    assert len(histogram.grey) <= 65_536


def test_clusters_leave_out_the_blend_of_two_colours():
    counts = histogram_of([[BLACK] * 900 + [BLUE] * 90 + [(0, 0, 128)] * 10]).colours
    assert colour_clusters(counts) == {0x000000: "black", 0x0000FF: "blue"}


@pytest.mark.parametrize("classes", [1, 2, 6])
def test_exact_classes_beside_an_ignore_value_are_not_guessed_at(classes):
    mask = np.zeros((40, 40), np.uint8)
    for index in range(1, classes + 1):
        mask[5 * index : 5 * index + 3, 5:20] = index
    mask[:, 38:] = 255
    histogram = MaskHistogram()
    histogram.add(mask)
    with pytest.raises(UnknownLabel, match="--levels 0=background,1=class_1"):
        guess_coding(histogram)
