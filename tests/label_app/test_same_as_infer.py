"""A mask from the server is the mask of `planar infer`: same values, size and orientation, for every container."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import requests
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from benchmarks.label_server import LabelServer
from pipeline.readers import read_picture

pytestmark = [pytest.mark.label, pytest.mark.timeout(900)]

BUNDLE = "cxr_lung_segmentation"
FLAT = {
    "film_png": ".png",
    "film_tif": ".png",
    "film_bmp": ".png",
    "film_jpg": ".png",
    "film_rgb": ".png",
    "film_turned": ".png",
    "film_MONOCHROME1": ".png",
    "film_MONOCHROME2": ".png",
    "film_nifti": ".nii.gz",
    "film_flipped": ".nii.gz",
}
VOLUMES = {"ct": ".nii.gz", "volume": ".nii.gz"}


@pytest.fixture(scope="module")
def expected(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """What `planar infer` writes, by image."""
    from pipeline.tasks.infer import infer

    out = tmp_path_factory.mktemp("expected")
    result = infer(BUNDLE, [str(films)], out, gate=False)
    assert result.refused == ()
    return {path.name.split("_mask.")[0]: path for path in result.masks}


def stored(path: str | Path) -> np.ndarray:
    """The values as the file holds them."""
    if str(path).endswith(".png"):
        return np.asarray(Image.open(path))
    return np.asarray(nib.load(path).dataobj)


def test_the_images_are_those_of_the_folder(server: LabelServer) -> None:
    objects = server.client.datastore()["objects"]
    assert set(objects) == {*FLAT, *VOLUMES}
    info = server.client.info()
    assert info["models"][BUNDLE]["labels"] == {"lung": 1}
    assert info["datastore"]["total"] == len(objects)


@pytest.mark.parametrize("image", [*FLAT, *VOLUMES])
def test_the_mask_is_that_of_infer(server: LabelServer, expected: Mapping[str, Path], image: str) -> None:
    file, told = server.client.infer(BUNDLE, image, {})
    assert file.endswith({**FLAT, **VOLUMES}[image])
    np.testing.assert_array_equal(stored(file), stored(expected[image]))
    if file.endswith(".nii.gz"):
        np.testing.assert_allclose(nib.load(file).affine, nib.load(expected[image]).affine)
    else:
        assert Image.open(file).getexif().get(274, 1) == Image.open(expected[image]).getexif().get(274, 1)
    assert told["label_names"] == {"lung": 1}
    assert set(np.unique(stored(file))) <= {0, 1}
    if image in FLAT:
        assert stored(file).any()


def test_one_film_has_one_mask_in_every_container(server: LabelServer) -> None:
    """Not turned, not inverted: what is lossless is the same to the pixel, and a flipped mask is another."""
    masks = {}
    for image in FLAT:
        file, _ = server.client.infer(BUNDLE, image, {})
        masks[image] = read_picture(file, labels=True).array.astype(bool)
    first = masks["film_png"]
    for image in ("film_tif", "film_bmp", "film_nifti", "film_flipped"):
        np.testing.assert_array_equal(masks[image], first, err_msg=image)
    np.testing.assert_array_equal(masks["film_MONOCHROME1"], masks["film_MONOCHROME2"])
    for image in ("film_jpg", "film_rgb", "film_turned"):
        assert dice(masks[image], first) > 0.98, image
    for flipped in (first[::-1], first[:, ::-1]):
        assert dice(flipped, first) < 0.97


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


@pytest.mark.parametrize("image", ["film_png", "film_MONOCHROME1", "ct", "volume", "film_turned"])
def test_slicer_gets_nrrd_on_the_grid_of_what_it_has_loaded(server: LabelServer, image: str, tmp_path: Path) -> None:
    """3D Slicer asks for NRRD and 8 bits, OHIF for NRRD and 16."""
    served = requests.get(f"{server.uri}/datastore/image", params={"image": image}, timeout=60)
    name = server.client.datastore()["objects"][image]["image"]["info"]["name"]
    (tmp_path / name).write_bytes(served.content)
    shown = sitk.ReadImage(str(tmp_path / name))
    for dtype, pixel in (("uint8", sitk.sitkUInt8), ("uint16", sitk.sitkUInt16)):
        file, _ = server.client.infer(BUNDLE, image, {"result_extension": ".nrrd", "result_dtype": dtype})
        mask = sitk.ReadImage(file)
        assert mask.GetPixelID() == pixel
        assert mask.GetDimension() == 3
        axes = shown.GetDimension()
        np.testing.assert_allclose(mask.GetSpacing()[:axes], shown.GetSpacing())
        if image != "film_turned":  # the mask of a turned film lies on the stored pixels, turned by its direction
            assert mask.GetSize()[:axes] == shown.GetSize()
            np.testing.assert_allclose(mask.GetOrigin()[:axes], shown.GetOrigin(), atol=1e-4)


def test_an_image_that_is_sent_is_segmented_as_one_that_is_there(
    server: LabelServer, films: Path, expected: Mapping[str, Path]
) -> None:
    for name in ("film_png.png", "film_MONOCHROME1.dcm", "volume.nii.gz"):
        file, _ = server.client.infer(BUNDLE, "", {}, file=str(films / name))
        np.testing.assert_array_equal(stored(file), stored(expected[name.split(".")[0]]))


def test_a_session_of_dicom_slices_is_one_volume(
    server: LabelServer, films: Path, expected: Mapping[str, Path]
) -> None:
    slices = [("files", (path.name, path.read_bytes())) for path in (films / "ct").iterdir()]
    made = requests.put(f"{server.uri}/session/", files=slices, timeout=60).json()
    file, _ = server.client.infer(BUNDLE, "", {}, session_id=made["session_id"])
    np.testing.assert_array_equal(stored(file), stored(expected["ct"]))


def test_errors_of_the_users_making_are_one_line(server: LabelServer) -> None:
    def asked(model: str, image: str, params: str = "{}") -> requests.Response:
        return requests.post(
            f"{server.uri}/infer/{model}", params={"image": image}, data={"params": params}, timeout=60
        )

    assert (gone := asked(BUNDLE, "no_such_film")).status_code == 404
    assert "no image 'no_such_film'" in gone.json()["detail"]
    assert asked("no_such_model", "film_png").status_code == 404
    wrong = asked(BUNDLE, "film_png", '{"result_extension": ".gif"}')
    assert (wrong.status_code, ".nrrd" in wrong.json()["detail"]) == (422, True)
    code = asked(BUNDLE, "film_png", '{"device": "cpu\') or __import__(\'os\').abort() #"}')
    assert (code.status_code, "no device" in code.json()["detail"]) == (422, True)
    assert asked(BUNDLE, "film_png").status_code == 200


def test_no_file_of_the_machine_is_read_because_a_client_names_it(server: LabelServer, films: Path) -> None:
    answer = requests.post(f"{server.uri}/infer/{BUNDLE}", params={"image": str(films / "film_png.png")}, timeout=60)
    assert answer.status_code == 404


def test_a_dicom_segmentation_is_answered_for_films_and_series(
    server: LabelServer, films: Path, tmp_path: Path
) -> None:
    import pydicom

    for image in ("film_MONOCHROME1", "ct"):
        answer = requests.post(
            f"{server.uri}/infer/{BUNDLE}", params={"image": image, "output": "dicom_seg"}, timeout=120
        )
        assert answer.status_code == 200, answer.text[:300]
        assert answer.headers["content-type"] == "application/dicom"
        (tmp_path / f"{image}.dcm").write_bytes(answer.content)
        seg = pydicom.dcmread(tmp_path / f"{image}.dcm")
        sources = [films / f"{image}.dcm"] if image != "ct" else sorted((films / "ct").iterdir())
        known = {str(pydicom.dcmread(path).SOPInstanceUID) for path in sources}
        said = {
            uid
            for item in seg.ReferencedSeriesSequence
            for one in item.ReferencedInstanceSequence
            for uid in [str(one.ReferencedSOPInstanceUID)]
        }
        assert said == known
    png = requests.post(f"{server.uri}/infer/{BUNDLE}", params={"image": "film_png", "output": "dicom_seg"}, timeout=60)
    assert (png.status_code, "no identifiers" in png.json()["detail"]) == (422, True)
