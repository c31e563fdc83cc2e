"""From films in an archive to a model: drawn, stored as SEG, read back, trained from an empty cache, audited."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from PIL import Image
from small_bundle import NAME, untrained

from benchmarks.label_server import PLANAR, LabelServer
from benchmarks.orthanc import Orthanc, why_no_orthanc
from pipeline.phantom import radiograph, thorax
from pipeline.phantom.dicom import film_bytes

pytestmark = [pytest.mark.label, pytest.mark.timeout(1800)]

LUNGS = (1, 2)


def test_from_drawing_to_an_audited_model(tmp_path: Path) -> None:
    if reason := why_no_orthanc():
        pytest.skip(reason)
    settings = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'runs.db'}", "PLANAR_STATE": str(tmp_path / "state")}
    bundle = untrained(tmp_path).root
    drawn: dict[str, np.ndarray] = {}
    archive = Orthanc(tmp_path / "orthanc")
    archive.start()
    first = LabelServer(tmp_path / "first", ["--studies", archive.address, "--bundle", bundle], settings)
    second = LabelServer(tmp_path / "second", ["--studies", archive.address, "--bundle", bundle], settings)
    try:
        for number in range(8):
            film = radiograph(thorax(number), seed=number, size=64)
            path = tmp_path / f"{number}.dcm"
            path.write_bytes(film_bytes(film, subject=f"SECRET-{number}", number=1, origin=f"training {number}"))
            archive.send([path])
            drawn[str(pydicom.dcmread(path).SeriesInstanceUID)] = np.isin(film.labels, LUNGS).astype(np.uint8)
        client = first.start().client
        for series, mask in drawn.items():
            Image.fromarray(np.ascontiguousarray(mask.T)).save(tmp_path / "mask.png")
            params = {"label_info": [{"name": "lung", "idx": 1}]}
            client.save_label(series, str(tmp_path / "mask.png"), params=params)
        first.stop()
        stored = [archive.file(one["SOPInstanceUID"]) for one in archive.find(Modality="SEG")]
        assert len(stored) == len(drawn)
        for content in stored:
            seg = hd.seg.segread(io.BytesIO(content))
            assert seg.segmented_property_categories and seg.number_of_segments == 1
            series = str(seg.ReferencedSeriesSequence[0].SeriesInstanceUID)
            np.testing.assert_array_equal(np.squeeze(seg.pixel_array), drawn[series].T)
            (tmp_path / "seg.dcm").write_bytes(content)
            dumped = subprocess.run(["dcmdump", str(tmp_path / "seg.dcm")], capture_output=True, text=True, check=True)
            assert series in dumped.stdout

        second.start().client.train_start(NAME, {"device": "cpu", "max_epochs": 2, "pretrained": False})
        done = second.wait_for("train", 900)
        assert done["status"] == "DONE", "\n".join(done["details"])
        (line,) = (bundle / "models" / "decisions.jsonl").read_text().splitlines()
        (datalist,) = second.work.glob(f"trainings/{NAME}/*/datalist.json")
        content = datalist.read_text()
        assert "SECRET" not in content
        items = [item for part in ("training", "validation") for item in json.loads(content)[part]]
        assert len({item["subject"] for item in items}) == len(drawn)
        verified = subprocess.run(
            [sys.executable, "-c", PLANAR, "audit", "verify", json.loads(line)["run_id"]],
            cwd=tmp_path,
            env={**os.environ, **settings, "HOME": str(second.folder), "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
        )
        assert verified.returncode == 0, verified.stdout[-3000:] + verified.stderr[-1000:]
    finally:
        for server in (first, second):
            server.stop()
        archive.stop()
