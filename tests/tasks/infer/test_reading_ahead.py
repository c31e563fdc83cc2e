"""Pre-processing in several threads at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from monai.data import MetaTensor
from monai.transforms import Compose, MapTransform, Resized

from pipeline.tasks.infer.reading import PreprocessingAside


class Remembers(MapTransform):
    """Adds what it was called with, which it keeps in itself until all threads were here."""

    meeting = threading.Barrier(2, timeout=30)

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        self.kept = data["image"].mean()
        self.meeting.wait()
        return {**data, "image": data["image"] + self.kept}


def image(value: float, size: int = 8) -> dict[str, Any]:
    return {"image": MetaTensor(torch.full((1, size, size), value))}


def test_what_a_transform_keeps_of_one_thread_is_not_the_others() -> None:
    read = PreprocessingAside(Compose([Remembers("image")]))
    with ThreadPoolExecutor(2) as threads:
        values = [out["image"].mean().item() for out in threads.map(read, [image(1.0), image(10.0)])]
    assert values == [2.0, 20.0]


def test_the_chain_itself_undoes_what_its_copy_did() -> None:
    chain = Compose([Resized("image", spatial_size=(4, 6))])
    read = PreprocessingAside(chain)
    with ThreadPoolExecutor(1) as thread:
        small = thread.submit(read, image(3.0)).result()
    assert small["image"].shape == (1, 4, 6)
    back = chain.inverse(small)["image"]
    assert back.shape == (1, 8, 8)
    assert torch.allclose(back.as_tensor(), torch.tensor(3.0))
