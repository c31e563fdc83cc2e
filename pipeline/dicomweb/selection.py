"""What a user means by an archive's address, studies and a query."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.dicomweb.address import Address
from pipeline.dicomweb.archive import Archive, open_archive
from pipeline.dicomweb.choosing import Choice, alike, choose
from pipeline.dicomweb.listing import find_series
from pipeline.dicomweb.patience import Patience
from pipeline.dicomweb.query import Query
from pipeline.errors import MissingFile

__all__ = ["Selection"]


@dataclass(frozen=True)
class Selection:
    """Images of an archive.

    Attributes:
        address: Of the archive, as a user writes it.
        query: What its series have in common.
        patience: How long the archive is waited for.
    """

    address: str = field(repr=False)
    query: Query
    patience: Patience = field(default_factory=Patience)

    @classmethod
    def of(cls, address: str, studies: tuple[str, ...] = (), query: str | None = None) -> Selection:
        """Read what a user wrote.

        Raises: InvalidOption: for an address, identifier or query that cannot be one.
        """
        Address.parse(address)
        return cls(address, Query.parse(query, studies))

    @property
    def shown(self) -> str:
        """The address as it may be written down."""
        return str(Address.parse(self.address))

    def open(self) -> Archive:
        """The archive, after a look at whether it is there.

        Raises: InvalidOption, ArchiveUnreachable: as `open_archive`.
        """
        return open_archive(self.address, self.patience)

    def choose(self, archive: Archive, modality: str = "") -> Choice:
        """The series of images.

        Args:
            archive: From `open`.
            modality: Of the images that are wanted where the query names studies and no more: a study with a film
                may hold a CT as well. "" for all.

        Raises:
            MissingFile: if there are none.
            ArchiveUnreachable, ArchiveRefusal: as `find_series`.
        """
        wanted = alike(modality) if self.query.only_studies else frozenset[str]()
        choice = choose(find_series(archive, self.query), wanted)
        if not choice.images:
            raise MissingFile(f"{archive.address}: {self._nothing(choice, wanted)}")
        return choice

    def _nothing(self, choice: Choice, wanted: frozenset[str]) -> str:
        query = self.query.describe()
        if choice.others:
            kinds = ",".join(sorted(choice.others))
            return (
                f"no series of {' or '.join(sorted(wanted))} found by {query}, but {choice.describe_others()}, which "
                f"the bundle is not made for. --query Modality={kinds} takes them all the same."
            )
        others = choice.describe_left_out()
        what = f"no images, but {others} series" if others else "nothing"
        return f"{what} found by {query}. Is every value right?"
