"""What there is to check a run with: its record, and the files that it speaks of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.bundle import Bundle, find_bundle
from pipeline.errors import InvalidBundle, MissingFile
from pipeline.tracking import RunFacts
from pipeline.tracking.state import places_of

__all__ = ["AuditMaterial"]


@dataclass(frozen=True)
class AuditMaterial:
    """A run and what is here of it.

    Attributes:
        run: Its record.
        datalist: The datalist; None if it is not known where that is.
        bundle: The bundle; None likewise.
        checkpoint: The weights; None if there are none here but those of the record.
        folder: For what is made while checking.
        packed: Whether the record is a pack, in which there are no image files.
        left_out: Artifacts that a pack leaves out.
        related: Another run of the same record by its id; None if it is not there.
        scored: Evaluations of weights by their SHA-256, in the same record.
    """

    run: RunFacts
    datalist: Path | None
    bundle: Bundle | None
    checkpoint: Path | None
    folder: Path
    packed: bool = False
    left_out: tuple[str, ...] = ()
    related: Callable[[str], RunFacts | None] = lambda run_id: None
    scored: Callable[[str], list[RunFacts]] = lambda sha256: []

    @property
    def training(self) -> RunFacts | None:
        """The training whose weights an evaluation applies, as far as it is known."""
        made_by = self.run.tags.get("planar.training_run")
        return self.related(made_by) if made_by else None

    @classmethod
    def of(
        cls,
        run: RunFacts,
        folder: Path,
        *,
        datalist: Path | None = None,
        bundle: str | None = None,
        checkpoint: Path | None = None,
        packed: bool = False,
        left_out: tuple[str, ...] = (),
        related: Callable[[str], RunFacts | None] = lambda run_id: None,
        scored: Callable[[str], list[RunFacts]] = lambda sha256: [],
    ) -> AuditMaterial:
        """What the user says, else what this machine knows of where the run's files are.

        Raises:
            MissingFile: if the user names a file that is not there.
            InvalidBundle: if the user names a bundle that is none.
        """
        for given in (datalist, checkpoint):
            if given is not None and not given.is_file():
                raise MissingFile(f"{given} is not there. Check the path.")
        # Where a pack is checked, the places of this machine are somebody else's business.
        places = {} if packed else places_of(run.run_id)
        known = _known_bundle(places.get("bundle")) if bundle is None else find_bundle(bundle)
        weights = checkpoint or _file(places.get("checkpoint"))
        if weights is None and known is not None and known.weights.is_file():
            weights = known.weights
        return cls(
            run=run,
            datalist=datalist or _path(places.get("datalist")),
            bundle=known,
            checkpoint=weights,
            folder=folder,
            packed=packed,
            left_out=left_out,
            related=related,
            scored=scored,
        )


def _known_bundle(path: str | None) -> Bundle | None:
    if path is None:
        return None
    try:
        return find_bundle(path)
    except InvalidBundle:
        return None


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _file(text: str | None) -> Path | None:
    return Path(text) if text and Path(text).is_file() else None
