"""ONNX nodes, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

__all__ = ["Graph"]


class Graph:
    """The nodes that are put before and behind a network's own.

    Args:
        prefix: Of all names, so that none is the network's.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._names: dict[tuple[bytes, str, tuple[int, ...]], str] = {}

    def __call__(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; its name."""
        (name,) = self.several(op, 1, *inputs, **attributes)
        return name

    def several(self, op: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with several outputs; their names."""
        from onnx import helper

        names = [f"{self.prefix}{len(self.nodes)}_{op}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, **attributes))
        return names

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike) -> str:
        """A constant; one that is there already is taken again."""
        from onnx import numpy_helper

        array = np.asarray(value, dtype)
        key = (array.tobytes(), str(array.dtype), array.shape)
        if key not in self._names:
            self._names[key] = f"{self.prefix}constant_{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(array, self._names[key]))
        return self._names[key]

    def real(self, value: npt.ArrayLike) -> str:
        """A constant, float32."""
        return self.constant(value, np.float32)

    def whole(self, value: npt.ArrayLike) -> str:
        """A constant, int64."""
        return self.constant(value, np.int64)

    def cast(self, name: str, dtype: npt.DTypeLike) -> str:
        """As another type."""
        from onnx import helper

        return self("Cast", name, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def shape(self, name: str, axes: Sequence[int]) -> str:
        """Lengths of axes, int64, (axes,)."""
        return self("Gather", self("Shape", name), self.whole(list(axes)))

    def output(self, name: str, called: str) -> None:
        """Give something its name in the whole."""
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [name], [called]))
