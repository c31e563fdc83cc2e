"""A datalist as nnU-Net's raw dataset: the same pictures, the same masks, the same split, the same test cases.

nnU-Net gets what Planar reads: the decoded pixels in display orientation, exact in their own type. 8-bit sets without
pixel size become PNG (colour in one file, as nnU-Net's own example has it); any other becomes NIfTI, one file for each
channel, with the pixel size if every case of the set knows it. (nnU-Net resamples to the median size; a set of which
only some cases know theirs would be torn apart by it, and is given as pixels.)
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.cases import Case, cases_of
from pipeline.atomic import write_text_aside, written_aside
from pipeline.datalist import read_datalist
from pipeline.errors import GeometryMismatch
from pipeline.fingerprint.case import grey_of, is_coloured

__all__ = ["RawDataset", "convert", "raw_dataset_of", "read_prediction"]

DATASET_ID = 501
READERS = {".png": "NaturalImage2DIO", ".nii.gz": "SimpleITKIO"}
HOUNSFIELD_BELOW = -100  # a CT slice with values below this was not windowed to grey levels


@dataclass(frozen=True)
class RawDataset:
    """A folder in nnU-Net's raw layout.

    Attributes:
        folder: `nnUNet_raw/Dataset501_<name>`.
        ending: ".png" or ".nii.gz".
        channels: Names of the channels; nnU-Net chooses the normalisation by them.
        spacing_known: Whether the files carry pixel sizes.
    """

    folder: Path
    ending: str
    channels: tuple[str, ...]
    spacing_known: bool

    @property
    def test_images(self) -> Path:
        """The folder of the test pictures."""
        return self.folder / "imagesTs"


def convert(datalist: Path, raw: Path) -> RawDataset:
    """Write the raw dataset; the same datalist gives the same bytes.

    Args:
        datalist: With cases in training, validation and test.
        raw: The folder `nnUNet_raw`; a dataset of that name in it is replaced.
    Raises: InvalidDatalist, GeometryMismatch, UnknownLabel: if a case cannot be used.
    """
    content = read_datalist(datalist)
    cases = cases_of(datalist)
    survey = _survey(cases)
    dataset = RawDataset(
        folder=raw / f"Dataset{DATASET_ID:03d}_{plain_name(content.name)}",
        ending=".png" if survey.bytes_only and not survey.spacing_known else ".nii.gz",
        channels=channel_names(3 if survey.coloured else 1, content.modality, survey.low),
        spacing_known=survey.spacing_known,
    )
    shutil.rmtree(dataset.folder, ignore_errors=True)
    for case in cases:
        trains = case.part != "test"
        _write_picture(case, dataset, dataset.folder / ("imagesTr" if trains else "imagesTs"))
        if trains:
            mask = case.reference()
            path = dataset.folder / "labelsTr" / f"{case.name}{dataset.ending}"
            _write_plane(mask, _pixel_size(case, dataset), dataset.ending, path)
    for name, document in documents(content.labels, content.name, cases, dataset).items():
        write_text_aside(dataset.folder / name, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return dataset


def documents(labels: Sequence[str], name: str, cases: Sequence[Case], dataset: RawDataset) -> dict[str, Any]:
    """The JSON files of the dataset: `dataset.json`, `splits_final.json`, and `cases.json` for people."""
    parts = {part: [case.name for case in cases if case.part == part] for part in ("training", "validation")}
    return {
        "dataset.json": {
            "name": name,
            "channel_names": {str(k): channel for k, channel in enumerate(dataset.channels)},
            "labels": numbered_labels(labels),
            "numTraining": sum(map(len, parts.values())),
            "file_ending": dataset.ending,
            "overwrite_image_reader_writer": READERS[dataset.ending],
        },
        # nnU-Net's planner copies it to where the trainer looks; fold 0 is the datalist's own split.
        "splits_final.json": [{"train": parts["training"], "val": parts["validation"]}],
        "cases.json": {case.name: {"part": case.part, "image": case.shown} for case in cases},
    }


def raw_dataset_of(folder: Path) -> RawDataset:
    """A raw dataset that was written before."""
    document: Mapping[str, Any] = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    ending = str(document["file_ending"])
    first = next(iter(sorted((folder / "labelsTr").glob(f"*{ending}"))))
    spacing_known = ending != ".png" and _spacing_of(first) != (1.0, 1.0)
    return RawDataset(folder, ending, tuple(document["channel_names"].values()), spacing_known)


def channel_names(channels: int, modality: str, low: float) -> tuple[str, ...]:
    """What nnU-Net is told the channels are.

    "CT" stands for Hounsfield units there: its values are clipped and scaled over the whole set. Windowed CT is grey
    like any other, and each picture is scaled by itself (z-score), as are the channels of a colour picture.
    """
    if channels == 3:
        return ("R", "G", "B")
    if modality == "CT" and low < HOUNSFIELD_BELOW:
        return ("CT",)
    return ("grey",)


def numbered_labels(labels: Sequence[str]) -> dict[str, int]:
    """Class names for nnU-Net, to whom "background" is 0 and "ignore" means pixels that are not learnt."""
    names = ["background", *labels[1:]]
    taken: dict[str, int] = {}
    for index, label in enumerate(names):
        name = label if label not in taken and label != "ignore" else f"{label}_{index}"
        taken[name] = index
    return taken


def plain_name(name: str) -> str:
    """A name that serves as a folder's."""
    return re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "set"


