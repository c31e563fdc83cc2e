"""What a bundle thinks of images without labels: how unsure it is, and what they look like to it.

Scores are computed in the background, one image after the other, and kept on disk by image and weights: a server that
is started again goes on where it stopped, and new weights begin anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.digests import file_sha256
from pipeline.errors import PlanarError
from pipeline.label_app.images import LabelledImages
from pipeline.label_app.journal import Journal
from pipeline.label_app.segmenting import BundleSegmentation

__all__ = ["Score", "Scores", "farthest", "mean_entropy"]

logger = logging.getLogger(__name__)

# Slices of a volume that stand for it.
SLICES = 8
# Between two looks for new images, s.
PAUSE_S = 5.0


@dataclass(frozen=True, eq=False)
class Score:
    """What a bundle thinks of an image.

    Attributes:
        entropy: Mean over its pixels, 0 (sure) to 1 (all classes are equally probable).
        vector: Its innermost features, pooled.
    """

    entropy: float
    vector: NDArray[np.float32]


class Scores:
    """The scores of images by the weights that a bundle has now, computed in a thread once they are asked for.

    Args:
        task: The bundle.
        images: The images.
        folder: Where scores are kept.
        background: Whether there is that thread; else `complete` computes them.
    """

    def __init__(
        self, task: BundleSegmentation, images: LabelledImages, folder: Path, *, background: bool = True
    ) -> None:
        self.task, self.images, self.folder, self.background = task, images, folder, background
        self._known: dict[str, Score] = {}
        self._weights = ""
        self._refused: set[str] = set()
        self._thread: threading.Thread | None = None
        self._begin = threading.Lock()

    def now(self) -> dict[str, Score]:
        """The scores that there are; the first call begins to compute them."""
        with self._begin:
            if self._thread is None and self.background:
                self._thread = threading.Thread(target=self._run, name="scores", daemon=True)
                self._thread.start()
        return dict(self._known)

    def complete(self) -> None:
        """Score all images before this returns; for whoever has no thread for it."""
        while self._score_next():
            pass

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            try:
                left = self._score_next()
            except Exception:
                logger.exception("scoring")
                left = False
            if not left:
                pause.wait(PAUSE_S)

    def _score_next(self) -> bool:
        """Score one image; whether there may be more."""
        if not self.task.is_valid():
            return False
        weights = file_sha256(self.task.bundle.weights)
        journal = Journal(self.folder / f"{self.task.bundle.name}-{weights[:16]}.jsonl")
        if weights != self._weights:
            kept = {e["image"]: Score(e["entropy"], np.array(e["vector"], np.float32)) for e in journal.read()}
            self._known, self._weights, self._refused = kept, weights, set()
        # Those without labels first; of the others it is asked how unlike them an image is.
        order = [*self.images.get_unlabeled_images(), *self.images.get_labeled_images()]
        image = next((one for one in order if one not in self._known and one not in self._refused), None)
        if image is None:
            return False
        try:
            score = self._score(image)
        except PlanarError:
            self._refused.add(image)
            return True
        vector = [round(float(value), 5) for value in score.vector]
        journal.add({"image": image, "entropy": round(score.entropy, 6), "vector": vector})
        self._known[image] = score
        return True

    def _score(self, image: str) -> Score:
        slices = self.images.source(image).slices
        chosen = [slices[k] for k in np.unique(np.linspace(0, len(slices) - 1, SLICES).round().astype(int))]
        probabilities, vectors = self.task.observe(chosen)
        return Score(float(np.mean([mean_entropy(one) for one in probabilities])), vectors.mean(axis=0))


def mean_entropy(probabilities: NDArray[np.floating]) -> float:
    """Mean entropy of class probabilities (C, W, H), as a part of the largest there can be.

    References: Shannon 1948; Settles, Active Learning Literature Survey, 2009, section 3.1.
    """
    p = np.clip(probabilities.astype(np.float64), 1e-12, 1)
    return float(-(p * np.log(p)).sum(axis=0).mean() / np.log(len(p)))


def farthest(candidates: Sequence[str], known: Sequence[str], scores: dict[str, Score]) -> dict[str, float]:
    """How far each candidate lies from the nearest image of `known`, each feature in units of its deviation.

    References: Sener and Savarese, Active Learning for CNNs: a core-set approach, ICLR 2018 (k-centre greedy).
    """
    names = [*candidates, *(name for name in known if name in scores)]
    vectors = np.stack([scores[name].vector for name in names]).astype(np.float64)
    vectors /= vectors.std(axis=0) + 1e-9
    first, rest = vectors[: len(candidates)], vectors[len(candidates) :]
    centre = rest if len(rest) else vectors.mean(axis=0, keepdims=True)
    distances = np.sqrt(((first[:, np.newaxis] - centre) ** 2).mean(axis=2)).min(axis=1)
    return dict(zip(candidates, distances.tolist(), strict=True))
