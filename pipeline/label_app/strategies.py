"""Which image an annotator gets next: none that has a label, and none that another annotator has just been given."""

from __future__ import annotations

import random
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

__all__ = ["Anyone", "InOrder", "Offering"]

# An annotator who has not saved an image for so long, s, is not waited for.
LEASE_S = 900


class Offering(Strategy):
    """A strategy for several annotators at once."""

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """The next image's id as `{"id": …}`, or None if all have labels."""
        images = datastore.get_unlabeled_images()
        if not images:
            return None
        me, now = request.get("client_id"), time.time()
        # As long as there are others, an image is for the annotator who got it.
        free = [image for image in images if not _is_with_another(datastore.get_image_info(image), me, now)]
        return {"id": self.choose(free or images, datastore)}

    @abstractmethod
    def choose(self, images: Sequence[str], datastore: Datastore) -> str:
        """One of some images without labels."""


class Anyone(Offering):
    """Any image without a label."""

    def __init__(self) -> None:
        super().__init__("Any image without a label")

    def choose(self, images: Sequence[str], datastore: Datastore) -> str:
        """One by chance."""
        return random.choice(images)


class InOrder(Offering):
    """The first image without a label."""

    def __init__(self) -> None:
        super().__init__("The first image without a label")

    def choose(self, images: Sequence[str], datastore: Datastore) -> str:
        """The first."""
        return images[0]


def _is_with_another(info: Mapping[str, Any], me: Any, now: float) -> bool:
    offers = [offer for offer in (info.get("strategy") or {}).values() if now - offer.get("ts", 0) < LEASE_S]
    return bool(offers) and max(offers, key=lambda offer: offer["ts"]).get("client_id") != me
