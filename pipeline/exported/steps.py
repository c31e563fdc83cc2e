"""A bundle's deterministic transforms as ONNX nodes, and the way back for what they did to the grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from monai.transforms import (
    EnsureChannelFirstd,
    LoadImaged,
    NormalizeIntensityd,
    Resized,
    ScaleIntensityRanged,
    ScaleIntensityRangePercentilesd,
    SpatialPadd,
)

from pipeline.errors import InvalidBundle
from pipeline.exported.graph import Graph
from pipeline.exported.names import IMAGE, SIZE
from pipeline.exported.resampling import resized, stretched
from pipeline.transforms import AsChannelsd, HUWindowd, ToSpacingd
from pipeline.transforms.channels import LUMA
from pipeline.transforms.hu_window import AIR_HU

__all__ = ["Preparation"]

Inverse = Callable[[str], str]


class Preparation:
    """The nodes from a decoded picture to the network's input.

    Args:
        graph: Gets them.
        transforms: Of the bundle's `preprocessing`, from `LoadImaged` on.

    Attributes:
        prepared: Name of the result, (C, w, h), float32.
        channels: Of the result.
        neighbours: Slices to either side that are channels too.
        size_from: {"longest": pixels} or {"spacing_mm": mm}, what the size at which the network sees a picture comes
            from; {} for the picture's own.
        padded_to: (W, H), pixels; None without.
    Raises: InvalidBundle: for a transform, or an argument of it, that is not among those that are known here.
    """

    def __init__(self, graph: Graph, transforms: Sequence[Any]) -> None:
        self.graph = graph
        self.prepared = IMAGE
        self.channels = 0
        self.neighbours = 0
        self.size_from: dict[str, float] = {}
        self.padded_to: tuple[int, int] | None = None
        self._inverses: list[Inverse] = []
        # (w, h) of it. Its own shape would be the same, and who asks for that has it computed.
        self._size = graph.shape(IMAGE, (1, 2))
        known: dict[type, Callable[[Any], str]] = {
            LoadImaged: self._loaded,
            EnsureChannelFirstd: lambda _: self.prepared,
            AsChannelsd: self._channels,
            HUWindowd: self._hu_window,
            Resized: self._resized,
            ToSpacingd: self._to_spacing,
            ScaleIntensityRanged: self._scaled,
            ScaleIntensityRangePercentilesd: self._percentiles,
            SpatialPadd: self._padded,
            NormalizeIntensityd: self._normalised,
        }
        for transform in transforms:
            make = known.get(type(transform))
            if make is None:
                raise InvalidBundle(
                    f"Its pre-processing has {type(transform).__name__}, which an exported program does not know. It "
                    f"knows: {', '.join(sorted(one.__name__ for one in known))}."
                )
            self.prepared = make(transform)

    def undone(self, maps: str) -> str:
        """Maps (C, w, h) of the network's input on the picture's own grid, (C, W, H)."""
        for inverse in reversed(self._inverses):
            maps = inverse(maps)
        return maps

    def _loaded(self, transform: LoadImaged) -> str:
        reader = next((one for one in transform._loader.readers if type(one).__name__ == "PlanarReader"), None)
        ours = reader is not None and not reader.voi and not reader.labels
        _require(ours, "LoadImaged without Planar's reader")
        self.neighbours = reader.neighbours if reader is not None else 0
        return IMAGE

    def _channels(self, transform: AsChannelsd) -> str:
        graph, self.channels = self.graph, transform.channels
        if self.channels == 1:
            # Weights of one channel, or of three.
            table = graph.real([[1.0, 0.0, 0.0], LUMA])
            count = graph.shape(IMAGE, (0,))
            row = graph("Squeeze", graph.cast(graph("Equal", count, graph.whole([3])), np.int64), graph.whole([0]))
            weights = graph("Slice", graph("Gather", table, row), graph.whole([0]), count)
            weighted = graph("Mul", IMAGE, graph("Unsqueeze", weights, graph.whole([1, 2])))
            return graph("ReduceSum", weighted, graph.whole([0]), keepdims=1)
        return graph("Expand", IMAGE, graph.whole([self.channels, 1, 1]))

    def _hu_window(self, transform: HUWindowd) -> str:
        graph = self.graph
        low, high = transform.low, transform.high
        limited = graph("Clip", self.prepared, graph.real(low), graph.real(high))
        shown = graph("Mul", graph("Sub", limited, graph.real(low)), graph.real(255.0 / (high - low)))
        darkest = graph("ReduceMin", self.prepared, keepdims=0)
        return graph("Where", graph("Less", darkest, graph.real(AIR_HU)), shown, self.prepared)

    def _resized(self, transform: Resized) -> str:
        one = transform.resizer
        plain = one.size_mode == "longest" and transform.anti_aliasing_sigma[0] is None and not one.lazy
        way = (transform.mode[0], transform.align_corners[0], transform.anti_aliasing[0])
        _require(plain and way[0] == "bilinear" and not way[1], "Resized but for bilinear, size_mode longest")
        self.size_from = {"longest": int(one.spatial_size)}
        return self._at_size(bool(way[2]))

    def _to_spacing(self, transform: ToSpacingd) -> str:
        (resizer,) = transform.resizers.values()
        _require(resizer.mode == "bilinear", "ToSpacingd but for bilinear")
        self.size_from = {"spacing_mm": float(transform.spacing_mm)}
        return self._at_size(resizer.anti_aliasing)

    def _at_size(self, anti_aliasing: bool) -> str:
        before, self._size = self._size, SIZE
        # Without a filter, as MONAI's inverse has it.
        self._inverses.append(lambda maps: stretched(self.graph, maps, before))
        return resized(self.graph, self.prepared, SIZE, anti_aliasing=anti_aliasing)

    def _scaled(self, transform: ScaleIntensityRanged) -> str:
        one = transform.scaler
        _require(one.b_min is not None and one.b_max is not None and one.a_min < one.a_max, "an open intensity range")
        low, high = self.graph.real(one.a_min), self.graph.real(one.a_max)
        return self._between(low, high, one.b_min, one.b_max, one.clip)

    def _percentiles(self, transform: ScaleIntensityRangePercentilesd) -> str:
        one = transform.scaler
        plain = not one.relative and not one.channel_wise and one.b_min is not None and one.b_max is not None
        _require(plain, "percentiles that are relative or by channel")
        low, high = self._percentile(one.lower), self._percentile(one.upper)
        return self._between(low, high, one.b_min, one.b_max, one.clip)

    def _between(self, low: str, high: str, b_min: float, b_max: float, clip: bool) -> str:
        graph = self.graph
        spread = graph("Sub", high, low)
        empty = graph("Equal", spread, graph.real(0.0))
        above = graph("Sub", self.prepared, low)
        shown = graph("Div", above, graph("Where", empty, graph.real(1.0), spread))
        if (b_min, b_max) != (0.0, 1.0):
            shown = graph("Add", graph("Mul", shown, graph.real(b_max - b_min)), graph.real(b_min))
        if clip:
            shown = graph("Clip", shown, graph.real(b_min), graph.real(b_max))
        # Nearly all pixels alike: MONAI then neither divides nor clips.
        return graph("Where", empty, graph("Add", above, graph.real(b_min)), shown)

    def _percentile(self, percent: float) -> str:
        """A percentile of all values, linear between ranks, from no more sorted values than it needs; a scalar."""
        graph = self.graph
        values = graph("Reshape", self.prepared, graph.whole([-1]))
        last = graph("Sub", graph("Size", values), graph.whole(1))
        largest = percent > 50
        share = graph.constant((100.0 - percent if largest else percent) / 100.0, np.float64)
        rank = graph("Mul", graph.cast(last, np.float64), share)
        place = graph("Floor", rank)
        first = graph.cast(place, np.int64)
        second = graph("Min", graph("Add", first, graph.whole(1)), last)
        count = graph("Unsqueeze", graph("Add", second, graph.whole(1)), graph.whole([0]))
        ranked, _ = graph.several("TopK", 2, values, count, axis=0, largest=int(largest), sorted=1)
        one, other = graph("Gather", ranked, first), graph("Gather", ranked, second)
        weight = graph.cast(graph("Sub", rank, place), np.float32)
        return graph("Add", one, graph("Mul", weight, graph("Sub", other, one)))

    def _padded(self, transform: SpatialPadd) -> str:
        one = transform.padder
        plain = one.method == "symmetric" and transform.mode[0] == "constant" and not one.kwargs and not one.lazy
        _require(plain and min(one.spatial_size) > 0, "SpatialPadd but for zeros on both sides")
        width, height = (int(side) for side in one.spatial_size)
        self.padded_to = (width, height)
        graph = self.graph
        before, self._size = self._size, graph.whole([width, height])
        missing = graph("Max", graph("Sub", graph.whole([width, height]), before), graph.whole(0))
        start = graph("Div", missing, graph.whole(2))
        end = graph("Sub", missing, start)
        nothing = graph.whole([0])
        self._inverses.append(
            lambda maps: graph("Slice", maps, start, graph("Add", start, before), graph.whole([1, 2]))
        )
        return graph("Pad", self.prepared, graph("Concat", nothing, start, nothing, end, axis=0), graph.real(0.0))

    def _normalised(self, transform: NormalizeIntensityd) -> str:
        one = transform.normalizer
        _require(one.subtrahend is None and one.divisor is None and not one.nonzero, "fixed or masked normalisation")
        graph = self.graph
        axes = graph.whole([1, 2] if one.channel_wise else [0, 1, 2])
        apart = graph("Sub", self.prepared, graph("ReduceMean", self.prepared, axes, keepdims=1))
        spread = graph("Sqrt", graph("ReduceMean", graph("Mul", apart, apart), axes, keepdims=1))
        spread = graph("Where", graph("Equal", spread, graph.real(0.0)), graph.real(1.0), spread)
        return graph("Div", apart, spread)


def _require(true: bool, what: str) -> None:
    if not true:
        raise InvalidBundle(f"Its pre-processing has {what}, which an exported program does not know.")
