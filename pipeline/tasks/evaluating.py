"""An evaluation whose cases are predicted by a Ray cluster, and scored in their order by the bundle's own evaluator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.bundle import Bundle
from pipeline.cluster import Cluster
from pipeline.errors import IncompleteResult

if TYPE_CHECKING:
    from monai.bundle import ConfigWorkflow

__all__ = ["predicted_by_cluster"]

# What the handlers of an evaluation take of a case.
TAKEN = ("image", "label", "pred", "probabilities")


@dataclass(frozen=True)
class _Picture:
    """One of a case's tensors on its way: one-hot masks as bytes, and of the image what is known about it."""

    array: Any
    dtype: str
    meta: dict[str, Any]


@contextmanager
def predicted_by_cluster(workflow: ConfigWorkflow, bundle: Bundle, settings: Mapping[str, Any]) -> Iterator[None]:
    """Within it the evaluator of a workflow, which is initialised anew, has its cases predicted by a cluster.

    Its handlers see what they always see, case by case in the order of the datalist.

    Args:
        workflow: Of the bundle's evaluate config.
        bundle: The bundle.
        settings: What overrides its config, for the workers too.
    Raises: MissingExtra: without Ray.
    """
    from torch.utils.data import DataLoader

    items = list(workflow.parser.get_parsed_content("dataset").data)
    with Cluster() as cluster:
        made = partial(_Predicts, str(bundle.config("evaluate")), _meta(bundle), str(bundle.root), dict(settings))
        results = cluster.map_in_order(made, range(len(items)), when_lost=partial(_lost, items))

        def next_case(engine: Any, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
            engine.state.batch = batch
            return [{name: _unpacked(picture) for name, picture in next(results).items()}]

        workflow.parser["dataloader"] = DataLoader(items, batch_size=1, collate_fn=list)
        workflow.parser["evaluator"]["iteration_update"] = next_case
        workflow.parser["evaluator"]["postprocessing"] = None
        workflow.parser.parse(reset=True)
        workflow.initialize()
        try:
            yield
        finally:
            results.close()


class _Predicts:
    """Case number → its tensors, by the bundle's evaluate config with its weights, in a worker."""

    def __init__(self, config: str, meta: str, root: str, settings: dict[str, Any]) -> None:
        import torch
        from monai.bundle import ConfigParser

        parser = ConfigParser()
        parser.read_config(config)
        if meta:
            parser.read_meta(meta)
        parser.update({"bundle_root": root, **settings})
        parser.parse(reset=True)
        self.device = torch.device(parser.get_parsed_content("device"))
        self.dataset = parser.get_parsed_content("dataset")
        self.inferer = parser.get_parsed_content("inferer")
        self.network = parser.get_parsed_content("network").eval()
        self.postprocessing = parser.get_parsed_content("postprocessing")
        content = torch.load(settings["ckpt_path"], map_location="cpu", weights_only=True)
        parser.get_parsed_content("network_def").load_state_dict(content.get("model", content))

    def __call__(self, number: int) -> dict[str, _Picture]:
        import torch
        from monai.data import decollate_batch, list_data_collate

        batch = list_data_collate([self.dataset[number]])
        case = {"image": batch["image"].to(self.device), "label": batch["label"].to(self.device)}
        with torch.no_grad():
            case["pred"] = self.inferer(case["image"], self.network)
        (done,) = [self.postprocessing(one) for one in decollate_batch(case)]
        return {name: _packed(done[name], name) for name in TAKEN if name in done}


def _packed(tensor: Any, name: str) -> _Picture:
    plain = tensor.as_tensor() if hasattr(tensor, "as_tensor") else tensor
    array, dtype = plain.cpu().numpy(), str(plain.dtype).removeprefix("torch.")
    if name == "image":  # nobody looks at its pixels
        array = np.zeros((1, 1, 1), np.float32)
    elif name in ("pred", "label"):
        array = array.astype(np.uint8)
    return _Picture(array, dtype, dict(getattr(tensor, "meta", {})))


def _unpacked(picture: _Picture) -> Any:
    import torch
    from monai.data import MetaTensor

    return MetaTensor(torch.from_numpy(np.array(picture.array)).to(getattr(torch, picture.dtype)), meta=picture.meta)


def _lost(items: list[dict[str, Any]], number: int) -> dict[str, _Picture]:
    raise IncompleteResult(
        f"{items[number].get('image')}: predicting it ended several processes of the cluster (a damaged file, or not "
        "enough memory). Nothing was written."
    )


def _meta(bundle: Bundle) -> str:
    return str(bundle.metadata) if bundle.metadata.is_file() else ""
