"""The artifacts of a run in a store, and the files of the models that it has made among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking.facts import ModelUse
from pipeline.tracking.manifest import of_model

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["RunFiles"]


class RunFiles:
    """The files of a run by their paths, `models/<name>/<path>` for those of a model; each is fetched once.

    Args:
        client: Of the store.
        uri: Of the store.
        run_id: The run.
        models: That the run has made or applies.
        folder: Where files are put when they are asked for.
    """

    def __init__(self, client: MlflowClient, uri: str, run_id: str, models: Sequence[ModelUse], folder: Path) -> None:
        self.client = client
        self.uri = uri
        self.run_id = run_id
        self.folder = folder
        self._of_models = self._files_of_models(models)
        self._fetched: dict[str, Path] = {}

    @property
    def paths(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(sorted([*self._files(), *self._of_models]))

    def fetch(self, path: str) -> Path:
        """The file on this disk."""
        if path not in self._fetched:
            self.folder.mkdir(parents=True, exist_ok=True)
            if path in self._of_models:
                self._fetched[path] = self._fetch_of_model(*self._of_models[path])
            else:
                self._fetched[path] = Path(self.client.download_artifacts(self.run_id, path, str(self.folder)))
        return self._fetched[path]

    def _files(self, folder: str | None = None) -> Iterator[str]:
        for entry in self.client.list_artifacts(self.run_id, folder):
            if entry.is_dir:
                yield from self._files(entry.path)
            else:
                yield str(entry.path)

    def _files_of_models(self, models: Sequence[ModelUse]) -> dict[str, tuple[str, str]]:
        """Each file's model by its id, and the path in it."""
        found: dict[str, tuple[str, str]] = {}

        def look(use: ModelUse, path: str | None) -> None:
            for entry in self.client.list_logged_model_artifacts(use.model_id, path):
                if entry.is_dir:
                    look(use, entry.path)
                else:
                    found.setdefault(of_model(use.name, str(entry.path)), (use.model_id, str(entry.path)))

        for use in models:
            if use.made:
                look(use, None)
        return found

    def _fetch_of_model(self, model_id: str, path: str) -> Path:
        from mlflow.artifacts import download_artifacts

        # By its place: an address of the kind models:/ID takes what follows for a version.
        place = str(self.client.get_logged_model(model_id).artifact_location).rstrip("/")
        folder = self.folder / ".models" / model_id
        return Path(download_artifacts(artifact_uri=f"{place}/{path}", dst_path=str(folder), tracking_uri=self.uri))
