"""A bundle that sees neighbouring slices, from a volume to a volume."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from pipeline.planning import PlanOptions
from pipeline.readers import read_picture
from pipeline.split import Fractions
from pipeline.tasks.evaluate import evaluate
from pipeline.tasks.index import IndexOptions, LabelOptions, SplitOptions, SubjectOptions, index_set
from pipeline.tasks.infer import infer
from pipeline.tasks.inspect import fingerprint_of
from pipeline.tasks.plan import plan_bundle
from pipeline.tasks.train import train

SPEC = "name: balls\nmodality: CT\nlabels: [background, ball]\nmasks: index\n"
BY_FOLDER = SubjectOptions(pattern="^(.+)/")
AFFINE = np.diag([1.0, 1.0, 3.0, 1.0])


def balls(folder: Path, number: int = 9) -> None:
    """Volumes of noise with a bright ball, and its mask."""
    x, y, z = np.mgrid[:40, :36, :7]
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for seed in range(number):
        rng = np.random.default_rng(seed)
        at = rng.uniform(14, 24, 2)
        mask = (x - at[0]) ** 2 + (y - at[1]) ** 2 + (3 * (z - 3)) ** 2 < 110
        image = (60 * mask + rng.normal(80, 12, mask.shape)).clip(0, 255)
        nibabel.save(nibabel.Nifti1Image(image.astype(np.uint8), AFFINE), folder / "images" / f"v{seed}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), AFFINE), folder / "masks" / f"v{seed}.nii.gz")


FOUND = (("masks_found", "v0_mask.nii.gz"), ("series_found", "series_mask.nii.gz"))


def as_series(volume: Path, folder: Path) -> None:
    """The slices of a volume as DICOM files, whose names say nothing of their order."""
    folder.mkdir()
    picture = read_picture(volume)
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    for k in range(picture.grid.depth):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.PatientID, ds.Modality, ds.InstanceNumber = "ball", "CT", k + 1
        ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * k]
        ds.PixelSpacing, ds.SliceThickness = [1, 1], 3
        ds.Columns, ds.Rows, _ = picture.array.shape
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
        ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit = 7
        ds.PixelData = picture.array[..., k].T.astype(np.uint8).tobytes()
        ds.save_as(folder / f"{5 * k % 7}.dcm", enforce_file_format=True)


@pytest.mark.slow
def test_it_is_offered_planned_trained_scored_and_gives_volumes_back(tmp_path: Path) -> None:
    balls(tmp_path)
    split = SplitOptions(Fractions(0.5, 0.2, 0.3))
    options = IndexOptions(labels=LabelOptions(class_names=("ball",)), modality="CT", split=split, workers=1)
    datalist = tmp_path / "datalist.json"
    index_set(tmp_path / "images", [tmp_path / "masks"], datalist, options)
    task = tmp_path / "task.yaml"
    task.write_text(SPEC)
    offered = plan_bundle(datalist, task, tmp_path / "flat_segmentation", PlanOptions(budget_s=60), workers=1)
    assert any("neighbours: 1" in note for note in offered.notes)
    task.write_text(f"{SPEC}neighbours: 1\n")
    planned = plan_bundle(datalist, task, tmp_path / "balls_segmentation", PlanOptions(budget_s=60), workers=1)
    assert not any("neighbour" in note for note in planned.notes)

    overrides = ("max_epochs=1", "val_interval=1", "image_size=[32, 32]", "num_workers=0", "batch_size=4", "repeats=1")
    trained = train(str(planned.bundle.root), datalist, tmp_path / "trained", overrides, tracking=False)
    scores = evaluate(str(trained.bundle.root), datalist, "test", tmp_path / "scores", tracking=False)
    assert scores.cases > 5
    infer(str(trained.bundle.root), [str(tmp_path / "images" / "v0.nii.gz")], tmp_path / "masks_found", tracking=False)
    found = nibabel.load(tmp_path / "masks_found" / "v0_mask.nii.gz")
    assert found.shape == (40, 36, 7)
    assert np.allclose(found.affine, AFFINE)

    as_series(tmp_path / "images" / "v0.nii.gz", tmp_path / "series")
    infer(str(trained.bundle.root), [str(tmp_path / "series")], tmp_path / "series_found", tracking=False)
    masks = [read_picture(tmp_path / folder / name).array for folder, name in FOUND]
    assert masks[0].any()
    np.testing.assert_array_equal(*masks)


def test_they_are_offered_from_a_fingerprint_too_and_for_series_with_a_mask_a_slice(tmp_path: Path) -> None:
    balls(tmp_path, 4)
    (tmp_path / "slices").mkdir()
    for number in range(4):
        as_series(tmp_path / "images" / f"v{number}.nii.gz", tmp_path / "slices" / f"s{number}")
        for file in (tmp_path / "slices" / f"s{number}").iterdir():
            mask = Image.new("L", (40, 36))
            mask.paste(1, (10, 10, 20, 20))
            to = tmp_path / "slice_masks" / f"s{number}" / f"{file.stem}.png"
            to.parent.mkdir(parents=True, exist_ok=True)
            mask.save(to)
    datalist, task = tmp_path / "datalist.json", tmp_path / "task.yaml"
    labels = LabelOptions(class_names=("ball",))
    options = IndexOptions(
        labels=labels, split=SplitOptions(Fractions(0.5, 0.5, 0), folds=2), subjects=BY_FOLDER, workers=1
    )
    index_set(tmp_path / "slices", [tmp_path / "slice_masks"], datalist, options)
    fingerprint = tmp_path / "fingerprint.json"
    fingerprint.write_text(fingerprint_of(datalist, workers=1).to_json())
    task.write_text(SPEC)
    offered = plan_bundle(fingerprint, task, tmp_path / "flat_segmentation", PlanOptions(budget_s=60), workers=1)
    assert any("28 of 28 cases are slices of volumes" in note for note in offered.notes)
    task.write_text(f"{SPEC}neighbours: 1\n")
    planned = plan_bundle(fingerprint, task, tmp_path / "balls_segmentation", PlanOptions(budget_s=60), workers=1)
    assert not any("neighbour" in note for note in planned.notes)


def test_neighbours_are_asked_for_in_vain_where_nothing_is_a_slice(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for number in range(6):
        mask = np.zeros((40, 36), np.uint8)
        mask[10:20, 10 + number : 22] = 1
        image = (120 * mask + rng.normal(80, 12, mask.shape)).clip(0, 255).astype(np.uint8)
        for kind, array in (("images", image), ("masks", mask)):
            Image.fromarray(array).save(tmp_path / kind / f"p{number}.png")
    options = IndexOptions(labels=LabelOptions(class_names=("ball",)), split=SplitOptions(Fractions(0.7, 0.3, 0)))
    datalist = tmp_path / "datalist.json"
    index_set(tmp_path / "images", [tmp_path / "masks"], datalist, options)
    task = tmp_path / "task.yaml"
    task.write_text(f"{SPEC}neighbours: 1\n")
    planned = plan_bundle(datalist, task, tmp_path / "balls_segmentation", PlanOptions(budget_s=60), workers=1)
    assert any("is a slice of a volume" in note for note in planned.notes)
