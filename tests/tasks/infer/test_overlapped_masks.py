"""Masks of an overlapped inference are those of one source after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.bundle import Bundle
from pipeline.tasks.infer import infer
from pipeline.tasks.infer import run as running
from pipeline.tasks.infer.batches import Batches
from pipeline.tasks.infer.engines import in_turn
from pipeline.tasks.infer.pace import Pace
from pipeline.tasks.infer.predictor import Predictor

ALONE = Pace(pictures=1, sources=3, readers=1)
WIDE = Pace(pictures=4, sources=12, readers=2)
SEVERAL = Pace(pictures=1, sources=7, readers=1, computers=3, threads=1)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Masks are the same byte for byte where as many threads compute a picture."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Films of two sizes, a volume, and files that are neither."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(6):
        coarse = np.random.default_rng(number).uniform(0, 255, (9, 12)).astype(np.uint8)
        size = (90, 70) if number % 3 else (64, 100)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(folder / f"film{number}.png")
    volume = np.stack([np.asarray(Image.open(folder / "film1.png")).T] * 11, axis=-1) + np.arange(11, dtype=np.uint8)
    nib.save(nib.Nifti1Image(volume, np.diag([1, 1, 3, 1.0])), folder / "film3_volume.nii.gz")
    (folder / "film2_cut.png").write_bytes((folder / "film2.png").read_bytes()[:300])
    (folder / "text.tif").write_text("not a picture")
    return folder


def said_and_written(bundle: Bundle, folder: Path, out: Path, **more: Any) -> tuple[Any, dict[str, bytes]]:
    """What an inference says, and its files by name."""
    steps: list[tuple[int, int, str]] = []
    result = infer(
        str(bundle.root), [str(folder)], out, statistics=True, on_progress=lambda *step: steps.append(step), **more
    )
    said = (steps, result.refused, result.warnings, [path.name for path in result.masks], result.segmented)
    return said, {path.name: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("pace", [ALONE, SEVERAL])
def test_files_messages_and_progress_are_byte_for_byte_those_of_one_after_the_other(
    random_bundle: Bundle, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pace: Pace, one_thread: None
) -> None:
    monkeypatch.setattr("pipeline.tasks.infer.pace.pace_for", lambda predict: pace)
    overlapped = said_and_written(random_bundle, mixed, tmp_path / "overlapped", probabilities=True)
    monkeypatch.setattr(running, "here", lambda worker, supply, *rest: in_turn(worker, *rest))
    turned = said_and_written(random_bundle, mixed, tmp_path / "turned", probabilities=True)
    assert overlapped == turned
    assert len(overlapped[0][1]) == 2
    assert len(overlapped[0][3]) == 7


def test_pictures_of_several_films_at_once_get_the_masks_that_each_gets_alone(
    random_bundle: Bundle, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    true = Predictor._predict
    monkeypatch.setattr(
        Predictor, "_predict", lambda self, cases, kept: (sizes.append(len(cases)), true(self, cases, kept))[1]
    )
    masks = {}
    for name, pace in (("alone", ALONE), ("together", WIDE)):
        monkeypatch.setattr("pipeline.tasks.infer.pace.pace_for", lambda predict, pace=pace: pace)
        sizes.clear()
        said = infer(str(random_bundle.root), [str(mixed)], tmp_path / name, formats=["nifti"])
        masks[name] = [np.asarray(nib.load(path).dataobj) for path in said.masks]
        assert (max(sizes[:3]) > 1) == (name == "together")
    assert len(masks["alone"]) == len(masks["together"]) == 7
    for one, other in zip(masks["alone"], masks["together"], strict=True):
        # Random weights have ragged outlines, and bfloat16 rounds otherwise in another batch.
        assert (one != other).mean() < 2e-3


def test_reading_beside_the_network_does_not_disturb_the_way_back_to_the_films_grid(
    random_bundle: Bundle, mixed: Path
) -> None:
    predict = Predictor(random_bundle, (random_bundle.weights,), {})
    names = [str(mixed / f"film{number}.png") for number in range(6)]
    beside = list(predict.predict([predict.read(name) for name in names]))
    for name, one, other in zip(names, beside, (next(predict([name])) for name in names), strict=True):
        with Image.open(name) as film:
            assert one.mask.shape == film.size
        assert (one.mask != other.mask).mean() < 2e-3


def test_without_memory_for_a_batch_of_windows_fewer_are_computed_at_once(
    random_bundle: Bundle, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = Predictor(random_bundle, (random_bundle.weights,), {"image_size": [128, 128]})
    true, seen = predict.network.forward, []

    def forward(image: torch.Tensor) -> torch.Tensor:
        seen.append(len(image))
        if len(image) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return true(image)

    predict.inferer.roi_size = (64, 64)
    predict.inferer.roi_weight_map = None
    monkeypatch.setattr(predict.network, "forward", forward)
    batches = Batches(SimpleNamespace(predict=predict, watch=None), False, 2)  # type: ignore[arg-type]
    films = [predict.read(str(mixed / f"film{number}.png")) for number in (1, 2)]
    found = batches([[film] for film in films])
    assert seen[:4] == [4, 4, 2, 1]
    assert set(seen[3:]) == {1}
    assert [one[0][0].mask.shape for one in found if not isinstance(one, Exception)] == [(90, 70), (90, 70)]
