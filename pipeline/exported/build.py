"""A bundle's inference config as one ONNX program, from the decoded picture to the mask on its grid."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from monai.inferers import SimpleInferer, SlidingWindowInferer
from torch import nn

from pipeline.errors import InvalidBundle
from pipeline.exported.finishing import refinement_in
from pipeline.exported.graph import Graph
from pipeline.exported.names import IMAGE, INPUT, MASK, PROBABILITIES, SCORES, SIZE
from pipeline.exported.network import NetworkToExport, network_as_onnx
from pipeline.exported.refining import Step
from pipeline.exported.steps import Preparation

if TYPE_CHECKING:
    import onnx

    from pipeline.gate import Gate

__all__ = ["build_program", "plain_copy"]


def build_program(
    preprocessing: Sequence[Any],
    inferer: Any,
    network: nn.Module,
    postprocessing: Sequence[Any],
    classes: int,
    gate: Gate | None = None,
) -> tuple[onnx.ModelProto, Preparation, tuple[Step, ...]]:
    """The program, what is to be known of its input, and what is done to its masks.

    Args:
        preprocessing: The config's transforms.
        inferer: The config's.
        network: With its flips and weights, float32.
        postprocessing: The config's transforms but for `SaveImaged`.
        classes: The background among them.
        gate: What of it needs the network becomes part of the program.
    Raises: InvalidBundle: for what a program does not cover, with what that is.
    """
    import onnx

    graph = Graph("planar/")
    preparation = Preparation(graph, preprocessing)
    size = _window(inferer, preparation.padded_to)
    refinement = refinement_in(postprocessing)
    views = gate.views if gate is not None else ()
    layers = [name for name, _ in gate.reference.layers] if gate is not None else ()
    asked = NetworkToExport(network, views, layers).eval()
    model = network_as_onnx(asked, preparation.channels, size)
    graph.output(graph("Unsqueeze", preparation.prepared, graph.whole([0])), INPUT)
    before = len(graph.nodes)
    _finish(graph, preparation, classes)
    nodes = [*graph.nodes[:before], *model.graph.node, *graph.nodes[before:]]
    program = _assembled(nodes, graph, model, preparation, classes, size)
    onnx.checker.check_model(program)
    return program, preparation, refinement


def plain_copy(network: nn.Module) -> nn.Module:
    """A copy that computes in float32, whatever `with_autocast` has made of the original."""
    copied = copy.deepcopy(network).cpu().eval()
    for module in copied.modules():
        vars(module).pop("forward", None)
    return copied


def _window(inferer: Any, padded_to: tuple[int, int] | None) -> tuple[int, int]:
    """The size of the network's input: that of the one window which the whole picture is."""
    if padded_to is None:
        raise InvalidBundle("It looks at pictures in parts at their own resolution: only whole pictures are covered.")
    if isinstance(inferer, SlidingWindowInferer):
        roi = inferer.roi_size if isinstance(inferer.roi_size, Sequence) else [inferer.roi_size] * 2
        if tuple(int(side) for side in roi) != padded_to:
            raise InvalidBundle("Its inferer's windows are not the size that pictures are padded to.")
    elif not isinstance(inferer, SimpleInferer):
        raise InvalidBundle(f"Its inferer is {type(inferer).__name__}, which an exported program does not know.")
    return padded_to


def _finish(graph: Graph, preparation: Preparation, classes: int) -> None:
    """From the scores to mask and probabilities on the picture's grid."""
    scores = graph("Squeeze", SCORES, graph.whole([0]))
    graph.output(preparation.undone(scores), PROBABILITIES)
    if classes == 2:
        # Resizing is linear: the difference is resized once in place of two maps, and compared with 0.
        one, other = (graph("Gather", scores, graph.whole([index]), axis=0) for index in (0, 1))
        difference = preparation.undone(graph("Sub", other, one))
        found = graph("Greater", graph("Squeeze", difference, graph.whole([0])), graph.real(0.0))
    else:
        found = graph("ArgMax", PROBABILITIES, axis=0, keepdims=0)
    graph.output(graph.cast(found, np.uint8), MASK)


def _assembled(
    nodes: Sequence[Any], graph: Graph, model: Any, preparation: Preparation, classes: int, size: tuple[int, int]
) -> onnx.ModelProto:
    from onnx import TensorProto, helper

    grid = ["width", "height"]
    inputs = [helper.make_tensor_value_info(IMAGE, TensorProto.FLOAT, ["channels", *grid])]
    if preparation.size_from:
        inputs.append(helper.make_tensor_value_info(SIZE, TensorProto.INT64, [2]))
    outputs = [
        helper.make_tensor_value_info(MASK, TensorProto.UINT8, grid),
        helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, [classes, *grid]),
    ]
    weights = [*graph.constants, *model.graph.initializer]
    whole = helper.make_graph(nodes, "planar", inputs, [*outputs, *model.graph.output], weights)
    program = helper.make_model(whole, opset_imports=model.opset_import, functions=model.functions)
    program.ir_version, program.producer_name = model.ir_version, "planar"
    return program
