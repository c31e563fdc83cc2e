"""Tables of joined classes as a small file: which cases scored what, by which weights, and no name of a file."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from raw_sets import write_datalist

from benchmarks.release.united import score_united
from benchmarks.release.united_pack import LIST, pack_united
from pipeline.digests import file_sha256
from pipeline.metrics import read_evaluation


def test_a_pack_of_joined_classes_has_cases_digests_and_no_names(tmp_path: Path) -> None:
    names = [f"mrs_smith_{number}" for number in range(3)]
    masks = tmp_path / "predicted"
    masks.mkdir()
    for number, name in enumerate(names):
        classes = np.zeros((30, 40), np.uint8)
        classes[5:20, 5:20] = 1
        classes[8:12, 8:12] = 2
        Image.fromarray(np.full((30, 40), 10 * number, np.uint8)).save(tmp_path / f"{name}.png")
        Image.fromarray(classes).save(tmp_path / f"{name}_classes.png")
        classes[5] = 0
        Image.fromarray(classes).save(masks / f"{name}_mask.png")
    data = write_datalist(tmp_path, [f"{name}.png" for name in names], [f"{name}_classes.png" for name in names])
    document = json.loads(data.read_text())
    items = [*document["training"], *document["validation"], *document["test"]]
    for item in items:
        item |= {"label_coding": "index", "image_sha256": hashlib.sha256(item["image"].encode()).hexdigest()}
    labels = ["background", "rim", "cup"]
    numbered = dict(enumerate(labels))
    data.write_text(json.dumps(document | {"labels": numbered, "training": [], "validation": [], "test": items}))
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    folder = tmp_path / "evaluations" / "eyes_disc"
    score_united(data, labels, masks, "disc=rim,cup", folder, "eyes", weights)

    pack_united([folder], tmp_path / "united.zip")
    first = (tmp_path / "united.zip").read_bytes()
    pack_united([folder], tmp_path / "united.zip")
    assert (tmp_path / "united.zip").read_bytes() == first
    with zipfile.ZipFile(tmp_path / "united.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    listed = json.loads(files.pop(LIST))
    assert listed == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert set(files) == {f"eyes_disc/{table}" for table in ("cases.csv", "confusion.csv", "metrics.json")}
    assert not [name for name, content in files.items() if b"smith" in content]
    record = json.loads(files["eyes_disc/metrics.json"])
    assert record["checkpoint_sha256"] == file_sha256(weights)
    assert record["summary"] == read_evaluation(folder).record["summary"]
    rows = files["eyes_disc/cases.csv"].decode().splitlines()
    assert rows[0].startswith("case,image_sha256,subject,class,dice")
    assert [row.partition(",")[0] for row in rows[1:]] == [f"case-{item['image_sha256'][:12]}" for item in items]
