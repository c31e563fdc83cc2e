from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datalist import pixel_digest
from pipeline.tracking.datasets import GivenData, case_leaf, merkle_root


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def by_the_book(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return sha(b"\0", leaves[0])
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha(b"\1", by_the_book(leaves[:k]), by_the_book(leaves[k:]))


@pytest.mark.parametrize("count", [*range(18), 100])
def test_the_merkle_root_is_that_of_rfc_6962_over_sorted_leaves(count: int) -> None:
    leaves = [sha(str(n).encode()) for n in range(count)]
    mixed = random.Random(0).sample(leaves, count)
    assert merkle_root(mixed) == merkle_root(leaves) == by_the_book(sorted(leaves)).hex()


def test_a_case_that_an_epoch_takes_several_times_is_one_case(datalist: Path) -> None:
    cases = [item(name, number) for number, name in enumerate(("b.png", "a.png"))]
    once, often = (GivenData.of(datalist, {"training": given}).facts("training") for given in (cases, 12 * cases))
    assert (often.cases, often.merkle_root) == (once.cases, once.merkle_root) == (2, once.merkle_root)


def test_a_leaf_tells_image_and_mask_apart() -> None:
    one, two = sha(b"1").hex(), sha(b"2").hex()
    assert len({case_leaf(one, two), case_leaf(two, one), case_leaf(one), case_leaf(one, one)}) == 4


def write(folder: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5), number, np.uint8)).save(folder / name)


def item(name: str, number: int, **more: object) -> dict[str, object]:
    digest = sha(str(number).encode()).hex()
    return {"image": name, "label": f"m/{name}", "image_sha256": digest, "label_sha256": digest, **more}


@pytest.fixture
def datalist(tmp_path: Path) -> Path:
    path = tmp_path / "datalist.json"
    content = {
        "name": "films",
        "labels": {"0": "background", "1": "lung"},
        "training": [item("doe_jane.png", 1, subject="00112233445566aa", fold=1, comment="Jane")],
        "validation": [item("roe.png", 2, subject="Roe^Richard")],
        "test": [item("poe.png", 3)],
        "refused": [{"file": "Snow^John.png", "code": "unreadable", "reason": "Snow^John.png is empty"}],
    }
    path.write_text(json.dumps(content))
    return path


def test_a_datalist_is_told_with_digests_for_names(datalist: Path) -> None:
    given = GivenData.of(datalist)
    document = json.loads(given.text)
    (case,) = document["training"]
    digest = sha(b"1").hex()
    assert case == {
        "case": f"case-{digest[:12]}",
        "image_sha256": digest,
        "label_sha256": digest,
        "part": "training",
        "subject": "00112233445566aa",
        "fold": 1,
    }
    assert document["refused"] == {"unreadable": 1}
    assert document["validation"][0]["subject"].startswith("subject-")
    for name in ("doe", "jane", "Jane", "roe", "Roe", "poe", "Snow"):
        assert name not in given.text
    assert given.used == ("training", "validation", "test")
    root = merkle_root([case_leaf(digest, digest)])
    assert given.roots["training"] == {"root": root, "cases": 1}
    facts = given.facts("training")
    assert (facts.name, facts.merkle_root, facts.digest, facts.profile["subjects"]) == (
        "films training",
        root,
        root[:36],
        1,
    )


def test_the_parts_that_a_run_uses_are_those_of_its_config(datalist: Path) -> None:
    loaded = {part: [item(f"/data/{part}.png", 9)] for part in ("training", "validation", "test")}
    scoring = GivenData.of(datalist, {"test": loaded["test"]})
    assert scoring.used == ("test",)
    assert scoring.parts["test"][0]["image"] == "/data/test.png"
    # A training holds back the test part.
    training = GivenData.of(datalist, {part: loaded[part] for part in ("training", "validation")})
    assert training.used == ("training", "validation", "test")
    assert training.parts["test"][0]["image_sha256"] == sha(b"3").hex()


def test_cases_of_another_tools_datalist_get_the_digests_of_their_pixels(tmp_path: Path) -> None:
    write(tmp_path, ["a.png", "b.png", "left.png", "right.png"])
    cases = [
        {"image": str(tmp_path / "a.png"), "label": str(tmp_path / "b.png")},
        {"image": str(tmp_path / "a.png"), "label": [str(tmp_path / "left.png"), str(tmp_path / "right.png")]},
        {"image": str(tmp_path / "gone.png")},
    ]
    one, two, gone = GivenData.of(tmp_path / "none.json", {"training": cases}).parts["training"]
    assert one["image_sha256"] == two["image_sha256"] == pixel_digest(np.zeros((5, 4), np.uint8))
    assert one["label_sha256"] == pixel_digest(np.ones((5, 4), np.uint8))
    assert two["label_sha256"] == pixel_digest(np.full((5, 4), 2, np.uint8), np.full((5, 4), 3, np.uint8))
    assert gone["image_sha256"] == ""


def test_without_a_datalist_there_is_nothing_to_tell() -> None:
    assert GivenData.of(None).used == ()
