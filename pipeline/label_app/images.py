"""What MONAI Label calls a datastore: images by id, their labels, and what clients are told of both."""

from __future__ import annotations

import copy
import tempfile
import threading
import time
import zipfile
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from monailabel.interfaces.datastore import Datastore
from numpy.typing import NDArray

from pipeline.errors import InvalidOption, MissingFile
from pipeline.label_app.access import current_user
from pipeline.label_app.incoming import as_classes, names_of, read_label
from pipeline.label_app.label_files import FINAL, LabelFiles, SavedLabel
from pipeline.label_app.views import needs_view, suffixes, write_view
from pipeline.readers import Picture

if TYPE_CHECKING:
    from pipeline.tasks.infer.sources import Source

__all__ = ["LabelledImages"]

# Within which whoever asked for a data set has it: the server is not told when a download ends.
DOWNLOAD_S = 3600.0


class LabelledImages(Datastore):
    """Images with labels, wherever the images are.

    Clients are given files that every viewer reads alike: what our reader turns, windows or stacks they get as NIfTI.

    Args:
        title: Name, for clients.
        labels: Where labels are kept.
        cache: Folder for what can be made again.
        classes: Class index → name, by which labels are numbered; of the first bundle, if the server has several.
    """

    def __init__(self, title: str, labels: LabelFiles, cache: Path, classes: Mapping[int, str]) -> None:
        self._name, self._description = title, ""
        self.classes = dict(classes)
        self.labels = labels
        self.cache = cache
        self._info: dict[str, dict[str, Any]] = {}
        self._views = threading.Lock()

    # What a kind of place must know.

    @abstractmethod
    def list_images(self) -> list[str]:
        """The ids of all images."""

    @abstractmethod
    def source(self, image_id: str) -> Source:
        """The image itself.

        Raises: MissingFile: if there is none of this id.
        """

    def archived(self, image_id: str, picture: Picture, mask: Any, label: SavedLabel) -> str:
        """Send a final label to where the images come from; "" where labels stay here."""
        return ""

    def stored_result(self, image_id: str) -> tuple[NDArray[np.uint8], SavedLabel] | None:
        """What a model found in an image, if somebody has stored it where the images come from."""
        return None

    def subject_table(self) -> Path | None:
        """A table beside the images that may say whose each is, or None."""
        return None

    def places(self, image_id: str) -> list[str]:
        """The paths without suffix under which such a table may name an image."""
        return [image_id]

    # Images.

    def get_image_uri(self, image_id: str) -> str:
        """A file that viewers can load: the image, or a NIfTI copy of what they would read in another way."""
        source = self.source(image_id)
        if not needs_view(source):
            return str(source.path)
        view = self.cache / "views" / f"{image_id}.nii.gz"
        with self._views:
            if not view.is_file() or view.stat().st_mtime < source.path.stat().st_mtime:
                write_view(source, view)
        return str(view)

    def get_image(self, image_id: str, params: Any = None) -> Any:
        """The bytes of that file, as a stream."""
        return Path(self.get_image_uri(image_id)).open("rb")

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """What clients are told of an image. Nothing of the patient."""
        source = self.source(image_id)
        ending = ".nii.gz" if needs_view(source) else suffixes(source.path)
        return {"name": f"{image_id}{ending}", **self.noted(image_id)}

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Note which strategy has offered the image when, as long as the server runs."""
        self.get_image_info(image_id)  # which raises where there is no such image
        self._info.setdefault(image_id, {}).update(info)

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Refused, unless a kind of place takes images."""
        raise InvalidOption("Images cannot be added here. Put them where the server takes its images from.")

    def remove_image(self, image_id: str) -> None:
        """Refused: what a client cannot bring back it shall not remove."""
        raise InvalidOption(
            "Images are not removed through this server. Remove the file, or the series in the archive."
        )

    def noted(self, image_id: str) -> dict[str, Any]:
        """What was noted of an image, without a look at the image."""
        return copy.deepcopy(self._info.get(image_id, {}))

    # Labels.

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Images with a final label."""
        listed = self.list_images()  # which may take over labels
        done = set(self.labels.images(FINAL))
        return [image for image in listed if image in done]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Images without one."""
        listed = self.list_images()  # which may take over labels
        done = set(self.labels.images(FINAL))
        return [image for image in listed if image not in done]

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        """Tag → id of the label, which is the image's."""
        return dict.fromkeys(self.labels.tags(image_id), image_id)

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        """The label's id, or ""."""
        return self.get_labels_by_image_id(image_id).get(tag, "")

    def get_label_uri(self, label_id: str, label_tag: str, image_id: str = "") -> str:
        """The label's file, or ""."""
        label = self.labels.of(label_id, label_tag)
        return str(self.labels.path(label)) if label is not None else ""

    def get_label(self, label_id: str, label_tag: str, params: Any = None) -> Any:
        """The label's bytes, as a stream; None if there is none."""
        uri = self.get_label_uri(label_id, label_tag)
        return Path(uri).open("rb") if uri else None

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        """What is known of a label."""
        label = self.labels.of(label_id, label_tag)
        return _info_of(label) if label is not None else {}

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Refused: what is said of a label is said when it is saved."""
        raise InvalidOption("What is said of a label is said when it is saved: save it again.")

    def save_label(
        self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any], label_id: str = ""
    ) -> str:
        """Save a label that a client sent, on the grid of its image, numbered as the classes are where it names them.

        Args:
            image_id: Of the image.
            label_filename: What was sent; see `read_label`.
            label_tag: "final" or another; "" for final.
            label_info: What the client says: `label_info` with the names, `client_id`, `user`.
            label_id: Not used.
        Raises: as `read_label` and `LabelFiles.save`.
        """
        tag = getattr(label_tag, "value", label_tag) or FINAL
        picture = self.source(image_id).picture()
        mask = read_label(Path(label_filename), picture, image_id)
        said = dict(label_info or {})
        client = said.pop("client_id", "")
        annotator = current_user.get() or str(said.pop("user", "") or client or "")
        mask, names = as_classes(mask, names_of(said.pop("label_info", None)), self.classes, image_id)
        to_archive = (lambda label: self.archived(image_id, picture, mask, label)) if tag == FINAL else None
        kept = {key: value for key, value in said.items() if key in ("model", "params")}
        self.labels.save(image_id, tag, mask, picture, annotator=annotator, names=names, info=kept, archive=to_archive)
        return image_id

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Remove a label."""
        if not self.labels.remove(label_id, label_tag):
            raise MissingFile(f"{label_id}: there is no label '{label_tag}'.")

    # All of it.

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:
        """Image and final label of each labelled image, as files."""
        return [
            {"image": self.get_image_uri(image), "label": self.get_label_uri(image, FINAL)}
            for image in self.get_labeled_images()
        ]

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """A zip file with the labelled images and their labels, both named by the id."""
        images = self.get_labeled_images()[: limit_cases or None]
        if not images:
            raise MissingFile("There are no labels yet.")
        folder = self.cache / "downloads"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for earlier in folder.glob("*.zip"):
            with suppress(FileNotFoundError):
                if time.time() - earlier.stat().st_mtime > DOWNLOAD_S:
                    earlier.unlink()
        with (
            tempfile.NamedTemporaryFile(dir=folder, suffix=".zip", delete=False) as file,
            zipfile.ZipFile(file, "w") as archive,
        ):
            for image in images:
                paths = {"image": self.get_image_uri(image), "label": self.get_label_uri(image, FINAL)}
                for part, path in paths.items():
                    # By the id: files of two folders may share a name.
                    archive.write(path, f"{part}/{image}{suffixes(path)}")
        return file.name

    def name(self) -> str:
        """The name."""
        return self._name

    def set_name(self, name: str) -> None:
        """Rename it."""
        self._name = name

    def description(self) -> str:
        """What clients are told of it."""
        return self._description

    def set_description(self, description: str) -> None:
        """Say something of it."""
        self._description = description

    def refresh(self) -> None:
        """Look again for images."""

    def status(self) -> dict[str, Any]:
        """Numbers of images and labels."""
        images = set(self.list_images())
        tags = Counter(tag for image, tag in self.labels.pairs() if image in images)
        return {"total": len(images), "completed": tags[FINAL], "label_tags": dict(tags)}

    def json(self) -> dict[str, Any]:
        """All images and labels, in the form of MONAI Label's own datastore."""
        objects = {}
        for image in self.list_images():
            info = self.get_image_info(image)
            found = {tag: self.labels.of(image, tag) for tag in self.labels.tags(image)}
            objects[image] = {
                "image": {"ext": info["name"][len(image) :], "info": info},
                "labels": {
                    tag: {"ext": suffixes(label.file), "info": _info_of(label)} for tag, label in found.items() if label
                },
            }
        return {"name": self._name, "description": self._description, "objects": objects}


def _info_of(label: SavedLabel) -> dict[str, Any]:
    names = [{"name": name, "idx": int(value)} for value, name in label.names.items()]
    return {
        **label.info,
        "ts": label.seconds or int(time.time()),
        "name": Path(label.file).name,
        "client_id": label.annotator,
        "label_info": names,
        "sha256": label.sha256,
    }
