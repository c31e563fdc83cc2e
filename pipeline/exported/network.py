"""The network with its flips, and what the gate asks of it, as ONNX."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from pipeline.exported.names import FEATURES, FOUND, INPUT, MOVED, SCORES
from pipeline.gate import View, flips_of, members_of
from pipeline.gate.features import POOLED

if TYPE_CHECKING:
    import onnx

__all__ = ["NetworkToExport", "network_as_onnx"]


class NetworkToExport(nn.Module):
    """A network as inference asks it, with soft-max, and what the gate wants to know besides.

    Args:
        network: With one channel a class; it may average members and flips.
        views: How the gate changes pictures.
        layers: Of the network's first member, which the gate reads.
    """

    def __init__(self, network: nn.Module, views: Sequence[View] = (), layers: Sequence[str] = ()) -> None:
        super().__init__()
        self.network = network
        self.views, self.layers = tuple(views), tuple(layers)

    @property
    def names(self) -> list[str]:
        """Of the outputs, in order."""
        views = range(len(self.views))
        layers = range(len(self.layers))
        return [
            SCORES,
            *(f"{MOVED}{number}" for number in views),
            *(f"{FOUND}{number}" for number in views),
            *(f"{FEATURES}{number}" for number in layers),
        ]

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Probabilities (1, classes, W, H), masks (W, H) as int32, features (values,), for a picture (1, C, W, H)."""
        scores, features = self._asked(image)
        if not self.views:
            return (scores, *features)
        mask = scores.max(dim=1).indices.float()
        members = members_of(self.network)
        moved = [view.move(mask)[0].to(torch.int32) for view in self.views]
        found = [
            members[number % len(members)](view.apply(image)).max(dim=1).indices[0].to(torch.int32)
            for number, view in enumerate(self.views)
        ]
        return (scores, *moved, *found, *features)

    def _asked(self, image: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The probabilities, and the layers of the first member's unflipped pass; see `FeatureTap`."""
        noted: dict[str, list[torch.Tensor]] = {name: [] for name in self.layers}
        flips, member = flips_of(self.network), members_of(self.network)[0]
        handles = [
            member.get_submodule(name).register_forward_hook(
                lambda _module, _inputs, out, to=noted[name]: to.append(out)
            )
            for name in self.layers
        ]
        try:
            scores = torch.softmax(self.network(image), dim=1)
        finally:
            for handle in handles:
                handle.remove()
        plain = flips.index(()) if () in flips else 0
        return scores, [_pooled(noted[name][plain]) for name in self.layers]


def _pooled(out: torch.Tensor) -> torch.Tensor:
    """What `adaptive_avg_pool2d` gives, flat; the exporter has none for sides that do not divide."""
    ends = [[(k * n // POOLED, -(-(k + 1) * n // POOLED)) for k in range(POOLED)] for n in out.shape[2:]]
    parts = [out[:, :, a:b, c:d].mean(dim=(2, 3)) for a, b in ends[0] for c, d in ends[1]]
    return torch.stack(parts, dim=-1).flatten()


def network_as_onnx(network: NetworkToExport, channels: int, size: Sequence[int]) -> onnx.ModelProto:
    """The network for pictures of one size, weights included.

    Args:
        network: In float32, evaluating.
        channels: Of its input.
        size: (W, H), pixels.
    """
    import onnx

    example = torch.zeros(1, channels, *size)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            network,
            (example,),
            str(path),
            input_names=[INPUT],
            output_names=network.names,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        return onnx.load(path)
