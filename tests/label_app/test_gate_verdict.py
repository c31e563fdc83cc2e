"""What the gate says of a mask goes to the client with it: the same as `planar infer` writes beside its masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.label_server import LabelServer
from pipeline.readers import read_picture

pytestmark = [pytest.mark.label, pytest.mark.timeout(900)]

BUNDLE = "cxr_lung_segmentation"


@pytest.mark.parametrize(("image", "file"), [("film_png", "film_png.png"), ("ct", "ct")])
def test_the_verdict_is_that_of_infer(server: LabelServer, films: Path, tmp_path: Path, image: str, file: str) -> None:
    from pipeline.tasks.infer import infer

    infer(BUNDLE, [str(films / file)], tmp_path / "out")
    (written,) = (tmp_path / "out").glob("*_quality.json")
    expected = json.loads(written.read_text())
    del expected["masks"]
    _, told = server.client.infer(BUNDLE, image, {})
    assert told["quality"] == expected
    assert expected["decision"] in ("accept", "review")
    assert (image == "ct") == ("slices" in expected)


def test_a_gate_that_is_not_asked_says_nothing_and_the_mask_is_the_same(server: LabelServer) -> None:
    judged, _ = server.client.infer(BUNDLE, "film_png", {})
    mask = read_picture(judged, labels=True).array
    plain, told = server.client.infer(BUNDLE, "film_png", {"gate": False})
    assert told["quality"]["decision"] == "not judged"
    np.testing.assert_array_equal(read_picture(plain, labels=True).array, mask)
    _, told = server.client.infer(BUNDLE, "film_png", {"test_time_flips": False})
    assert told["quality"]["decision"] == "not judged"
    assert "fitted to the bundle's own" in told["quality"]["reasons"][0]


def test_a_verdict_is_kept_with_the_mask_that_a_client_has_saved(server: LabelServer) -> None:
    _, told = server.client.infer(BUNDLE, "film_bmp", {"save_label": True})
    saved = server.client.datastore()["objects"]["film_bmp"]["labels"]["original"]["info"]
    assert saved["params"]["quality"] == told["quality"]
