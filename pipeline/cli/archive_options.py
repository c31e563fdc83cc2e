"""Options of the commands that take images from an archive."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipeline.dicomweb import Selection

__all__ = ["from_option", "query_option", "selection_of", "study_option"]

from_option: Callable[[Any], Any] = click.option(
    "--from",
    "source",
    metavar="dicomweb://HOST[:PORT]/PATH",
    help="Take the images from a DICOMweb archive; dicomwebs:// speaks TLS.",
)
study_option: Callable[[Any], Any] = click.option(
    "--study", "studies", multiple=True, metavar="UID", help="With --from: the images of this study; several times."
)
query_option: Callable[[Any], Any] = click.option(
    "--query",
    metavar="KEY=VALUE,...",
    help="With --from: all series found, such as Modality=CR,DX,StudyDate=20260101-.",
)


def selection_of(source: str | None, studies: tuple[str, ...], query: str | None) -> Selection | None:
    """The images of an archive that the options mean; None without --from.

    Raises: InvalidOption: for options that mean nothing.
    """
    from pipeline.errors import InvalidOption

    if source is None:
        if studies or query is not None:
            raise InvalidOption("--study and --query choose images of an archive: name it with --from.")
        return None
    from pipeline.dicomweb import Selection

    return Selection.of(source, studies, query)
