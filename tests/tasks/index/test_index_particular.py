"""Slices that look alike from afar stay apart, and copies among them are found all the same."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.cli.index import summary
from pipeline.errors import InvalidSplit
from pipeline.split import PARTS
from pipeline.tasks.index import IndexOptions, SplitOptions, SubjectOptions, index_set
from pipeline.tasks.index.duplicates import nearly_equal_pairs, thumbnail
from pipeline.tasks.index.particular import particular_pairs

FEW = IndexOptions(split=SplitOptions(folds=1), workers=1)


def slice_of_a_cylinder(seed: int, size: int = 256) -> np.ndarray:
    """A disc with 1 % of pores at other places for each seed."""
    generator = np.random.default_rng(seed)
    y, x = np.ogrid[:size, :size]
    disc = (x - size / 2) ** 2 + (y - size / 2) ** 2 < (0.43 * size) ** 2
    pores = binary_dilation(generator.random((size, size)) < 0.0008, iterations=2) & disc
    grey = np.where(disc, 160, 20) - 120 * pores + generator.normal(0, 6, (size, size))
    return grey.clip(0, 255).astype(np.uint8)


def as_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def pairs_of(pictures: list[np.ndarray]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs that are nearly equal from afar, and those that are confirmed."""
    far = nearly_equal_pairs([thumbnail(picture) for picture in pictures])
    shapes = [picture.shape for picture in pictures]
    return far, particular_pairs(far, shapes, lambda members, side: [thumbnail(pictures[k], side) for k in members])


def test_slices_that_share_their_outline_alone_are_no_pairs():
    far, confirmed = pairs_of([slice_of_a_cylinder(seed) for seed in range(12)])
    assert len(far) > 12
    assert confirmed == []


@pytest.mark.parametrize(
    "copied",
    [
        lambda picture: as_jpeg(picture, 50),
        lambda picture: np.asarray(Image.fromarray(picture).resize((300, 300))),
        lambda picture: as_jpeg(np.asarray(Image.fromarray(picture).resize((128, 128))), 50),
        lambda picture: picture.astype(np.int16) * 12 - 1024,
    ],
)
def test_a_copy_among_slices_that_look_alike_is_found(copied):
    pictures = [slice_of_a_cylinder(seed) for seed in range(12)]
    far, confirmed = pairs_of([*pictures, copied(pictures[3])])
    assert (3, 12) in far
    assert confirmed == [(3, 12)]


def test_several_copies_of_one_picture_stay_pairs():
    picture = slice_of_a_cylinder(0)
    far, confirmed = pairs_of([picture, as_jpeg(picture, 80), as_jpeg(picture, 50), as_jpeg(picture, 30)])
    assert confirmed == far
    assert len(far) == 6


def test_neighbours_in_a_stack_that_changes_slowly_stay_pairs():
    one, other = (slice_of_a_cylinder(seed).astype(float) for seed in (0, 1))
    stack = [(one * (1 - k / 9) + other * (k / 9)).astype(np.uint8) for k in range(10)]
    _, confirmed = pairs_of(stack)
    assert {(k, k + 1) for k in range(9)} <= set(confirmed)


def test_what_cannot_be_looked_at_again_stays_a_pair():
    pairs = [(0, 1), (1, 2)]
    assert particular_pairs(pairs, [(256, 256)] * 3, lambda members, side: [b""] * len(members)) == pairs
    assert particular_pairs(pairs, [(20, 20)] * 3, lambda members, side: pytest.fail("they are too small")) == pairs


def stack_of(small_set, pictures):
    small_set.images.mkdir(parents=True)
    for k, picture in enumerate(pictures):
        Image.fromarray(picture).save(small_set.images / f"s{k:02d}.png")
        small_set.mask(f"s{k:02d}.png", size=picture.shape[::-1])
    return small_set


def test_slices_of_a_sample_are_indexed_as_one_subject_each(small_set):
    stack_of(small_set, [slice_of_a_cylinder(seed) for seed in range(10)])
    found = index_set(small_set.images, [small_set.masks], small_set.output, FEW).datalist
    assert sum(found.split["subjects"].values()) == 10
    assert found.warnings == []


def test_pictures_that_made_one_subject_of_all_are_told_with_what_to_say(small_set):
    stack_of(small_set, [as_jpeg(slice_of_a_cylinder(0), quality) for quality in range(40, 90, 10)])
    said = r"1 subject cannot be split.*5 subjects became 1, for \d+ pairs.*s01\.png.*say --near-duplicates-apart"
    with pytest.raises(InvalidSplit, match=said):
        index_set(small_set.images, [small_set.masks], small_set.output, FEW)
    apart = replace(FEW, split=SplitOptions(folds=1, near_duplicates_apart=True))
    found = index_set(small_set.images, [small_set.masks], small_set.output, apart).datalist
    assert sum(found.split["subjects"].values()) == 5
    assert found.split["near_duplicates"] == "apart"
    assert {(finding.code, finding.reason.endswith("they stay apart")) for finding in found.warnings} == {
        ("near_duplicate", True)
    }


