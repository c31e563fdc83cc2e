"""Bilinear resizing with anti-aliasing as MONAI does it, as the product of a picture with a matrix for each axis."""

from __future__ import annotations

import numpy as np

from pipeline.exported.graph import Graph

__all__ = ["resized", "stretched"]

# Of MONAI's `GaussianFilter`: where the kernel ends, in standard deviations, and 1 / √2.
TRUNCATED = 4.0
ROOT_HALF = 0.70710678


def resized(graph: Graph, picture: str, size: str, *, anti_aliasing: bool) -> str:
    """A picture at another size.

    MONAI smooths the whole picture by a Gaussian and interpolates between the pixels of the result. Both are linear and
    treat the axes apart, so that a row of weights for each new pixel and axis does the same.

    Args:
        graph: Gets the nodes.
        picture: (C, W, H), float32.
        size: New (W, H), int64.
        anti_aliasing: As of `monai.transforms.Resize`.
    Returns: (C, *size), float32.
    """
    old = graph.shape(picture, (1, 2))
    along = [_weights(graph, old, size, axis, anti_aliasing) for axis in (0, 1)]
    rows = graph("MatMul", along[0], picture)
    return graph("MatMul", rows, graph("Transpose", along[1], perm=[1, 0]))


def stretched(graph: Graph, maps: str, size: str) -> str:
    """Maps (C, W, H), float32, bilinearly at the size (W, H), int64, as `torch.nn.functional.interpolate` does it."""
    batch = graph("Unsqueeze", maps, graph.whole([0]))
    sizes = graph("Concat", graph.shape(batch, (0, 1)), size, axis=0)
    empty = graph.real([])
    out = graph(
        "Resize", batch, empty, empty, sizes, mode="linear", coordinate_transformation_mode="pytorch_half_pixel"
    )
    return graph("Squeeze", out, graph.whole([0]))


def _weights(graph: Graph, old: str, new: str, axis: int, anti_aliasing: bool) -> str:
    """How much each old pixel counts for each new one along an axis, (new, old), float32."""
    at = graph.whole(axis)
    before, after = graph("Gather", old, at), graph("Gather", new, at)
    length, wanted = (graph.cast(one, np.float32) for one in (before, after))
    factor = graph("Div", length, wanted)
    half = graph.real(0.5)
    # Where the middle of a new pixel lies among the middles of the old ones.
    places = graph.cast(graph("Range", graph.whole(0), after, graph.whole(1)), np.float32)
    middle = graph("Sub", graph("Mul", graph("Add", places, half), factor), half)
    middle = graph("Max", middle, graph.real(0.0))
    last = graph("Sub", length, graph.real(1.0))
    low = graph("Min", graph("Floor", middle), last)
    high = graph("Min", graph("Add", low, graph.real(1.0)), last)
    share = graph("Unsqueeze", graph("Sub", middle, low), graph.whole([1]))
    pixels = graph.cast(graph("Range", graph.whole(0), before, graph.whole(1)), np.float32)
    near = _kernel(graph, pixels, low, factor, anti_aliasing)
    far = _kernel(graph, pixels, high, factor, anti_aliasing)
    return graph("Add", near, graph("Mul", share, graph("Sub", far, near)))


def _kernel(graph: Graph, pixels: str, middle: str, factor: str, anti_aliasing: bool) -> str:
    """What each old pixel counts for the smoothed picture at some of them, (middle, pixels).

    References: `monai.networks.layers.gaussian_1d`, approx="erf"; sigma as in `skimage.transform.resize`.
    """
    apart = graph("Sub", pixels, graph("Unsqueeze", middle, graph.whole([1])))
    if not anti_aliasing:
        return graph.cast(graph("Equal", apart, graph.real(0.0)), np.float32)
    half = graph.real(0.5)
    sigma = graph("Mul", graph("Max", graph("Sub", factor, graph.real(1.0)), graph.real(0.0)), half)
    tail = graph("Floor", graph("Add", graph("Max", graph("Mul", sigma, graph.real(TRUNCATED)), half), half))
    # An axis that becomes longer has sigma 0: the quotient is infinite, and the kernel 1 in its middle.
    steep = graph("Div", graph.real(ROOT_HALF), sigma)
    ends = [graph("Erf", graph("Mul", steep, graph(op, apart, half))) for op in ("Add", "Sub")]
    inside = graph.cast(graph("LessOrEqual", graph("Abs", apart), tail), np.float32)
    bell = graph("Max", graph("Mul", half, graph("Sub", *ends)), graph.real(0.0))
    return graph("Mul", bell, inside)
