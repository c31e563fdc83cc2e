"""Saving with the real client: on the image's grid, with names, the newest wins, a crash loses nothing."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import requests
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from benchmarks.label_server import LabelServer, client_of, serving_a_copy
from pipeline.readers import read_picture

pytestmark = [pytest.mark.label, pytest.mark.timeout(900)]

BUNDLE = "cxr_lung_segmentation"


@pytest.fixture(scope="module")
def saving(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    with serving_a_copy(films, tmp_path_factory.mktemp("saving"), BUNDLE) as running:
        yield running


def studies(server: LabelServer) -> Path:
    return server.folder / "studies"


def test_what_was_inferred_can_be_saved_as_it_is(saving: LabelServer) -> None:
    for image in ("film_png", "film_turned", "film_MONOCHROME1", "film_flipped", "ct", "volume"):
        for extension in ("", ".nrrd"):
            file, told = saving.client.infer(BUNDLE, image, {"result_extension": extension} if extension else {})
            names = [{"name": name, "idx": index} for name, index in told["label_names"].items()]
            saving.client.save_label(image, file, params={"label_info": names})
            kept = saving.client.download_label(image, "final")
            np.testing.assert_array_equal(
                read_picture(kept, labels=True).array,
                read_picture(saving.client.infer(BUNDLE, image, {})[0], labels=True).array,
                err_msg=f"{image} {extension}",
            )
    assert (studies(saving) / "labels" / "final" / "film_png.png").is_file()
    assert (studies(saving) / "labels" / "final" / "ct.nii.gz").is_file()


def test_what_slicer_draws_on_a_film_is_saved_where_it_was_drawn(saving: LabelServer, tmp_path: Path) -> None:
    shown = sitk.ReadImage(str(studies(saving) / "film_png.png"))
    drawn = np.zeros(sitk.GetArrayFromImage(shown).shape, np.uint8)
    drawn[5:20, 30:90] = 1
    label = sitk.GetImageFromArray(drawn[np.newaxis])
    label.CopyInformation(sitk.JoinSeries(shown))
    sitk.WriteImage(label, str(tmp_path / "drawn.nii.gz"))
    saving.client.save_label("film_png", str(tmp_path / "drawn.nii.gz"), params={"label_info": [{"name": "lung"}]})
    np.testing.assert_array_equal(np.asarray(Image.open(saving.client.download_label("film_png", "final"))), drawn)
    info = saving.client.datastore()["objects"]["film_png"]["labels"]["final"]["info"]
    assert info["label_info"] == [{"name": "lung", "idx": 1}]


def test_a_label_of_another_image_is_refused_and_the_former_stays(saving: LabelServer, tmp_path: Path) -> None:
    saving.client.save_label("film_bmp", str(studies(saving) / "labels" / "final" / "film_png.png"))
    before = Path(saving.client.download_label("film_bmp", "final")).read_bytes()
    Image.fromarray(np.zeros((7, 9), np.uint8)).save(tmp_path / "other.png")
    with (tmp_path / "other.png").open("rb") as file:
        answer = requests.put(
            f"{saving.uri}/datastore/label", params={"image": "film_bmp"}, files={"label": file}, timeout=60
        )
    assert (answer.status_code, "9×7, its image" in answer.json()["detail"]) == (422, True)
    assert Path(saving.client.download_label("film_bmp", "final")).read_bytes() == before


def test_a_labelled_image_is_not_offered_again(saving: LabelServer, tmp_path: Path) -> None:
    client = saving.client
    offered = set()
    for _ in range(40):
        sample = client.next_sample("random", {})
        if not sample:
            break
        offered.add(sample["id"])
        assert "PHANTOM" not in str(sample)
        picture = read_picture(Path(sample["path"]))
        nib.save(
            nib.Nifti1Image(np.zeros(picture.grid.shape, np.uint8), picture.grid.stored_affine), tmp_path / "l.nii"
        )
        client.save_label(sample["id"], str(tmp_path / "l.nii"))
    assert client.next_sample("random", {}) == {}
    status = client.info()["datastore"]
    assert status["completed"] == status["total"] >= len(offered) > 0


def test_two_annotators_at_once_lose_nothing(saving: LabelServer, tmp_path: Path) -> None:
    height, width = np.asarray(Image.open(studies(saving) / "film_tif.tif")).shape
    files = []
    for number in range(8):
        mask = np.zeros((height, width), np.uint8)
        mask[: number + 1] = 1
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(mask).save(files[-1])

    def save(file: Path) -> None:
        client_of(saving.uri, saving.folder).save_label("film_tif", str(file), params={"annotator": file.stem})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save, files))
    kept = np.asarray(Image.open(saving.client.download_label("film_tif", "final")))
    assert int(kept[:, 0].sum()) in range(1, 9)
    lines = (studies(saving) / "labels" / "journal.jsonl").read_text().splitlines()
    assert sum('"saved"' in line and '"film_tif"' in line for line in lines) >= 8


def test_a_server_that_is_killed_while_labels_arrive_keeps_each_that_it_has_confirmed(
    films: Path, tmp_path: Path
) -> None:
    shutil.copytree(films, tmp_path / "studies")
    server = LabelServer(tmp_path, ["--studies", tmp_path / "studies", "--bundle", BUNDLE]).start()
    height, width = np.asarray(Image.open(tmp_path / "studies" / "film_png.png")).shape
    confirmed: list[int] = []

    def save_on(number: int) -> None:
        mask = np.zeros((height, width), np.uint8)
        mask[: number % height + 1] = 1
        Image.fromarray(mask).save(tmp_path / f"{number}.png")
        client_of(server.uri, tmp_path).save_label("film_png", str(tmp_path / f"{number}.png"))
        confirmed.append(number)

    try:
        with ThreadPoolExecutor(1) as pool:
            pending = [pool.submit(save_on, number) for number in range(60)]
            pending[10].result(120)
            server.stop(signal.SIGKILL)
            for one in pending:
                one.exception(120)
        server.start()
        kept = np.asarray(Image.open(server.client.download_label("film_png", "final")))
        # The last that was confirmed, or the one that was on its way.
        assert int(kept[:, 0].sum()) - 1 in (confirmed[-1], confirmed[-1] + 1)
        assert not list((tmp_path / "studies" / "labels").glob("**/.part-*"))
    finally:
        server.stop()


def test_logs_name_neither_images_nor_patients(saving: LabelServer) -> None:
    said = saving.log.read_text() + (saving.work / "logs" / "app.log").read_text()
    assert "infer 200" in said
    assert "save_label 200" in said
    for word in ("film_", "PHANTOM", "Traceback"):
        assert word not in said, said[-2000:]


def test_two_annotators_are_given_different_images_while_there_are_others(films: Path, tmp_path: Path) -> None:
    shutil.copytree(films, tmp_path / "studies")
    server = LabelServer(tmp_path, ["--studies", tmp_path / "studies", "--bundle", BUNDLE]).start()
    try:
        one, other = server.client, server.client
        one._client_id, other._client_id = "one", "other"
        given = [client.next_sample("first", {})["id"] for client in (one, other)]
        assert given[0] != given[1]
        assert one.next_sample("first", {})["id"] == given[0]
    finally:
        server.stop()