def test_a_set_that_is_one_volume_is_split_by_blocks_of_slices_on_request(small_set):
    generator = np.random.default_rng(0)
    for name, high in (("scan.tif", 256), ("mask.tif", 2)):
        pages = [Image.fromarray(generator.integers(0, high, (24, 30)).astype(np.uint8)) for _ in range(30)]
        pages[0].save(small_set.root / name, save_all=True, append_images=pages[1:])
    files = small_set.root / "scan.tif", [small_set.root / "mask.tif"]
    said = r"--split 1,0,0.*slices of a volume are one subject.*--subject-pattern '(?P<pattern>\S+)'"
    with pytest.raises(InvalidSplit, match=said) as caught:
        index_set(*files, small_set.output, FEW)
    pattern = str(caught.value).partition("--subject-pattern '")[2].partition("'")[0]
    found = index_set(*files, small_set.output, replace(FEW, subjects=SubjectOptions(pattern=pattern))).datalist
    assert [len(found.part(part)) for part in PARTS] == [10, 10, 10]
    for part in PARTS:
        numbers = sorted(int(item["image"].rpartition("=")[2]) for item in found.part(part))
        assert numbers == list(range(numbers[0], numbers[0] + 10))


def picture_of_spots(seed: int, spots: float = 8) -> np.ndarray:
    """Smooth spots of about that size, pixels; standard deviation 40."""
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(256, 256)), spots, mode="wrap")
    return (128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def noisy(picture: np.ndarray, sigma: float, copies: int) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    made = [picture + generator.normal(0, sigma, picture.shape) for _ in range(copies)]
    return [picture, *(copy.clip(0, 255).astype(np.uint8) for copy in made)]


@pytest.mark.parametrize("number", [3, 5, 10])
@pytest.mark.parametrize(("spots", "sigma"), [(8, 15), (20, 15), (20, 18)])
def test_groups_of_noisy_copies_stay_together(spots, sigma, number):
    far, confirmed = pairs_of(noisy(picture_of_spots(0, spots), sigma, number - 1))
    assert len(far) >= number - 1
    assert confirmed == far


def test_noisy_copies_among_slices_that_look_alike_are_found():
    slices = [slice_of_a_cylinder(seed) for seed in range(12)]
    _, confirmed = pairs_of([*noisy(slices[0], 15, 9), *slices[1:]])
    groups = connected_components(coo_array((np.ones(len(confirmed)), np.transpose(confirmed)), (21, 21)))[1]
    assert len(set(groups[:10])) == 1
    assert len(set(groups)) == 12


@pytest.mark.parametrize("outline", [{"inner": 0.15}, {"outside": 0}, {"inner": 0.15, "outside": 0}, {"outer": 0.3}])
def test_slices_that_share_another_outline_are_no_pairs(outline):
    far, confirmed = pairs_of([slice_of_a_tube(seed, **outline) for seed in range(10)])
    assert len(far) > 10
    assert confirmed == []


def slice_of_a_tube(seed: int, *, inner: float = 0, outer: float = 0.43, outside: float = 1) -> np.ndarray:
    """A slice with 1 % of pores between two radii, and so much of its noise outside them."""
    generator = np.random.default_rng(seed)
    y, x = np.ogrid[:256, :256]
    radius = np.hypot(x - 128, y - 128) / 256
    ring = (inner <= radius) & (radius < outer)
    pores = binary_dilation(generator.random((256, 256)) < 0.0008, iterations=2) & ring
    noise = generator.normal(0, 6, (256, 256)) * np.where(ring, 1, outside)
    return (np.where(ring, 160, 20) - 120 * pores + noise).clip(0, 255).astype(np.uint8)


def test_pictures_that_look_alike_and_are_taken_for_different_are_told_once(small_set):
    stack_of(small_set, [slice_of_a_cylinder(seed) for seed in range(10)])
    result = index_set(small_set.images, [small_set.masks], small_set.output, FEW)
    assert re.fullmatch(
        r"\d+ pairs of pictures look alike from afar and were taken for different subjects.*e\.g\. \S+s\d\d\.png and "
        r"\S+s\d\d\.png\..*--subjects\)\.",
        result.alike_from_afar,
    )
    assert f"Warning: {result.alike_from_afar}" in summary(result)


def test_noisy_copies_are_one_subject_and_nothing_is_told_of_them(small_set):
    stack_of(small_set, [*noisy(picture_of_spots(0), 15, 4), *(picture_of_spots(seed) for seed in range(1, 7))])
    result = index_set(small_set.images, [small_set.masks], small_set.output, FEW)
    assert sum(result.datalist.split["subjects"].values()) == 7
    assert result.alike_from_afar == ""
    assert "alike from afar" not in summary(result)
