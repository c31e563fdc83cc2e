"""Which image is worth most: scored in the background, kept on disk, never one that has a label."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.label_server import LabelServer

pytestmark = [pytest.mark.label, pytest.mark.timeout(900)]

BUNDLE = "cxr_lung_segmentation"


def scores_of(server: LabelServer) -> dict[str, float]:
    (file,) = server.work.glob("scores/*.jsonl")
    return {event["image"]: event["entropy"] for event in map(json.loads, file.read_text().splitlines())}


def test_entropy_is_a_part_of_the_largest_there_can_be() -> None:
    from pipeline.label_app.scoring import mean_entropy

    assert mean_entropy(np.full((4, 3, 2), 0.25)) == pytest.approx(1)
    assert mean_entropy(np.stack([np.ones((3, 2)), np.zeros((3, 2))])) == pytest.approx(0, abs=1e-9)
    half = np.stack([np.full((2, 1), 0.5), np.full((2, 1), 0.5)])
    half[:, 0] = [[1], [0]]
    assert mean_entropy(half) == pytest.approx(0.5)


def test_what_lies_farthest_from_all_that_is_known() -> None:
    from pipeline.label_app.scoring import Score, farthest

    scores = {
        name: Score(0, np.array([value, 0], np.float32)) for name, value in zip("abcd", (0, 1, 5, 9), strict=True)
    }
    found = farthest(["b", "c"], ["a", "d", "not scored"], scores)
    assert found["c"] > found["b"] > 0
    assert farthest(["a", "b", "c", "d"], [], scores)["d"] == max(farthest(["a", "b", "c", "d"], [], scores).values())


def test_the_most_uncertain_image_is_offered_and_scores_survive_a_restart(films: Path, tmp_path: Path) -> None:
    shutil.copytree(films, tmp_path / "studies")
    server = LabelServer(tmp_path, ["--studies", tmp_path / "studies", "--bundle", BUNDLE]).start()
    try:
        client = server.client
        assert {"uncertainty", "diversity", "both"} <= set(client.info()["strategies"])
        images = set(client.datastore()["objects"])
        assert client.next_sample("uncertainty", {})["id"] in images
        until = time.monotonic() + 300
        while not list(server.work.glob("scores/*.jsonl")) or set(scores_of(server)) != images:
            assert time.monotonic() < until
            time.sleep(0.5)
        scores = scores_of(server)
        best = max(scores, key=scores.__getitem__)
        assert client.next_sample("uncertainty", {})["id"] == best
        file, _ = client.infer(BUNDLE, best, {})
        client.save_label(best, file)
        for strategy in ("uncertainty", "diversity", "both"):
            assert client.next_sample(strategy, {})["id"] != best
        server.stop()
        (kept,) = server.work.glob("scores/*.jsonl")
        before = kept.read_bytes()
        second = server.start().client
        del scores[best]
        second.next_sample("uncertainty", {})
        time.sleep(3)
        assert second.next_sample("uncertainty", {})["id"] == max(scores, key=scores.__getitem__)
        assert kept.read_bytes() == before
    finally:
        server.stop()