def read_prediction(path: Path) -> npt.NDArray[np.uint8]:
    """A mask that nnU-Net wrote, as class indices in display orientation, (W, H)."""
    if path.name.endswith(".png"):
        from PIL import Image

        with Image.open(path) as image:
            return np.ascontiguousarray(np.asarray(image).T).astype(np.uint8)
    import SimpleITK as sitk  # noqa: N813

    plane = np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
    if plane.ndim != 2:
        raise GeometryMismatch(f"{path}: has the shape {plane.shape}; expected one slice.")
    return np.ascontiguousarray(plane.T).astype(np.uint8)


@dataclass(frozen=True)
class _Survey:
    """What the pictures of a set are like."""

    coloured: bool  # more than half of those that are learnt from, as `planar plan` has it
    bytes_only: bool
    spacing_known: bool
    low: float


def _survey(cases: Sequence[Case]) -> _Survey:
    coloured, dtypes, known, lows = [], set(), True, []
    for case in cases:
        picture = case.picture()
        dtypes.add(picture.array.dtype)
        known &= picture.spacing_mm is not None
        if case.part != "test":
            coloured.append(is_coloured(picture.array))
            lows.append(float(picture.array.min()))
    return _Survey(2 * sum(coloured) > len(coloured), dtypes == {np.dtype(np.uint8)}, known, min(lows))


def _write_picture(case: Case, dataset: RawDataset, folder: Path) -> None:
    array = case.picture().array
    if len(dataset.channels) == 1:
        array = grey_of(array)
    elif array.ndim == 2:
        array = np.repeat(array[..., np.newaxis], len(dataset.channels), axis=-1)
    # One file holds the colours of a PNG; of NIfTI there is one for each channel.
    one_file = array.ndim == 2 or dataset.ending == ".png"
    spacing = _pixel_size(case, dataset)
    for k, plane in enumerate([array] if one_file else np.moveaxis(array, -1, 0)):
        _write_plane(plane, spacing, dataset.ending, folder / f"{case.name}_{k:04d}{dataset.ending}")


def _pixel_size(case: Case, dataset: RawDataset) -> tuple[float, float] | None:
    return case.picture().spacing_mm if dataset.spacing_known else None


def _write_plane(array: npt.NDArray[Any], spacing: tuple[float, float] | None, ending: str, path: Path) -> None:
    """Write (W, H) or, as PNG, (W, H, 3)."""
    rows = np.ascontiguousarray(array.swapaxes(0, 1))
    with written_aside(path) as aside:
        if ending == ".png":
            from PIL import Image

            Image.fromarray(rows).save(aside, format="PNG", compress_level=1)
            return
        import SimpleITK as sitk  # noqa: N813

        image = sitk.GetImageFromArray(rows)
        if spacing is not None:
            image.SetSpacing(spacing)
        sitk.WriteImage(image, str(aside), useCompression=True)


def _spacing_of(path: Path) -> tuple[float, ...]:
    import SimpleITK as sitk  # noqa: N813

    spacing: tuple[float, ...] = sitk.ReadImage(str(path)).GetSpacing()
    return spacing[:2]
