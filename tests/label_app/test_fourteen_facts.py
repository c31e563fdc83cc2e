"""What breaks in MONAI Label 0.8.5: shown on its own code, and what this app does instead.

The other facts stand where their parts are tested: 2 and 10 in test_same_as_infer and test_stock_app; 4, 6, 8, 13 and
14 in test_archive_images; 7 in test_real_images; 11 in test_training and test_stock_app.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from benchmarks.label_server import LabelServer
from pipeline.readers import read_picture

pytestmark = [pytest.mark.label, pytest.mark.timeout(900)]

BUNDLE = "cxr_lung_segmentation"


def test_fact_1_batch_inference_on_a_cpu(server: LabelServer) -> None:
    import torch
    from monailabel.interfaces.tasks.batch_infer import BatchInferTask

    if not torch.cuda.is_available():
        with pytest.raises(ZeroDivisionError):
            BatchInferTask()({"images": ["a"], "model": BUNDLE}, None, None)
    requests.post(f"{server.uri}/batch/infer/{BUNDLE}", json={"save_label": True}, timeout=60).raise_for_status()
    done = server.wait_for("batch/infer", 600)
    assert done["status"] == "DONE", "\n".join(done["details"])
    objects = server.client.datastore()["objects"]
    assert all("original" in one["labels"] for one in objects.values())
    file = server.client.download_label("film_png", "original")
    again, _ = server.client.infer(BUNDLE, "film_png", {})
    np.testing.assert_array_equal(read_picture(file, labels=True).array, read_picture(again, labels=True).array)


def test_fact_3_the_end_of_an_identifier_is_no_file_extension() -> None:
    from monailabel.utils.others.generic import file_ext

    from pipeline.label_app.views import suffixes

    assert file_ext("/cache/1.2.826.0.1.3680043.8.498.771") != ""
    assert suffixes("/cache/1.2.3/film.dcm") == ".dcm"


def test_fact_5_the_segmentation_of_a_film_is_read_by_the_instance_that_it_names(
    server: LabelServer, films: Path, tmp_path: Path
) -> None:
    import pydicom
    import pydicom_seg

    answer = requests.post(
        f"{server.uri}/infer/{BUNDLE}", params={"image": "film_MONOCHROME1", "output": "dicom_seg"}, timeout=120
    )
    (tmp_path / "seg.dcm").write_bytes(answer.content)
    with pytest.raises((ValueError, AttributeError), match=r"Orientation|SliceThickness"):
        pydicom_seg.MultiClassReader().read(pydicom.dcmread(tmp_path / "seg.dcm"))
    film = pydicom.dcmread(films / "film_MONOCHROME1.dcm")
    mask = read_picture(f"{tmp_path / 'seg.dcm'}#instance={film.SOPInstanceUID}", labels=True)
    inferred, _ = server.client.infer(BUNDLE, "film_MONOCHROME1", {})
    np.testing.assert_array_equal(mask.array, read_picture(inferred, labels=True).array)


def test_fact_6_a_label_is_not_uploaded_before_it_is_known_that_it_can_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monailabel.datastore import dicom
    from monailabel.interfaces.exception import ImageNotFoundException

    class Client:
        base_url = "http://127.0.0.1/"

    uploaded: list[str] = []

    def upload(file: str, client: Any) -> str:
        uploaded.append(file)
        return "1.2.3"

    def convert(folder: str, label: str, info: Any) -> str:
        (tmp_path / "seg.dcm").write_bytes(b"")
        return str(tmp_path / "seg.dcm")

    monkeypatch.setattr(dicom, "nifti_to_dicom_seg", convert)
    monkeypatch.setattr(dicom, "dicom_web_upload_dcm", upload)
    stock = dicom.DICOMWebDatastore(Client(), {}, str(tmp_path), convert_to_nifti=False)
    try:
        image = Path(stock._datastore.image_path()) / "1.2"
        image.mkdir()
        (image / "1.dcm").write_bytes(b"")
        (tmp_path / "label.nii.gz").write_bytes(b"")
        for _ in range(2):
            with pytest.raises(ImageNotFoundException):
                stock.save_label("1.2", str(tmp_path / "label.nii.gz"), "final", {})
    finally:
        stock._observer.stop()
    assert len(uploaded) == 2  # and no label for either: ours in test_archive_images


def test_fact_9_a_film_that_is_stored_inverted_is_shown_upright(films: Path) -> None:
    from monai.transforms import LoadImage

    stock = LoadImage(reader="PydicomReader", image_only=True)
    one, other = (np.asarray(stock(films / f"film_MONOCHROME{k}.dcm")).squeeze() for k in (1, 2))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] < -0.99
    one, other = (read_picture(films / f"film_MONOCHROME{k}.dcm").array for k in (1, 2))
    np.testing.assert_array_equal(one, other)


def test_fact_12_a_client_on_this_machine_keeps_what_it_got(server: LabelServer) -> None:
    from monailabel.client import MONAILabelClient

    file, _ = MONAILabelClient(server.uri).infer(BUNDLE, "film_png", {})  # in the temporary folder of this machine
    time.sleep(1)
    assert Path(file).is_file()
    Path(file).unlink()
