"""`planar label`."""

from __future__ import annotations

import click

from pipeline.cli.lazy_group import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "start": ("pipeline.cli.label.start", "Start a MONAI Label server on a folder or a DICOM archive."),
}


@click.group("label", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Annotate with bundles in 3D Slicer or OHIF, and train them from what was annotated."""
