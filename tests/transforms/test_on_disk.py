"""Decoded pictures that stay on disk."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.data import CacheDataset, DataLoader
from monai.transforms import EnsureChannelFirstd, EnsureTyped, LoadImaged, RandFlipd, Resized, SelectItemsd
from PIL import Image

from pipeline.transforms import ComposeOnDisk, DecodeMaskd, keep_slices
from pipeline.transforms.on_disk import RESERVE_BYTES, UNUSED_S, kept_pictures

Case = dict[str, Any]


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLANAR_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    found = []
    for number in range(3):
        image = np.random.default_rng(number).integers(0, 255, (30, 40)).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        Image.fromarray((image > 127).astype(np.uint8)).save(tmp_path / f"{number}_mask.png")
        paths = {"image": str(tmp_path / f"{number}.png"), "label": str(tmp_path / f"{number}_mask.png")}
        found.append({**paths, "image_sha256": f"{number}", "subject": "a", "label_coding": "index"})
    return found


def steps(size: int = 32, prob: float = 1.0) -> list[Any]:
    return [
        LoadImaged("image", reader="pipeline.readers.PlanarReader"),
        LoadImaged("label", reader="pipeline.readers.PlanarReader", labels=True),
        EnsureChannelFirstd(["image", "label"]),
        DecodeMaskd("label", n_classes=2),
        Resized(["image", "label"], (size, size), mode=["bilinear", "nearest"]),
        EnsureTyped(["image", "label"], track_meta=False),
        SelectItemsd(["image", "label"]),
        RandFlipd(["image", "label"], prob=prob, spatial_axis=0),
    ]


def files(kept: Path) -> list[Path]:
    return sorted(kept.glob("*"))


def test_the_second_time_nothing_is_decoded(cases: list[Case], kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [ComposeOnDisk(steps())(case) for case in cases]
    assert len(files(kept)) == 3
    assert oct(kept.stat().st_mode)[-3:] == "700"
    monkeypatch.setattr(LoadImaged, "__call__", lambda *_: pytest.fail("decoded"))
    again = ComposeOnDisk(steps())
    for case, before in zip(cases, first, strict=True):
        found = again(case)
        assert set(found) == {"image", "label"}
        torch.testing.assert_close(found["image"], before["image"], rtol=0, atol=0)
        torch.testing.assert_close(found["label"], before["label"], rtol=0, atol=0)


def test_random_transforms_are_done_anew(cases: list[Case]) -> None:
    chain = ComposeOnDisk(steps(prob=0.5)).set_random_state(3)
    seen = {float(chain(cases[0])["image"][0, 0, 0]) for _ in range(20)}
    assert len(seen) == 2


def test_what_was_changed_is_made_anew(cases: list[Case], kept: Path) -> None:
    case = cases[0]
    before = ComposeOnDisk(steps())(case)["image"]
    assert ComposeOnDisk(steps(16))(case)["image"].shape == (1, 16, 16)
    assert len(files(kept)) == 2  # other transforms
    ComposeOnDisk(steps())({**case, "image_sha256": "another"})
    assert len(files(kept)) == 3  # another item of the datalist
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(case["image"])
    after = ComposeOnDisk(steps())(case)["image"]
    assert not torch.equal(before, after)
    assert not after.any()


def test_the_name_is_the_same_in_another_process(cases: list[Case], kept: Path) -> None:
    chain = ComposeOnDisk(steps())
    script = "import pickle, sys; chain, case = pickle.load(sys.stdin.buffer); print(chain._name(case))"
    anew = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_on_disk as t; from pipeline.transforms import "
        "ComposeOnDisk; import json; print(ComposeOnDisk(t.steps())._name(json.loads(sys.argv[2])))"
    )
    sent = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps((chain, cases[0])), capture_output=True, check=True
    )
    made = subprocess.run(
        [sys.executable, "-c", anew, str(Path(__file__).parent), json.dumps(cases[0])], capture_output=True, check=True
    )
    assert sent.stdout.decode().strip() == made.stdout.decode().strip() == chain._name(cases[0])


def test_beside_what_stays_in_memory_the_rest_is_on_disk(cases: list[Case], kept: Path) -> None:
    data = CacheDataset(cases, ComposeOnDisk(steps()), cache_rate=0.34, num_workers=0, progress=False)
    loader = DataLoader(data, batch_size=3, num_workers=2)
    for _ in range(2):
        (batch,) = loader
        assert batch["image"].shape == (3, 1, 32, 32)
    assert len(files(kept)) == 2


def test_a_damaged_file_is_made_anew(cases: list[Case], kept: Path) -> None:
    before = ComposeOnDisk(steps(prob=0))(cases[0])["image"]
    (file,) = files(kept)
    file.write_bytes(file.read_bytes()[:100])
    torch.testing.assert_close(ComposeOnDisk(steps(prob=0))(cases[0])["image"], before)
    assert file.stat().st_size > 100


@pytest.mark.parametrize("why", ["no folder", "nearly full"])
def test_a_full_disk_keeps_nothing_and_ends_no_training(
    cases: list[Case], kept: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, why: str
) -> None:
    if why == "no folder":
        kept.write_text("a file in the folder's place")
    else:
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=RESERVE_BYTES - 1))
    chain = ComposeOnDisk(steps())
    for case in cases:
        assert chain(case)["image"].shape == (1, 32, 32)
    (record,) = [one for one in caplog.records if one.name.startswith("pipeline")]
    assert f"Decoded pictures are no longer kept in {kept}" in record.getMessage()
    assert not kept.is_dir() or files(kept) == []


def test_results_with_metadata_are_not_kept(cases: list[Case], kept: Path) -> None:
    found = ComposeOnDisk(steps()[:5])(cases[0])
    assert found["subject"] == "a"
    assert files(kept) == []


def test_files_that_nobody_has_used_for_a_month_are_removed(cases: list[Case], kept: Path) -> None:
    chain = ComposeOnDisk(steps())
    for case in cases[:2]:
        chain(case)
    (kept / "model.pt").write_bytes(b"a checkpoint of the user's")
    old = time.time() - UNUSED_S - 60
    for file in files(kept):
        os.utime(file, (old, old))
    chain(cases[0])  # was used
    ComposeOnDisk(steps())
    assert len(files(kept)) == 2 and (kept / "model.pt").is_file()


def test_the_folder_is_the_users_own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PLANAR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kept_pictures() == tmp_path / "planar"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert kept_pictures() == Path.home() / ".cache" / "planar"


def test_slices_are_kept_volume_by_volume_before_the_first_epoch(tmp_path: Path, kept: Path) -> None:
    cases = []
    for name in ("one", "two"):
        volume = np.random.default_rng(0).integers(0, 255, (8, 9, 4)).astype(np.uint8)
        for kind, values in (("", volume), ("_mask", (volume > 127).astype(np.uint8))):
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / f"{name}{kind}.nii.gz")
        both = {"image": tmp_path / f"{name}.nii.gz", "label": tmp_path / f"{name}_mask.nii.gz"}
        for k in range(4):
            paths = {key: f"{path}#slice={k}" for key, path in both.items()}
            cases.append({**paths, "label_coding": "index"})
    mixed = [cases[number] for number in (5, 0, 7, 2, 4, 1, 6, 3)] * 2
    seen: list[str] = []

    class Noting(ComposeOnDisk):
        def _write(self, result: Any, path: Path) -> None:
            seen.append(path.name)
            super()._write(result, path)

    data = CacheDataset(mixed, Noting(steps()), cache_rate=0.0, num_workers=0, progress=False)
    keep_slices(data)
    chain = data.transform
    assert seen == [f"{chain._name(case)}.pt" for case in cases]
    assert len(files(kept)) == 8
    keep_slices(data)  # they are there
    assert len(seen) == 8
    assert data[0]["image"].shape == (1, 32, 32)
    everything = CacheDataset(mixed[:1], Noting(steps(16)), cache_rate=1.0, num_workers=0, progress=False)
    keep_slices(everything)
    assert len(seen) == 8
