"""The app that MONAI Label's server runs: bundles, images, labels, trainings."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.batch_infer import BatchInferTask
from monailabel.interfaces.tasks.strategy import Strategy

from pipeline import __version__
from pipeline.bundle import Bundle
from pipeline.errors import InvalidOption, MissingFile
from pipeline.label_app.bundles import find_bundles
from pipeline.label_app.images import LabelledImages
from pipeline.label_app.label_files import ORIGINAL
from pipeline.label_app.scoring import Scores
from pipeline.label_app.segmenting import BundleSegmentation, source_at
from pipeline.label_app.strategies import KINDS, Anyone, ByScores, InOrder
from pipeline.label_app.training import BundleTraining
from pipeline.label_app.uploads import is_upload

__all__ = ["PlanarLabelApp", "bundles_of"]


class PlanarLabelApp(MONAILabelApp):
    """Bundles for annotators.

    Args:
        app_dir: Working folder of the server: logs, caches.
        studies: A folder of images, or the address of a DICOMweb archive.
        conf: `bundles`: the folders as a JSON list, as `planar label start` writes it; and what bundles need.
    """

    def __init__(self, app_dir: str, studies: str, conf: Mapping[str, str]) -> None:
        self.bundles = bundles_of(conf)
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=dict(conf),
            name=f"Planar {__version__}",
            description=", ".join(self.bundles),
            version=__version__,
        )

    def init_datastore(self) -> Datastore:
        """The images."""
        classes = next(iter(self.bundles.values())).labels("inference")
        if self.studies.startswith(("http://", "https://")):
            from pipeline.label_app.archive import open_archive

            return open_archive(self.studies, Path(self.app_dir), classes)
        from pipeline.label_app.folder import FolderOfImages

        return FolderOfImages(Path(self.studies), Path(self.app_dir) / "cache", classes)

    def init_infers(self) -> dict[str, BundleSegmentation]:
        """A task for each bundle."""
        return {name: BundleSegmentation(bundle) for name, bundle in self.bundles.items()}

    def init_trainers(self) -> dict[str, BundleTraining]:
        """A training for each bundle that has a train config."""
        return {
            name: BundleTraining(bundle, Path(self.app_dir))
            for name, bundle in self.bundles.items()
            if (bundle.root / "configs" / "train.yaml").is_file()
        }

    def init_strategies(self) -> dict[str, Strategy]:
        """Which image is next."""
        found: dict[str, Strategy] = {"random": Anyone(), "first": InOrder()}
        images = self.datastore()
        for name, task in self._infers.items():
            scores = Scores(task, _require_ours(images), Path(self.app_dir) / "scores")
            for kind in KINDS:
                # Of several bundles each has its own.
                found[kind if len(self._infers) == 1 else f"{kind} of {name}"] = ByScores(scores, kind)
        return found

    def init_batch_infer(self) -> BatchInferTask:
        """All images, or those without a label."""
        return BatchOnWhatThereIs()

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Segment an image of the datastore, or one that a client has sent.

        Args:
            request: `model`, `image`, `save_label`, `label_tag`, and what `BundleSegmentation.answer` takes.
            datastore: Other images than the app's own.
        Returns: `label`, `tag`, `file`, `params`, as MONAI Label has it.

        Raises:
            InvalidOption, MissingFile: for a bundle or an image that there is not.
            PlanarError: as the segmentation does.
        """
        task = self._task(request.get("model"))
        image = request.get("image")
        if not isinstance(image, str) or not image:
            raise InvalidOption("Name an image, or send one.")
        images = datastore or self.datastore()
        # A client may name what it has sent, and no other file of this machine.
        sent = is_upload(image, self._session_folder())
        source = source_at(Path(image)) if sent else _require_ours(images).source(image)
        file, told = task.answer(source, request)
        label = file
        tag = str(getattr(request.get("label_tag"), "value", request.get("label_tag")) or ORIGINAL)
        if file is not None and not sent and str(request.get("save_label", False)).lower() in ("true", "1"):
            info = {"model": request["model"], "params": told, "label_info": _named(task)}
            label = images.save_label(image, file, tag, info)
        return {"label": label, "tag": tag, "file": file, "params": told}

    def on_init_complete(self) -> None:
        """Begin to clear away sessions that have ended, without the lines that the clock of it writes."""
        logging.getLogger("timeloop").disabled = True
        super().on_init_complete()

    def on_save_label(self, image_id: str, label_id: str) -> None:
        """Nothing more: the datastore has written down who saved what."""

    def _task(self, model: Any) -> BundleSegmentation:
        task: BundleSegmentation | None = self._infers.get(model)
        if task is None:
            raise MissingFile(f"There is no model {str(model)[:80]!r} here. There are: {', '.join(self._infers)}.")
        return task

    def _session_folder(self) -> str:
        return self._sessions.store_path if self._sessions is not None else ""


class BatchOnWhatThereIs(BatchInferTask):
    """MONAI Label's batch inference, which divides by the number of GPUs unless it is told that there is none."""

    def __call__(self, request: Any, datastore: Any, infer: Any) -> Any:
        """Segment many images, and save what comes out."""
        import torch

        several = torch.cuda.device_count() > 1
        return super().__call__({**request, "multi_gpu": request.get("multi_gpu", True) and several}, datastore, infer)


def bundles_of(conf: Mapping[str, str]) -> dict[str, Bundle]:
    """The bundles of `--conf bundles`, a JSON list or names with commas; raises as `find_bundles`."""
    said = conf.get("bundles") or ""
    return find_bundles(
        json.loads(said) if said.startswith("[") else (part.strip() for part in said.split(",") if part.strip())
    )


def _named(task: BundleSegmentation) -> list[dict[str, Any]]:
    return [{"name": name, "idx": index} for index, name in task.classes.items() if index]


def _require_ours(images: Datastore) -> LabelledImages:
    if not isinstance(images, LabelledImages):
        raise InvalidOption(f"{settings.MONAI_LABEL_STUDIES}: not a place that Planar takes images from.")
    return images
