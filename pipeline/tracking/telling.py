"""What a run may be told: each thing goes into its journal, and as a digest into its manifest."""

from __future__ import annotations

import posixpath
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.digests import file_sha256
from pipeline.tracking.datasets import DatasetFacts
from pipeline.tracking.journal import Journal
from pipeline.tracking.manifest import Manifest, of_model
from pipeline.tracking.model_delivery import local_model
from pipeline.tracking.privacy import scrubbed_text
from pipeline.tracking.words import PARAM_LENGTH, allowed, name_of_model, tags_taken

__all__ = ["Telling", "now_ms"]


class Telling:
    """What is told of a run. Nothing here waits for MLflow.

    Args:
        run_id: The run.
        journal: For what is told.
        notice: Called when there is something to send.
        manifest: In which all that is told is listed; None where others have told things that are not known here.
    """

    def __init__(self, run_id: str, journal: Journal, notice: Callable[[], None], manifest: Manifest | None) -> None:
        self.run_id = run_id
        self.scrub: Callable[[str], str] = lambda text: text  # names of files, for what stands for them
        self._journal = journal
        self._notice = notice
        self._manifest = manifest
        self._closed = False

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters; a value is cut where MLflow would not take it."""
        sent = self._params(values)
        self._add("params", values=sent)
        if self._manifest is not None:
            self._manifest.params(sent)

    def metrics(
        self,
        values: Mapping[str, float],
        step: int,
        *,
        time_ms: int | None = None,
        model: str | None = None,
        dataset: DatasetFacts | None = None,
    ) -> None:
        """Log numbers at one step, in one request.

        Args:
            values: By metric. MLflow keeps NaN as NaN and infinity as its largest number.
            step: The epoch.
            time_ms: When, ms since 1970; now by default.
            model: What they are numbers of: as `model` returns it, or MLflow's id.
            dataset: What they were measured on.
        """
        if values:
            sent = {allowed(name): float(value) for name, value in values.items()}
            if self._manifest is not None:
                self._manifest.metrics(sent, int(step))
            self._add(
                "metrics",
                values=sent,
                step=int(step),
                time=now_ms() if time_ms is None else time_ms,
                model=model,
                dataset=None if dataset is None else [dataset.name, dataset.digest],
            )

    def tags(self, values: Mapping[str, str], *, clean: bool = False) -> None:
        """Set tags; the last value of a name counts.

        Args:
            values: By name.
            clean: Whether they are known to hold no names, such as that of a model; others are scrubbed.
        """
        if values:
            said = values if clean else {name: self.scrub(value) for name, value in values.items()}
            sent = tags_taken(said)
            if self._manifest is not None:
                self._manifest.tags(sent)
            self._add("tags", values=sent)

    def text(self, text: str, path: str) -> None:
        """Log a text as an artifact, such as `code/diff.patch`."""
        self._add_text(self.scrub(text), path)

    def file(self, path: Path, folder: str = "", *, clean: bool = False) -> None:
        """Log a file under its own name in a folder of the run's artifacts, as it is now; a missing one is left out.

        Args:
            path: The file.
            folder: Of the artifacts.
            clean: Whether it is known to hold no names; the texts of others are scrubbed.
        """
        if path.is_file():
            text = None if clean else scrubbed_text(path, self.scrub)
            if text is None:
                self._add_file(path, folder)
            else:
                self._add_text(text, posixpath.join(folder, path.name))

    def dataset(self, facts: DatasetFacts, context: str) -> None:
        """Log what the run was given; `context` is "training", "validation" or "test"."""
        whole = {"merkle_root": facts.merkle_root, "cases": facts.cases, **facts.profile}
        self._add("dataset", name=facts.name, digest=facts.digest, profile=whole, context=context)

    def model(
        self,
        name: str,
        files: Path,
        *,
        step: int = 0,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        model_type: str = "segmentation",
    ) -> str:
        """Log a model with its files as MLflow's LoggedModel of this run.

        Args:
            name: Such as "best".
            files: One file, or a folder whose content becomes the model's.
            step: The epoch it is of.
            tags: Such as its SHA-256.
            params: Of the model.
            model_type: In MLflow's words.
        Returns: What `metrics`, `model_tags` and `uses_model` take for it.
        """
        name = name_of_model(name)
        self._list_model(name, files)
        number = self._add(
            "model",
            name=name,
            step=int(step),
            tags=tags_taken(tags or {}),
            params=self._params(params or {}),
            model_type=model_type,
        )
        key = local_model(self.run_id, number)
        self._add("model_files", files, model=key)
        self._add("model_ready", model=key)
        return key

    def model_tags(self, model: str, values: Mapping[str, str]) -> None:
        """Set tags of a model, one of this run's or one by MLflow's id."""
        self._add("model_tags", model=model, values=tags_taken(values))

    def register(self, model: str, name: str, alias: str | None = None) -> None:
        """Register a model as the next version of a name, once; `alias`, such as "champion", then means this one."""
        self._add("register", model=model, name=name, alias=alias)

    def uses_model(self, model: str) -> None:
        """Log which model the run applies."""
        self._add("uses_model", model=model)

    def _params(self, values: Mapping[str, Any]) -> dict[str, str]:
        return {allowed(name): self.scrub(str(value))[:PARAM_LENGTH] for name, value in values.items()}

    def _add_text(self, text: str, path: str) -> None:
        with tempfile.TemporaryDirectory(prefix="planar-") as folder:
            file = Path(folder) / posixpath.basename(path)
            file.write_text(text, encoding="utf-8", newline="")
            self._add_file(file, posixpath.dirname(path))

    def _add_file(self, path: Path, folder: str) -> None:
        if self._manifest is not None:
            with suppress(OSError):  # the journal says so
                self._manifest.file(posixpath.join(folder, path.name), file_sha256(path))
        self._add("file", path, folder=folder)

    def _list_model(self, name: str, files: Path) -> None:
        """The files of a model stand in the manifest where `RunStore` shows them among the artifacts."""
        if self._manifest is not None:
            inside = [path for path in files.rglob("*") if path.is_file()] if files.is_dir() else [files]
            base = files if files.is_dir() else files.parent
            with suppress(OSError):  # the journal says so
                for path in inside:
                    self._manifest.file(of_model(name, path.relative_to(base).as_posix()), file_sha256(path))

    def _add(self, op: str, source: Path | None = None, **content: Any) -> int:
        if self._closed:
            raise RuntimeError(f"The record of run {self.run_id} has been ended.")
        number = self._journal.append(op, source, **content)
        self._notice()
        return number


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)
