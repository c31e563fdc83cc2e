"""Predicting the calibration's pictures, as they are and made worse, and what each prediction scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from monai.data import decollate_batch, list_data_collate
from monai.utils import convert_to_dst_type
from numpy.typing import NDArray

from pipeline.datalist import subject_of
from pipeline.gate import VIEWS, FeatureTap, degrade, draw_steps, innermost_layers, members_of, restore
from pipeline.tasks.calibrate.scoring import References
from pipeline.tasks.infer.predictor import Predictor
from pipeline.tasks.infer.watching import Observation, Watch

__all__ = ["Sample", "layers_of", "reference_vectors", "samples", "views_for"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One prediction of the calibration.

    Attributes:
        subject: Whose picture it is of.
        degraded: Whether the picture was made worse.
        seen: What the gate sees of it.
        dice: Of each class but the background, (classes - 1,).
        broken: Rules of plausibility that the reference mask itself breaks; none of a picture made worse.
    """

    subject: str
    degraded: bool
    seen: Observation
    dice: NDArray[np.float64]
    broken: tuple[str, ...]


def views_for(predict: Predictor) -> tuple[Any, ...]:
    """Two views, or one for each member of an ensemble."""
    return VIEWS[: max(2, len(members_of(predict.network)))]


def layers_of(predict: Predictor, image: str) -> list[str]:
    """The layers that features are taken from, found with one picture, or a window of it."""
    member = members_of(predict.network)[0]
    windows: list[torch.Tensor] = []

    def ask(window: torch.Tensor) -> torch.Tensor:
        windows.append(window[:1])
        return member(window)

    batch = list_data_collate([predict.preprocessing({"image": image})])["image"].to(predict.device)
    with torch.inference_mode():
        predict.inferer(batch, ask)
        return innermost_layers(member, windows[0])


def reference_vectors(
    predict: Predictor, layers: Sequence[str], images: Sequence[str], done: Callable[[], None]
) -> list[NDArray[np.float32]]:
    """Features of pictures, for each layer (pictures, values)."""
    member = members_of(predict.network)[0]
    tap = FeatureTap(member, layers)
    rows = []
    for image in images:
        batch = list_data_collate([predict.preprocessing({"image": image})])["image"].to(predict.device)
        with torch.inference_mode(), tap.reading() as noted:
            predict.inferer(batch, member)
        rows.append(tap.vectors(noted, 1))
        done()
    return [np.concatenate(parts) for parts in zip(*rows, strict=True)]


def samples(
    predict: Predictor,
    watch: Watch,
    references: References,
    rules_broken: Callable[[NDArray[np.uint8]], Sequence[str]],
    items: Sequence[dict[str, Any]],
    variants: int,
    seed: int,
    done: Callable[[], None],
) -> Iterator[Sample]:
    """Predict each item as it is, and `variants` times made worse.

    What is done to an item depends on the seed and its place in the list, not on the other items.
    """
    for number, item in enumerate(items):
        case = predict.preprocessing({"image": item["image"]})
        truth = references.mask(item)
        subject = subject_of(item)
        rng = np.random.default_rng([seed, number])
        found: Observation | None = None
        for variant in range(1 + variants):
            steps = draw_steps(rng) if found is not None else []
            batch = list_data_collate([case])
            if found is not None:
                worse = degrade(batch["image"].as_tensor().float(), found.mask.cpu(), steps)
                batch["image"] = convert_to_dst_type(worse, batch["image"])[0]
            batch["image"] = batch["image"].to(predict.device)
            with torch.inference_mode():
                answer = watch(batch["image"], predict.network)
                if steps:
                    # Through the logarithm, so that the bundle's own soft-max gives the probabilities back.
                    back = restore(torch.softmax(torch.as_tensor(answer).float(), dim=1), steps)
                    answer = convert_to_dst_type(back.clamp(1e-8, 1).log(), answer)[0]
                batch["pred"] = answer
                mask = predict.finish(decollate_batch(batch)[0]).mask
            seen = watch.take()
            if found is None:
                found = seen
            # Hundreds of these are kept: pictures and masks are not.
            small = replace(seen, mask=seen.mask.new_empty(0))
            dice = references.dice(mask, truth, item["image"])
            yield Sample(subject, variant > 0, small, dice, () if variant else tuple(rules_broken(truth)))
            done()
