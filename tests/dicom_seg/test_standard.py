"""The objects under dciodvfy, the validator of Debian's dicom3tools; and the real images of PLANAR_DATA."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from seg_phantoms import (
    ALGORITHM,
    GEOMETRIES,
    TERMS,
    phantom_film,
    read_frames,
    write_ct,
    write_enhanced_ct,
    write_film,
    write_loop,
)

from pipeline.dicom_seg import source_images, write_secondary_capture, write_seg
from pipeline.errors import PlanarError
from pipeline.readers import find_pictures, read_picture

KINDS = ("binary", "fractional")  # dciodvfy of 2024 knows no label maps


def errors_in(file: Path) -> list[str]:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed: apt-get install dicom3tools")
    done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def written(source: Path, out: Path, kind: str) -> Path:
    """A SEG of everything brighter than the median of the stored values."""
    picture = read_picture(source, labels=True)
    grey = picture.array[..., 0] if picture.colour else picture.array
    mask = (grey > np.median(grey)).astype(np.uint8)
    array = mask if kind != "fractional" else np.stack([1 - mask, *([mask * 0.6] * 3)]).astype(np.float32)
    write_seg(out, source_images(str(source)), array, TERMS, ALGORITHM, kind=kind)
    return out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["axial", "sagittal", "oblique", "flipped", "enhanced", "film", "loop"])
def test_dciodvfy_finds_no_error_in_a_seg(source: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "source"
    if source in GEOMETRIES:
        write_ct(path, GEOMETRIES[source])
    elif source == "enhanced":
        write_enhanced_ct(path, GEOMETRIES["axial"], tmp_path / "ct")
    elif source == "film":
        write_film(path, phantom_film())
    else:
        write_loop(path, phantom_film())
    assert errors_in(written(path, tmp_path / "seg.dcm", kind)) == []


@pytest.mark.parametrize("source", ["film", "ct"])
def test_dciodvfy_finds_no_error_in_a_secondary_capture(source: str, tmp_path: Path) -> None:
    if source == "ct":
        write_ct(tmp_path / "source", GEOMETRIES["oblique"])
    else:
        write_film(tmp_path / "source", phantom_film())
    picture = np.zeros((30, 40, 3), np.uint8)
    write_secondary_capture(tmp_path / "sc.dcm", source_images(str(tmp_path / "source")), 0, picture, ALGORITHM)
    assert errors_in(tmp_path / "sc.dcm") == []


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.timeout(900)
def test_masks_of_real_images_come_back_and_are_in_order(planar_data: Path, tmp_path: Path) -> None:
    sources = [Path(file) for file in find_pictures([planar_data / "dicom"])] + [planar_data / "ct_series" / "dicom"]
    done, wrong = 0, {}
    for number, source in enumerate(sources):
        try:
            written(source, seg := tmp_path / f"{number}.dcm", "binary")
        except PlanarError:
            continue  # a SEG among the images, or a transfer syntax without a decoder
        images = source_images(str(source))
        files = {
            str(ds.get("SOPInstanceUID") or ds.file_meta.MediaStorageSOPInstanceUID): ds
            for ds in map(pydicom.dcmread, source.iterdir() if source.is_dir() else [source])
        }
        try:
            stored = {uid: ds.pixel_array for uid, ds in files.items()}
        except (NotImplementedError, RuntimeError):
            continue  # a damaged or retired JPEG stream, which Planar decodes and pydicom does not
        median = np.median(np.stack([stored[str(header.SOPInstanceUID)] for header in images.headers]))
        frames = read_frames(seg)
        for (uid, _, segment), plane in frames.items():
            assert segment == 1 or not plane.any()
            if segment == 1:
                np.testing.assert_array_equal(plane.astype(bool), stored[uid] > median)
        assert len({uid for uid, _, _ in frames}) == len(files)
        if found := errors_in(seg):
            wrong[source.name] = found
        picture = np.zeros((*images.grid.display_shape[:2], 3), np.uint8)
        write_secondary_capture(tmp_path / "sc.dcm", images, 0, picture, ALGORITHM)
        if found := errors_in(tmp_path / "sc.dcm"):
            wrong[f"{source.name} (sc)"] = found
        done += 1
    assert wrong == {}
    assert done >= 26
