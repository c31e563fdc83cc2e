"""A few damaged files of every kind: none ends the process, hangs, or is refused in more than a line."""

import random
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "readers"))
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless
from reader_phantoms import CT_IMAGE, colours, dicom_of, in_syntax, item, jpeg_of, ramp, save_dicom
from segmentation_phantoms import segmentation

from benchmarks.fuzz.mutations import MUTATIONS, mutate
from benchmarks.fuzz.run import BAD, fuzz

DAMAGED = 150


def whole_files(folder):
    """Small files of every kind, by name."""
    film = ramp(64, 48, np.uint16)
    place = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0, 0, 1], "PixelSpacing": [1, 1]}
    frames = np.stack([ramp(64, 48, np.int16, seed) for seed in range(3)])
    groups = [item(PlanePositionSequence=[item(ImagePositionPatient=[0, 0, k])]) for k in range(3)]
    enhanced = {
        "SharedFunctionalGroupsSequence": [
            item(PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])])
        ],
        "PerFrameFunctionalGroupsSequence": groups,
    }
    palette = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name in ("Red", "Green", "Blue"):
        palette[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        palette[f"{name}PaletteColorLookupTableData"] = bytes(range(256))
    table = item(LUTDescriptor=[256, 0, 8], LUTData=bytes(range(256)), ModalityLUTType="US")
    mask = (film > 9000).astype(np.uint8)
    made = {
        "film": dicom_of(film, WindowCenter=5, WindowWidth=9, PixelPaddingValue=3),
        "slice": dicom_of(film.view(np.int16), sop_class=CT_IMAGE, RescaleSlope=1, RescaleIntercept=-1024, **place),
        "enhanced": dicom_of(frames, sop_class="1.2.840.10008.5.1.4.1.1.2.1", **enhanced),
        "photo": dicom_of(colours(64, 48)),
        "palette": dicom_of(ramp(64, 48), **palette),
        "table": dicom_of(ramp(64, 48), ModalityLUTSequence=[table], VOILUTSequence=[table]),
        "seg": segmentation([(mask, 1, "1.2.1", (0, 0, k)) for k in range(3)], cosines=[1, 0, 0, 0, 1, 0]),
        "rle": in_syntax(dicom_of(film), RLELossless),
        "big": in_syntax(dicom_of(film), ExplicitVRBigEndian),
        "deflated": in_syntax(dicom_of(film), DeflatedExplicitVRLittleEndian),
        "lossless": in_syntax(dicom_of(film), "1.2.840.10008.1.2.4.70"),
        "wavelet": in_syntax(dicom_of(film), "1.2.840.10008.1.2.4.90"),
        "jpeg": encapsulated_jpeg(ramp(64, 48)),
    }
    return [Path(save_dicom(ds, folder / name)) for name, ds in made.items()]


def encapsulated_jpeg(pixels):
    from reader_phantoms import encapsulated

    return encapsulated(dicom_of(pixels), [jpeg_of(pixels)], "1.2.840.10008.1.2.4.50")


@pytest.mark.slow
def test_damaged_files_are_refused_in_one_line_or_read(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    results = list(fuzz(whole_files(tmp_path), DAMAGED, seed=3))
    assert [result for result in results if result["outcome"] in BAD] == []
    outcomes = Counter(result["outcome"] for result in results)
    assert outcomes["refused"] > DAMAGED / 4
    assert outcomes["read"] > DAMAGED / 10


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_damage_changes_the_file_and_the_same_seed_does_the_same(tmp_path, name):
    content = whole_files(tmp_path)[0].read_bytes()
    damaged = [MUTATIONS[name](random.Random(seed), content) for seed in range(5)]
    assert any(one != content for one in damaged)
    assert damaged == [MUTATIONS[name](random.Random(seed), content) for seed in range(5)]
    assert mutate(random.Random(1), content) == mutate(random.Random(1), content)
