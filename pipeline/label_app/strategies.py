"""Which image an annotator gets next: none that has a label, and none that another annotator has just been given."""

from __future__ import annotations

import random
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from monailabel.interfaces.tasks.strategy import Strategy

from pipeline.label_app.images import LabelledImages
from pipeline.label_app.scoring import Scores, farthest

__all__ = ["KINDS", "Anyone", "ByScores", "InOrder", "Offering"]

KINDS = ("uncertainty", "diversity", "both")
# An annotator who has not saved an image for so long, s, is not waited for.
LEASE_S = 900


class Offering(Strategy):
    """A strategy for several annotators at once."""

    def __call__(self, request: Mapping[str, Any], datastore: LabelledImages) -> dict[str, Any] | None:
        """The next image's id as `{"id": …}`, or None if all have labels."""
        images = datastore.get_unlabeled_images()
        if not images:
            return None
        me, now = request.get("client_id"), time.time()
        # As long as there are others, an image is for the annotator who got it.
        free = [image for image in images if not _is_with_another(datastore.noted(image), me, now)]
        return {"id": self.choose(free or images, datastore)}

    @abstractmethod
    def choose(self, images: Sequence[str], datastore: LabelledImages) -> str:
        """One of some images without labels."""


class Anyone(Offering):
    """Any image without a label."""

    def __init__(self) -> None:
        super().__init__("Any image without a label")

    def choose(self, images: Sequence[str], datastore: LabelledImages) -> str:
        """One by chance."""
        return random.choice(images)


class InOrder(Offering):
    """The first image without a label."""

    def __init__(self) -> None:
        super().__init__("The first image without a label")

    def choose(self, images: Sequence[str], datastore: LabelledImages) -> str:
        """The first."""
        return images[0]


class ByScores(Offering):
    """The image from which most is to be learnt, as far as images have scores; any image before there are some.

    Args:
        scores: By a bundle.
        kind: "uncertainty": what the bundle is most unsure of. "diversity": what is most unlike all that has labels.
            "both": the best sum of ranks by the two.
    """

    def __init__(self, scores: Scores, kind: str) -> None:
        super().__init__({"uncertainty": "Unsure", "diversity": "Unlike the others", "both": "Unsure and unlike"}[kind])
        self.scores, self.kind = scores, kind

    def choose(self, images: Sequence[str], datastore: LabelledImages) -> str:
        """The best."""
        known = self.scores.now()
        candidates = [image for image in images if image in known]
        if not candidates:
            return random.choice(images)
        unsure = {image: known[image].entropy for image in candidates}
        if self.kind == "uncertainty":
            return max(candidates, key=unsure.__getitem__)
        unlike = farthest(candidates, datastore.get_labeled_images(), known)
        if self.kind == "diversity":
            return max(candidates, key=unlike.__getitem__)
        ranks = [
            {image: rank for rank, image in enumerate(sorted(candidates, key=by.__getitem__))}
            for by in (unsure, unlike)
        ]
        return max(candidates, key=lambda image: sum(rank[image] for rank in ranks))


def _is_with_another(info: Mapping[str, Any], me: Any, now: float) -> bool:
    offers = [offer for offer in (info.get("strategy") or {}).values() if now - offer.get("ts", 0) < LEASE_S]
    return bool(offers) and max(offers, key=lambda offer: offer["ts"]).get("client_id") != me
