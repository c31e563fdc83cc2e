"""Where the sources of an inference come from: files that lie there, or an archive that is asked for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipeline.errors import InvalidOption
from pipeline.tasks.infer.resuming import Known, has_masks, note_source, read_sources, state_of
from pipeline.tasks.infer.sources import Refusal, Source, find_sources, require_new

if TYPE_CHECKING:
    from pipeline.tasks.infer.returned import Returned

__all__ = ["FileSupply", "Supply"]


class Supply(Protocol):
    """What an inference asks for its sources.

    Attributes:
        named: What texts may call the sources, and the record must not.
        sources: Their number, as far as it is known beforehand.
        slices: The number of their slices.
        passed: Slices of those that were passed over so far.
        refused: Sources without a mask, which the inference adds to.
        warnings: What a user should know.
        earlier: Sources whose results are there already: what these are called → what messages call the source.
        lasting: Whether a source can still be read when the next one was asked for.
    """

    named: list[str]
    sources: int
    slices: int
    passed: int
    refused: list[Refusal]
    warnings: list[str]
    earlier: dict[str, str]
    lasting: bool

    def __enter__(self) -> Supply:
        """Begin."""

    def __exit__(self, *error: object) -> None:
        """Clean up, also after an error."""

    def __iter__(self) -> Iterator[Source]:
        """The sources, one after the other."""

    def written(self, source: Source, masks: Sequence[Path]) -> None:
        """Told of a source whose results are written."""

    def spoken(self, text: str) -> str:
        """A message as a user understands it."""

    def finish(self) -> Returned | None:
        """Told when the last source is done; what came of results that go back to an archive."""


class FileSupply:
    """Files, folders, globs.

    Args:
        inputs: What a user named.
        out: Folder of the results.
        overwrite: Whether results that are there may be replaced.
        formats: Of the masks of an inference that goes on: sources that have them are passed over. None for one that
            begins.
    Raises: MissingFile, OutputExists: if there is nothing to do, or something in the way.
    """

    def __init__(self, inputs: Sequence[str], out: Path, *, overwrite: bool, formats: Sequence[str] | None) -> None:
        self._sources, self.refused, self.warnings = find_sources(inputs, out)
        if not overwrite and formats is None:
            require_new(out, self._sources)
        self.sources = len(self._sources) + len(self.refused)
        called = {name: None for source in self._sources for name in (str(source.path), source.said)}
        self.named = [*called, *(one.file for one in self.refused)]
        self.slices = sum(len(source.slices) for source in self._sources)
        self._out = out
        there = [source for source in self._sources if formats is not None and has_masks(out, source.stem, formats)]
        there = self._unchanged(there)
        self.earlier = {source.stem: source.said for source in there}
        self.passed = sum(len(source.slices) for source in there)
        self._sources = [source for source in self._sources if source.stem not in self.earlier]
        if there:
            self.warnings.append(f"{len(there)} of {len(there) + len(self._sources)} sources have their masks already.")
        self.lasting = True

    def _unchanged(self, there: list[Source]) -> list[Source]:
        """Those of some sources with masks that the masks are of; a name alone may be another patient's."""
        known = read_sources(self._out) if there else None
        if known is None:  # also of a version that did not write it down
            return there
        same = []
        for source in there:
            one = known.get(source.stem)
            if one is not None and one.state == state_of(source.slices):
                same.append(source)
            elif one is not None and one.said != source.said:
                raise InvalidOption(
                    f"{self._out}: the results called {source.stem} are of {one.said}, and those of {source.said} "
                    "would be called so too. Give another folder with -o, or --overwrite."
                )
            elif one is not None:
                self.warnings.append(f"{source.said} has changed since its results were written: they are made again.")
        return same

    def __enter__(self) -> FileSupply:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def __iter__(self) -> Iterator[Source]:
        return iter(self._sources)

    def written(self, source: Source, masks: Sequence[Path]) -> None:
        """Its results are known as its own, should this inference be stopped."""
        note_source(self._out, source.stem, Known(source.said, state_of(source.slices)))

    def spoken(self, text: str) -> str:
        """Files are called as the user called them."""
        return text

    def finish(self) -> None:
        """Nothing goes back anywhere."""
