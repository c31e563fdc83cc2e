from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged
from PIL import Image

from pipeline.errors import UnknownLabel
from pipeline.transforms import DecodeMaskd

CLASSES = np.array([[0, 1, 2], [2, 1, 0]])


def decoded(stored: object, coding: str | None = None, **options: object) -> torch.Tensor:
    tensor = torch.as_tensor(np.asarray(stored), dtype=torch.float32)
    tensor = tensor if tensor.ndim == 3 else tensor[None]
    case = {"label": tensor} | ({} if coding is None else {"label_coding": coding})
    out = DecodeMaskd("label", **options)(case)["label"]
    assert out.dtype == torch.float32
    assert out.shape == (1, *tensor.shape[1:])
    return out[0]


def same(found: torch.Tensor, expected: object) -> bool:
    return np.array_equal(found.numpy(), np.asarray(expected))


def test_an_item_of_monai_label_has_no_coding_and_holds_indices() -> None:
    assert same(decoded(CLASSES), CLASSES)


def test_an_index_mask_stays() -> None:
    assert same(decoded(CLASSES, "index"), CLASSES)


def test_a_jpeg_mask_is_cut_at_its_threshold() -> None:
    assert same(decoded([[0, 9, 127, 128, 250, 255]], "threshold:127"), [[0, 0, 0, 1, 1, 1]])


def test_grey_levels_become_the_class_of_the_nearest() -> None:
    assert same(decoded([[0, 3, 120, 131, 250]], "levels:0=0,128=1,255=2"), [[0, 0, 1, 1, 2]])


@pytest.mark.parametrize("coding", ["colours", "colours-exact"])
def test_colours_become_classes(coding: str) -> None:
    palette = np.array([[0, 0, 0], [0, 0, 255], [0, 255, 0]])
    stored = np.moveaxis(palette[CLASSES], -1, 0)
    assert same(decoded(stored, f"{coding}:#000000=0,#0000ff=1,#00ff00=2"), CLASSES)


def test_anti_aliased_colours_go_to_the_nearest() -> None:
    stored = np.array([[10, 20, 240], [20, 10, 100]]).T[:, :, None]
    assert same(decoded(stored, "colours:#000000=0,#0000ff=1"), [[1], [0]])


def test_several_files_become_several_classes_and_the_later_wins() -> None:
    left, right = np.array([[255, 255, 0]]), np.array([[0, 255, 0]])
    assert same(decoded(np.stack([left, right]), "threshold:127@1,2"), [[1, 2, 0]])


def test_several_files_may_be_merged_into_one_class() -> None:
    left, right = np.array([[255, 0, 0]]), np.array([[0, 255, 0]])
    assert same(decoded(np.stack([left, right]), "threshold:127@1,1"), [[1, 1, 0]])


def test_three_files_are_not_taken_for_colours() -> None:
    stored = np.eye(3).reshape(3, 1, 3) * 255
    assert same(decoded(stored, "threshold:127@1,2,3"), [[1, 2, 3]])


def test_cases_with_different_codings_can_be_mixed() -> None:
    transform = DecodeMaskd("label")
    masks = [([[0, 255]], "threshold:127"), ([[0, 1]], "index"), ([[0, 128]], "levels:0=0,128=1")]
    for stored, coding in masks:
        case = {"label": torch.tensor(stored, dtype=torch.float32)[None], "label_coding": coding}
        assert same(transform(case)["label"][0], [[0, 1]])


def test_the_default_coding_and_the_key_can_be_chosen() -> None:
    assert same(decoded([[0, 255]], default="threshold:127"), [[0, 1]])
    case = {"label": torch.tensor([[[0.0, 255.0]]]), "how": "threshold:127"}
    assert same(DecodeMaskd("label", coding_key="how")(case)["label"][0], [[0, 1]])


def test_the_metadata_and_the_way_back_survive() -> None:
    mask = MetaTensor(torch.zeros(1, 3, 2), affine=torch.diag(torch.arange(1.0, 5)), meta={"filename_or_obj": "m.png"})
    mask.push_applied_operation({"class": "Flip"})
    out = DecodeMaskd("label")({"label": mask})["label"]
    assert isinstance(out, MetaTensor)
    assert out.meta["filename_or_obj"] == "m.png"
    assert torch.equal(out.affine, mask.affine)
    assert out.applied_operations == mask.applied_operations


def test_the_stored_mask_is_not_changed() -> None:
    mask = torch.full((1, 2, 2), 255.0)
    DecodeMaskd("label", default="threshold:127")({"label": mask})
    assert (mask == 255).all()


@pytest.mark.parametrize("stored", [[[0, 0.5]], [[-1, 0]], [[0, 300]], [[float("nan"), 0]]])
def test_a_value_that_is_no_index_is_refused_with_the_files_name(stored: list[list[float]]) -> None:
    mask = MetaTensor(torch.tensor([stored]), meta={"filename_or_obj": "masks/m.png"})
    with pytest.raises(UnknownLabel, match=r"^masks/m\.png: Mask holds values that are no class index"):
        DecodeMaskd("label")({"label": mask})


def test_a_class_beyond_those_of_the_task_is_refused_where_they_are_known() -> None:
    with pytest.raises(UnknownLabel, match=r"^label: Mask holds the classes 255 but the task knows 0\.\.1"):
        decoded([[0, 255]], n_classes=2)
    assert same(decoded([[0, 1]], n_classes=2), [[0, 1]])


def test_a_coding_that_is_none_is_refused() -> None:
    with pytest.raises(UnknownLabel, match="nonsense"):
        decoded([[0, 1]], "nonsense:1")


def test_masks_come_in_as_our_reader_gives_them(tmp_path: Path) -> None:
    """Colour, grey stored as RGB, and two files of one case, through the steps of the bundle's config."""
    columns = np.array([[0, 1, 1], [0, 0, 1]])  # (W, H) = (2, 3)
    Image.fromarray((columns.T * 255).astype(np.uint8)).save(tmp_path / "a.png")
    Image.fromarray((np.repeat((1 - columns).T[..., None], 3, axis=2) * 255).astype(np.uint8)).save(tmp_path / "b.png")
    blue = np.zeros((3, 2, 3), np.uint8)
    blue[..., 2] = columns.T * 255
    Image.fromarray(blue).save(tmp_path / "c.png")
    steps = Compose(
        [
            LoadImaged("label", reader="pipeline.readers.PlanarReader", labels=True),
            EnsureChannelFirstd("label"),
            DecodeMaskd("label"),
        ]
    )

    def run(names: object, coding: str) -> np.ndarray:
        return steps({"label": names, "label_coding": coding})["label"][0].numpy()

    a, b, c = (str(tmp_path / f"{name}.png") for name in "abc")
    assert np.array_equal(run(a, "threshold:127"), columns)
    assert np.array_equal(run(b, "threshold:127"), 1 - columns)
    assert np.array_equal(run(c, "colours:#000000=0,#0000ff=1"), columns)
    assert np.array_equal(run([a, b], "threshold:127@1,2"), np.where(columns, 1, 2))
