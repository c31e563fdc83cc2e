"""A bundle's inference config as a function from file names to masks and probabilities."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor, decollate_batch, list_data_collate
from monai.transforms import AsDiscreted, SaveImaged, Transform

from pipeline.bundle import Bundle
from pipeline.errors import InvalidBundle
from pipeline.networks import AveragedNetwork, with_autocast
from pipeline.tasks.device import require_device
from pipeline.tasks.infer.prediction import Prediction
from pipeline.tasks.infer.reading import PreprocessingAside
from pipeline.tasks.infer.windows import fewer_windows, wide_windows
from pipeline.tensor_files import read_state
from pipeline.transforms.quicker import quicker

__all__ = ["Prediction", "Predictor"]


class Predictor:
    """Runs the pre-processing, network, inferer and post-processing of `inference.yaml`, without its `SaveImaged`.

    Args:
        bundle: Whose inference config.
        checkpoints: State dicts; several are averaged as an ensemble.
        overrides: As on MONAI's command line.
        test_time_flips: Average over the config's `test_time_flips`, if it has any.

    Attributes:
        autocast: Whether the config lets the network compute in bfloat16.

    Raises:
        InvalidBundle: if the weights do not fit the network.
        InvalidOption: if its device is not there.
    """

    def __init__(
        self,
        bundle: Bundle,
        checkpoints: Sequence[Path],
        overrides: Mapping[str, Any],
        *,
        test_time_flips: bool = True,
    ) -> None:
        parser = ConfigParser()
        parser.read_config(str(bundle.config("inference")))
        if bundle.metadata.is_file():
            parser.read_meta(str(bundle.metadata))
        parser.update({"bundle_root": str(bundle.root), **overrides})
        parser.parse(reset=True)
        named = parser.get_parsed_content("device")
        require_device(named)
        self.device = torch.device(named)
        self.preprocessing = quicker(parser.get_parsed_content("preprocessing"))
        self._aside = PreprocessingAside(self.preprocessing)
        self.postprocessing = [
            step for step in parser.get_parsed_content("postprocessing").transforms if not isinstance(step, SaveImaged)
        ]
        self.inferer = wide_windows(parser.get_parsed_content("inferer"), self.device)
        wanted = test_time_flips and "test_time_flips" in parser
        flips = [tuple(flip) for flip in parser.get_parsed_content("test_time_flips")] if wanted else [()]
        definition = parser.get_parsed_content("network_def")
        self.autocast = bool(parser.get_parsed_content("autocast")) if "autocast" in parser else True
        networks = [_loaded(definition, path, self.device, autocast=self.autocast) for path in checkpoints]
        single = len(networks) == 1 and flips == [()]
        self.network = networks[0] if single else AveragedNetwork(networks, flips).eval()

    def __call__(self, names: Sequence[str], *, probabilities: bool = False) -> Iterator[Prediction]:
        """Predict pictures or slices, in their order, those of one shape together.

        Args:
            names: What the bundle's reader can read.
            probabilities: Whether to keep them: eight times the memory of a mask for each class.
        Raises: whatever reading the first bad one raises.
        """
        yield from self.predict([self.preprocessing({"image": name}) for name in names], probabilities=probabilities)

    def read(self, name: str) -> dict[str, Any]:
        """A picture or slice as it is after pre-processing; in any thread.

        Raises: whatever reading it raises.
        """
        return self._aside({"image": name})

    def predict(self, cases: Sequence[dict[str, Any]], *, probabilities: bool = False) -> Iterator[Prediction]:
        """Predict what was read, in its order, pictures of one shape together.

        Args:
            cases: From `read`.
            probabilities: Whether to keep them.
        """
        for group in _of_one_shape(cases):
            yield from self._predict(group, probabilities)

    def fewer_windows(self) -> bool:
        """Compute fewer sliding windows at once from now on, because memory did not suffice; whether that can be."""
        return fewer_windows(self.inferer)

    # No generator: one that is left half-way would leave the caller's own computing without gradients.
    @torch.inference_mode()
    def _predict(self, cases: list[dict[str, Any]], probabilities: bool) -> list[Prediction]:
        batch = list_data_collate(cases)
        batch["image"] = batch["image"].to(self.device)
        batch["pred"] = self.inferer(batch["image"], self.network)
        return [self.finish(case, probabilities) for case in decollate_batch(batch)]

    def finish(self, case: dict[str, Any], keep_probabilities: bool = False) -> Prediction:
        """From a case's `image` and the network's `pred` to the mask on the image's own grid."""
        kept: npt.NDArray[np.float32] | None = None
        for step in self.postprocessing:
            if keep_probabilities and kept is None and _makes_classes(step):
                kept = case["pred"].cpu().numpy().astype(np.float32)
            case = step(case)
        mask = case["pred"]
        meta = mask.meta if isinstance(mask, MetaTensor) else case["image"].meta
        plain = mask.as_tensor() if isinstance(mask, MetaTensor) else mask
        # As bytes from a GPU: a quarter of what class numbers take as they are computed.
        classes = plain.to(torch.uint8).cpu().numpy()
        return Prediction(np.asarray(classes[0] if classes.ndim == 3 else classes), kept, meta)


def _loaded(definition: torch.nn.Module, path: Path, device: torch.device, *, autocast: bool) -> torch.nn.Module:
    network = copy.deepcopy(definition)
    content = read_state(path)
    try:
        # A last.pt, from which training resumes, holds the weights among other things.
        network.load_state_dict(content.get("averaged") or content.get("network") or content)
    except Exception as error:
        raise InvalidBundle(
            f"{path}: does not load into the network of the bundle's inference.yaml ({_why(error)}). Expected a state "
            "dict of that network. Give the checkpoint that was trained with this bundle."
        ) from error
    return with_autocast(network.to(device).eval(), device, autocast)


def _why(error: Exception) -> str:
    told = " ".join(str(error).split())
    return f"{told[:200]}…" if len(told) > 200 else told.rstrip(".")


def _makes_classes(step: Transform) -> bool:
    return isinstance(step, AsDiscreted) and any(step.argmax)


def _of_one_shape(cases: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Neighbours of one shape, in order."""
    group: list[dict[str, Any]] = []
    for case in cases:
        if group and group[0]["image"].shape != case["image"].shape:
            yield group
            group = []
        group.append(case)
    if group:
        yield group
