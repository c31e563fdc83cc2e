"""Bilinear resizing as MONAI does it: to the network's size by sums over near pixels, and back between two of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.exported.graph import Graph

__all__ = ["resized", "stretched"]

# Of MONAI's `GaussianFilter`: where the kernel ends, in standard deviations, and 1 / √2.
TRUNCATED = 4.0
ROOT_HALF = 0.70710678
# New rows whose near pixels are looked up together.
TOGETHER = 8


def resized(graph: Graph, picture: str, size: str, *, anti_aliasing: bool) -> str:
    """A picture at another size.

    MONAI smooths the whole picture by a Gaussian and interpolates between the pixels of the result. Both are linear and
    treat the axes apart, so that a row of weights for each new pixel and axis does the same. Nearly all weights are
    zero: along the first axis, where that counts, only the old rows near some new ones are multiplied.

    Args:
        graph: Gets the nodes.
        picture: (C, W, H), float32.
        size: New (W, H), int64.
        anti_aliasing: As of `monai.transforms.Resize`.
    Returns: (C, *size), float32.
    """
    old = graph.shape(picture, (1, 2))
    first, second = (_Axis.of(graph, old, size, axis, anti_aliasing) for axis in (0, 1))
    rows = _along_first(graph, picture, first)
    every = graph("Range", graph.whole(0), second.before, graph.whole(1))
    new = graph("Range", graph.whole(0), second.after, graph.whole(1))
    weights = second.weights(graph, every, new)
    return graph("MatMul", rows, graph("Transpose", weights, perm=[1, 0]))


def stretched(graph: Graph, maps: str, size: str) -> str:
    """Maps (C, W, H), float32, bilinearly at the size (W, H), int64, as `torch.nn.functional.interpolate` does it."""
    old = graph.shape(maps, (1, 2))
    for axis in (1, 0):  # the last one first: along the other whole rows are copied, of which there are more then
        way = _Axis.of(graph, old, size, axis, anti_aliasing=False)
        low, high, share = way.between(graph, graph("Range", graph.whole(0), way.after, graph.whole(1)))
        if axis == 0:
            share = graph("Unsqueeze", share, graph.whole([1]))
        near, far = (graph("Gather", maps, graph.cast(one, np.int64), axis=1 + axis) for one in (low, high))
        maps = graph("Add", near, graph("Mul", share, graph("Sub", far, near)))
    return maps


def _along_first(graph: Graph, picture: str, way: _Axis) -> str:
    """A picture (C, W, H) at a new W."""
    together = graph.whole(TOGETHER)
    blocks = graph("Div", graph("Add", way.after, graph.whole(TOGETHER - 1)), together)
    new = graph("Range", graph.whole(0), graph("Mul", blocks, together), graph.whole(1))
    new = graph("Reshape", new, graph.whole([-1, TOGETHER]))
    # Of each block: the old rows from the reach of its first new one to that of its last.
    tail = graph.cast(way.tail, np.int64)
    low, _, _ = way.between(graph, graph("Gather", new, graph.whole([0]), axis=1))
    step = graph.cast(graph("Ceil", graph("Mul", graph.real(TOGETHER), way.factor)), np.int64)
    reach = graph("Add", graph("Add", step, graph("Mul", tail, graph.whole(2))), graph.whole(3))
    reach = graph("Min", reach, way.before)
    start = graph("Min", graph("Sub", graph.cast(low, np.int64), tail), graph("Sub", way.before, reach))
    start = graph("Max", start, graph.whole(0))
    near = graph("Add", start, graph("Range", graph.whole(0), reach, graph.whole(1)))
    weights = way.weights(graph, graph("Unsqueeze", near, graph.whole([1])), new)
    rows = graph("MatMul", weights, graph("Gather", picture, near, axis=1))
    merged = graph("Concat", graph.whole([0, -1]), graph.shape(picture, (2,)), axis=0)
    rows = graph("Reshape", rows, merged)
    return graph("Slice", rows, graph.whole([0]), graph("Unsqueeze", way.after, graph.whole([0])), graph.whole([1]))


@dataclass(frozen=True)
class _Axis:
    """What becomes of one axis. All but the last are names of scalars.

    Attributes:
        before, after: Pixels, int64.
        factor: The former by the latter, float32.
        sigma: Of the Gaussian, old pixels; 0 without.
        tail: Where it ends, old pixels.
        smooths: Whether there is one.
    """

    before: str
    after: str
    factor: str
    sigma: str
    tail: str
    smooths: bool

    @classmethod
    def of(cls, graph: Graph, old: str, new: str, axis: int, anti_aliasing: bool) -> _Axis:
        """Of the sizes (W, H), int64; sigma as in `skimage.transform.resize`."""
        before, after = (graph("Gather", one, graph.whole(axis)) for one in (old, new))
        factor = graph("Div", graph.cast(before, np.float32), graph.cast(after, np.float32))
        if not anti_aliasing:
            return cls(before, after, factor, graph.real(0.0), graph.real(0.0), smooths=False)
        half = graph.real(0.5)
        sigma = graph("Mul", graph("Max", graph("Sub", factor, graph.real(1.0)), graph.real(0.0)), half)
        tail = graph("Floor", graph("Add", graph("Max", graph("Mul", sigma, graph.real(TRUNCATED)), half), half))
        return cls(before, after, factor, sigma, tail, smooths=True)

    def between(self, graph: Graph, new: str) -> tuple[str, str, str]:
        """The old pixels on both sides of the middles of new ones, and the share of the second; float32."""
        half = graph.real(0.5)
        middle = graph("Sub", graph("Mul", graph("Add", graph.cast(new, np.float32), half), self.factor), half)
        middle = graph("Max", middle, graph.real(0.0))
        last = graph("Sub", graph.cast(self.before, np.float32), graph.real(1.0))
        low = graph("Min", graph("Floor", middle), last)
        high = graph("Min", graph("Add", low, graph.real(1.0)), last)
        return low, high, graph("Sub", middle, low)

    def weights(self, graph: Graph, old: str, new: str) -> str:
        """How much old pixels count for new ones, (…, new, old), float32.

        Args:
            graph: Gets the nodes.
            old: Places (old) or (…, 1, old), int64.
            new: Places (…, new), int64.
        """
        pixels = graph.cast(old, np.float32)
        low, high, share = (graph("Unsqueeze", one, graph.whole([-1])) for one in self.between(graph, new))
        near, far = self._kernel(graph, pixels, low), self._kernel(graph, pixels, high)
        return graph("Add", near, graph("Mul", share, graph("Sub", far, near)))

    def _kernel(self, graph: Graph, pixels: str, middle: str) -> str:
        """What old pixels count for the smoothed picture at some of them.

        References: `monai.networks.layers.gaussian_1d`, approx="erf".
        """
        apart = graph("Sub", pixels, middle)
        if not self.smooths:
            return graph.cast(graph("Equal", apart, graph.real(0.0)), np.float32)
        half = graph.real(0.5)
        # An axis that becomes longer has sigma 0: the quotient is infinite, and the kernel 1 in its middle.
        steep = graph("Div", graph.real(ROOT_HALF), self.sigma)
        ends = [graph("Erf", graph("Mul", steep, graph(op, apart, half))) for op in ("Add", "Sub")]
        inside = graph.cast(graph("LessOrEqual", graph("Abs", apart), self.tail), np.float32)
        bell = graph("Max", graph("Mul", half, graph("Sub", *ends)), graph.real(0.0))
        return graph("Mul", bell, inside)
