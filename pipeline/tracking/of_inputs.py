"""What a run is given: config, data, bundle and weights, and what must not be told of them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.bundle import config_digests
from pipeline.digests import file_sha256
from pipeline.tracking.datasets import DatasetFacts, GivenData
from pipeline.tracking.models import FoundModel, find_model
from pipeline.tracking.privacy import Pseudonyms, scrubbed_text
from pipeline.tracking.record import Record
from pipeline.tracking.state import note_places
from pipeline.tracking.training_record import training_run_of

__all__ = ["InputFacts"]


class InputFacts:
    """The files that a run is given.

    Args:
        config: The executed config; None if there is none, as for all of these.
        datalist: The datalist.
        cases: What the datasets of the config hold, by part; None for what the datalist says.
        names: What stands for names, where there is no datalist.
        bundle: The bundle's folder.
        output: The folder of the results.
        checkpoint: The weights that are applied.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | None,
        datalist: str | os.PathLike[str] | None,
        cases: Mapping[str, Sequence[Mapping[str, Any]]] | None,
        names: Pseudonyms | None,
        bundle: str | os.PathLike[str] | None,
        output: str | os.PathLike[str] | None,
        checkpoint: str | os.PathLike[str] | None,
    ) -> None:
        self.config = Path(config) if config else None
        self.datalist = Path(datalist) if datalist else None
        self.cases = cases
        self.bundle = Path(bundle) if bundle is not None else None
        self.output = output
        self.checkpoint = Path(checkpoint) if checkpoint is not None else None
        self.data: GivenData | None = None
        self.names = names or Pseudonyms()
        self.model: FoundModel | None = None  # that is applied
        self._names_given = names
        self._config_text: str | None = None

    def look(self) -> None:
        """Look at what is there now, and so at what must not be told of it."""
        self.data = GivenData.of(self.datalist, self.cases)
        self.names = self._names_given or self.data.pseudonyms
        for path, name in ((self.output, "<output>"), (self.bundle, "<bundle>"), (Path.cwd(), "<folder>")):
            self.names.add_place(path, name)
        self.names.add_place(Path.home(), "~")
        known = self.config is not None and self.config.is_file()
        self._config_text = scrubbed_text(self.config, self.names.scrub) if known and self.config else None

    def case_name(self, part: str, position: int) -> str:
        """What the record calls a case."""
        items = self.data.document[part] if self.data is not None else ()
        return str(items[position]["case"]) if position < len(items) else f"case {position}"

    def facts(self, part: str) -> DatasetFacts | None:
        """A part of the data, if the run uses it."""
        return self.data.facts(part) if self.data is not None and part in self.data.used else None

    @property
    def only_part(self) -> DatasetFacts | None:
        """The part of the data that the run uses, if it is one alone."""
        used = self.data.used if self.data is not None else ()
        return self.facts(used[0]) if len(used) == 1 else None

    @property
    def tags(self) -> dict[str, str]:
        """Digests of what is given, and the run that the weights come from."""
        tags = {}
        if self._config_text is not None:
            tags["planar.config_sha256"] = hashlib.sha256(self._config_text.encode()).hexdigest()
        if self.datalist is not None and self.datalist.is_file():
            tags["planar.datalist_sha256"] = file_sha256(self.datalist)
        if self.checkpoint is not None and self.checkpoint.is_file():
            tags["planar.model_sha256"] = file_sha256(self.checkpoint)
            maker = training_run_of(self.checkpoint, tags["planar.model_sha256"])
            tags |= {"planar.training_run": maker} if maker else {}
        return tags

    def log(self, record: Record) -> None:
        """Log the config, the datalist with pseudonyms, each part that is used as a dataset of MLflow's, the model."""
        if self._config_text is not None and self.config is not None:
            record.text(self._config_text, f"config/{self.config.name}")
        if self.data is not None and self.data.used:
            record.text(self.data.text, "data/datalist.json")
            record.text(json.dumps(self.data.roots, indent=2) + "\n", "data/merkle.json")
            for part in self.data.used:
                record.dataset(self.data.facts(part), part)
        self._note_places(record.run_id)
        self._log_model(record)

    def log_bundle(self, record: Record) -> None:
        """Log the digests of the bundle's configs, which the executed config has come from."""
        if self.bundle is not None:
            with suppress(OSError):
                record.text(json.dumps(config_digests(self.bundle), indent=2) + "\n", "code/bundle.json")

    def _log_model(self, record: Record) -> None:
        """Which of the store's models is applied; the weights themselves, if it does not know them."""
        if self.checkpoint is None or not self.checkpoint.is_file():
            return
        digest = file_sha256(self.checkpoint)
        maker = training_run_of(self.checkpoint, digest)
        self.model = find_model(record.client, record.experiment_id, digest, maker)
        if self.model is None:
            record.file(self.checkpoint, "checkpoints")
        else:
            record.uses_model(self.model.model_id)
            record.tags({"planar.model_id": self.model.model_id})
            # The registry's own name for it, of which a word may be a folder's too.
            record.tags({"planar.model_version": self.model.version} if self.model.version else {}, clean=True)

    def _note_places(self, run_id: str) -> None:
        """Where the files lie, on this machine alone."""
        files = {"datalist": self.datalist, "bundle": self.bundle, "checkpoint": self.checkpoint}
        places = {name: str(path.absolute()) for name, path in files.items() if path is not None}
        with suppress(OSError):  # without a folder for it, the user says where the data are
            if self.datalist is not None and self.datalist.is_file():
                places["datalist_sha256"] = file_sha256(self.datalist)
            note_places(run_id, places)
