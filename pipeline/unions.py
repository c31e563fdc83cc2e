"""Masks that tell several classes as one: the disc of a set that does not divide it into rim and cup.

A pixel of such a mask has a class number beyond the network's classes, a union's. The network learns from it that the
pixel is one of the union's classes, and nothing of which.

References:
    Fang & Yan, Multi-organ segmentation over partially labeled datasets with multi-scale feature abstraction, IEEE TMI
    39(11), 2020 (target adaptive loss).
    Shi et al., Marginal loss and exclusion loss for partially supervised multi-organ segmentation, Med Image Anal 70,
    2021.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import nn

from pipeline.errors import InvalidOption

__all__ = ["PlaceUnionsd", "UnionLoss"]

Unions = Mapping[int, Sequence[int]]


class UnionLoss(nn.Module):
    """A loss of class scores, where masks may hold unions of classes.

    A case with a union is scored as if the network had one class in place of the union's: its score is the logarithm of
    their sum of exponentials, so that its soft-max probability is the sum of theirs. The mean is over the cases.

    Args:
        loss: Takes scores (B, classes, W, H) and class indices (B, 1, W, H), such as MONAI's `DiceCELoss` with
            `softmax` and `to_onehot_y`.
        unions: Class number of each union → its classes.
        partial: The loss of cases with a union; None for the same. One with weights for each class needs another here.
    """

    def __init__(self, loss: nn.Module, unions: Unions, partial: nn.Module | None = None) -> None:
        super().__init__()
        self.loss = loss
        self.partial = partial or loss
        self.unions = {int(number): [int(part) for part in parts] for number, parts in unions.items()}

    def forward(self, scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """The loss.

        Args:
            scores: Shape (B, classes, W, H).
            label: Class indices and numbers of unions, shape (B, 1, W, H).
        """
        beside = [number for number in self.unions if number < scores.shape[1]]
        if beside:
            raise InvalidOption(
                f"The union {beside[0]} is one of the network's {scores.shape[1]} classes: these unions are of other "
                "classes. Train with 'unions={}'."
            )
        present = [[number for number in self.unions if bool((case == number).any())] for case in label]
        whole = [k for k, found in enumerate(present) if not found]
        losses = [self.loss(scores[whole], label[whole]) * len(whole)] if whole else []
        losses += [
            self.partial(*self._merged(scores[k : k + 1], label[k : k + 1], found))
            for k, found in enumerate(present)
            if found
        ]
        total: torch.Tensor = torch.stack(losses).sum() / len(label)
        return total

    def _merged(
        self, scores: torch.Tensor, label: torch.Tensor, found: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores and classes of one case, in which each union that it holds is one class."""
        inside = {part for number in found for part in self.unions[number]}
        others = [index for index in range(scores.shape[1]) if index not in inside]
        merged = [scores[:, self.unions[number]].logsumexp(dim=1, keepdim=True) for number in found]
        target = torch.zeros_like(label)
        for place, index in enumerate(others):
            target[label == index] = place
        for place, number in enumerate(found, len(others)):
            # A class of the union that is marked as such beside it is in the union too.
            for part in (number, *self.unions[number]):
                target[label == part] = place
        return torch.cat([scores[:, others], *merged], dim=1), target


class PlaceUnionsd(MapTransform):
    """Put classes in place of unions in a mask, for scores that know classes alone.

    A pixel of a union becomes what is predicted there if that is one of its classes, else the first of them: what
    cannot be wrong counts as right.

    Args:
        keys: Masks, shape (1, W, H).
        unions: Class number of each union → its classes.
        prediction_key: Class scores or probabilities, shape (classes, W, H).
        allow_missing_keys: As in MONAI.
    """

    def __init__(
        self,
        keys: KeysCollection,
        unions: Unions,
        prediction_key: str = "pred",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.unions = {int(number): [int(part) for part in parts] for number, parts in unions.items()}
        self.prediction_key = prediction_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case with classes alone in its masks."""
        out = dict(data)
        predicted = out[self.prediction_key].argmax(dim=0, keepdim=True)
        for key in self.key_iterator(out):
            mask = out[key].clone()
            for number, parts in self.unions.items():
                here = mask == number
                if not bool(here.any()):
                    continue
                mask[here] = parts[0]
                for part in parts[1:]:
                    mask[here & (predicted == part)] = part
            out[key] = mask
        return out
