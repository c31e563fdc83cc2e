"""A program's pre-processing against MONAI's own, and its way back against MONAI's inverse."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    GaussianSmoothd,
    Invertd,
    LoadImaged,
    NormalizeIntensityd,
    Resized,
    ScaleIntensityRanged,
    ScaleIntensityRangePercentilesd,
    SpatialPadd,
)
from numpy.typing import NDArray
from onnx import TensorProto, helper

from pipeline.errors import InvalidBundle
from pipeline.exported.graph import Graph
from pipeline.exported.names import IMAGE, SIZE
from pipeline.exported.runtime import load_openvino
from pipeline.exported.steps import Preparation
from pipeline.sizes import size_at_longest, size_at_spacing
from pipeline.transforms import AsChannelsd, HUWindowd, ToSpacingd

LOADED = (
    LoadImaged("image", reader="pipeline.readers.PlanarReader"),
    EnsureChannelFirstd("image"),
)
LONGEST = Resized("image", spatial_size=64, size_mode="longest", mode="bilinear", anti_aliasing=True)
PERCENTILES = ScaleIntensityRangePercentilesd("image", 0.5, 99.5, 0.0, 1.0, clip=True)
PADDED = SpatialPadd("image", spatial_size=(64, 64))
WINDOW = ScaleIntensityRanged("image", a_min=-300.0, a_max=500.0, b_min=0.0, b_max=1.0, clip=True)


def program_of_steps(steps: list[Any]) -> Any:
    """Image → the network's input; and two maps of that size → the picture's grid."""
    graph = Graph("planar/")
    preparation = Preparation(graph, [*LOADED, *steps])
    graph.output(preparation.prepared, "prepared")
    graph.output(preparation.undone("maps"), "undone")
    inputs = [
        helper.make_tensor_value_info(IMAGE, TensorProto.FLOAT, ["c", "w", "h"]),
        helper.make_tensor_value_info("maps", TensorProto.FLOAT, [2, "x", "y"]),
    ]
    if preparation.size_from:
        inputs.append(helper.make_tensor_value_info(SIZE, TensorProto.INT64, [2]))
    outputs = [
        helper.make_tensor_value_info("prepared", TensorProto.FLOAT, ["c", "x", "y"]),
        helper.make_tensor_value_info("undone", TensorProto.FLOAT, [2, "w", "h"]),
    ]
    whole = helper.make_graph(graph.nodes, "steps", inputs, outputs, graph.constants)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    core = load_openvino().Core()
    how = {"INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(core.read_model(io.BytesIO(model.SerializeToString())), "CPU", how)


def both(steps: list[Any], array: NDArray[Any], spacing_mm: tuple[float, float] = (1.0, 1.0)) -> list[NDArray[Any]]:
    """What the program and MONAI make of an array, (C, W, H), and of maps on the way back."""
    compiled = program_of_steps(steps)
    chain = Compose(steps)
    image = MetaTensor(torch.from_numpy(array.astype(np.float32)), meta={"spacing_mm": spacing_mm})
    case = chain({"image": image})
    theirs = case["image"].as_tensor().numpy()
    maps = np.random.default_rng(1).random((2, *theirs.shape[1:])).astype(np.float32)
    case["pred"] = MetaTensor(torch.from_numpy(maps))
    back = Invertd("pred", chain, orig_keys="image", nearest_interp=False)(case)["pred"].as_tensor().numpy()
    given: dict[str, Any] = {IMAGE: array.astype(np.float32), "maps": maps}
    if len(compiled.inputs) == 3:
        by_spacing = any(isinstance(step, ToSpacingd) for step in steps)
        shape = array.shape[1:]
        given[SIZE] = np.array(size_at_spacing(shape, spacing_mm, 3.0) if by_spacing else size_at_longest(shape, 64))
    found = compiled(given)
    return [found["prepared"], theirs, found["undone"], back]


def picture(channels: int, width: int, height: int, low: float = 0, high: float = 255) -> NDArray[Any]:
    """Grey or colour with edges, gradients and noise."""
    rng = np.random.default_rng([channels, width, height])
    x, y = np.mgrid[:width, :height]
    values = (x // 7 + y // 5) % 2 * 0.3 + x / width * 0.4 + rng.random((channels, width, height)) * 0.3
    return np.round(low + values * (high - low))


@pytest.mark.parametrize(
    "shape",
    [(300, 200), (201, 333), (64, 64), (40, 30), (64, 20), (1000, 70)],
    ids=["wide", "upright", "as it is", "smaller", "one side as it is", "narrow"],
)
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
def test_a_film_is_prepared_as_monai_does_it(channels: int, shape: tuple[int, int]) -> None:
    steps = [AsChannelsd("image", channels=1), LONGEST, PERCENTILES, PADDED, NormalizeIntensityd("image")]
    ours, theirs, undone, back = both(steps, picture(channels, *shape))
    assert ours.shape == theirs.shape == (1, 64, 64)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_allclose(undone, back, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_are_normalised_channel_by_channel(channels: int) -> None:
    normalise = NormalizeIntensityd("image", channel_wise=True)
    steps = [AsChannelsd("image", channels=3), LONGEST, PERCENTILES, PADDED, normalise]
    ours, theirs, *_ = both(steps, picture(channels, 150, 90))
    assert ours.shape == (3, 64, 64)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("spacing_mm", [(0.7, 0.7), (1.5, 0.6), (4.0, 4.0)], ids=["reduced", "uneven", "enlarged"])
def test_a_slice_comes_to_its_spacing_and_back(spacing_mm: tuple[float, float]) -> None:
    steps = [AsChannelsd("image"), ToSpacingd("image", 3.0), WINDOW, PADDED, NormalizeIntensityd("image")]
    ours, theirs, undone, back = both(steps, picture(1, 120, 47, -1000, 1200), spacing_mm)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_allclose(undone, back, atol=1e-4)


@pytest.mark.parametrize("darkest", [-1000.0, 0.0], ids=["in Hounsfield units", "for the screen"])
def test_the_window_is_for_hounsfield_units_alone(darkest: float) -> None:
    steps = [AsChannelsd("image"), HUWindowd("image", (-160, 240)), LONGEST, PERCENTILES, PADDED]
    ours, theirs, *_ = both(steps, picture(1, 90, 90, darkest, 255))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Divide by zero")
def test_a_picture_of_one_grey_is_no_division_by_nothing() -> None:
    steps = [AsChannelsd("image"), LONGEST, PERCENTILES, PADDED, NormalizeIntensityd("image")]
    ours, theirs, *_ = both(steps, np.full((1, 64, 64), 77.0))
    np.testing.assert_array_equal(ours, np.zeros((1, 64, 64)))
    np.testing.assert_allclose(theirs, 0, atol=1e-6)


def test_the_percentiles_are_those_of_more_than_a_million_values() -> None:
    array = picture(1, 1100, 1000)
    steps = [AsChannelsd("image"), PERCENTILES, SpatialPadd("image", spatial_size=(1120, 1120))]
    ours, theirs, *_ = both(steps, array)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("step", "named"),
    [
        (GaussianSmoothd("image", sigma=1.0), "GaussianSmoothd"),
        (Resized("image", spatial_size=(64, 64)), "Resized"),
        (NormalizeIntensityd("image", nonzero=True), "normalisation"),
        (SpatialPadd("image", spatial_size=(64, 64), mode="reflect"), "SpatialPadd"),
        (ScaleIntensityRangePercentilesd("image", 1, 99, 0, 1, relative=True), "percentiles"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_known_is_named(step: Any, named: str) -> None:
    with pytest.raises(InvalidBundle, match=named):
        Preparation(Graph("planar/"), [*LOADED, AsChannelsd("image"), step])


@pytest.mark.filterwarnings("ignore:Divide by zero")
@pytest.mark.parametrize("side", [64, 192])
@pytest.mark.parametrize("b_min", [0.0, -1.0])
def test_a_picture_with_hardly_anything_on_it_is_not_clipped(side: int, b_min: float) -> None:
    """Where 99 % of the pixels are alike, so are the percentiles: such as a slice of air with a wire in it."""
    percentiles = ScaleIntensityRangePercentilesd("image", 0.5, 99.5, b_min, 1.0, clip=True)
    array = np.zeros((1, side, side))
    array[0, side // 2 : side // 2 + side // 32, side // 2] = 200.0
    ours, theirs, *_ = both([AsChannelsd("image"), LONGEST, percentiles, PADDED, NormalizeIntensityd("image")], array)
    assert theirs.max() > 10
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
