"""A program as three: what is done before the network, the network, and what is done behind it.

They are computed in unlike ways. bfloat16 does a network no harm and spoils percentiles; and a network whose input has
always the same size is compiled for it, which that of pictures has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.exported.document import ProgramFile
from pipeline.exported.names import INPUT, MASK, PROBABILITIES, SCORES

__all__ = ["FINISHING", "Parts"]

# Outputs behind the network.
FINISHING = frozenset({MASK, PROBABILITIES})


class Parts:
    """A program that is cut at the network's input and at its scores.

    Args:
        openvino: The module, which is imported by who needs it.
        model: The program as that has read it, which is changed.
        file: What is known of it.
    """

    def __init__(self, openvino: Any, model: Any, file: ProgramFile) -> None:
        self._before, self._network, self._behind = (
            _Part(openvino, one) for one in (model, model.clone(), model.clone())
        )
        self._network.given = [self._network.begun_with(INPUT, (1, file.channels, *file.padded_to))]
        self._behind.given.append(self._behind.begun_with(SCORES, (1, file.classes, *file.padded_to)))

    def __call__(self, outputs: Sequence[str]) -> Any:
        """The part that gives these outputs, as a model of its own.

        Args:
            outputs: The network's input, or some of the network's outputs, or some of those behind it.
        """
        behind = FINISHING.intersection(outputs)
        return (self._before if INPUT in outputs else self._behind if behind else self._network)(outputs)


class _Part:
    """A model of which some outputs are wanted.

    Attributes:
        given: Its inputs.
    """

    def __init__(self, openvino: Any, model: Any) -> None:
        self._openvino, self._model = openvino, model
        self.given = list(model.get_parameters())
        self._tensors = {
            name: tensor
            for node in model.get_ordered_ops()
            if node.get_type_name() != "Result"  # has the name of what it gives out
            for tensor in node.outputs()
            for name in tensor.names
        }

    def begun_with(self, name: str, shape: Sequence[int]) -> Any:
        """The input that a tensor is from now on, in place of being computed."""
        given = self._openvino.opset13.parameter(shape, self._openvino.Type.f32, name=name)
        given.output(0).set_names({name})
        for port in self._tensors[name].get_target_inputs():
            port.replace_source_output(given.output(0))
        return given

    def __call__(self, outputs: Sequence[str]) -> Any:
        results = [self._openvino.opset13.result(self._tensors[name]) for name in outputs]
        return self._openvino.Model(results, self.given)
