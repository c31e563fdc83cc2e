"""The folder of a cross-validation, laid out before its first fold or found again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

from pipeline.bundle import Bundle, copy_bundle, note_on_classes, single_network, without_mirroring
from pipeline.datalist import write_datalist
from pipeline.errors import InvalidOption, OutputExists
from pipeline.tasks.folds.dividing import Divided, divide
from pipeline.tasks.folds.record import FoldsRecord, is_folds, read_folds, write_folds
from pipeline.tasks.resuming import data_digest
from pipeline.tasks.workflow import default_folder

__all__ = ["lay_out", "require_same"]


def lay_out(
    source: Bundle, datalist: Path, folds: int, out: Path | None, settings: dict[str, Any], *, shared: bool
) -> tuple[FoldsRecord, list[str]]:
    """Lay out the folder of a cross-validation, whole or not at all.

    Args:
        source: The bundle that is trained.
        datalist: On what.
        folds: Number of folds.
        out: The folder; None for the default.
        settings: Overrides of the train config; they are written into the folder's own copy of the bundle.
        shared: Whether the folder may be there already, for the same cross-validation: another process has laid it out.
    Returns: What it is, and what the user should know.
    """
    if folds < 2:
        raise InvalidOption(f"A cross-validation needs 2 folds or more, got --folds {folds}.")
    folder = (out or default_folder(source, "folds")).resolve()
    divided = divide(datalist, folds, folder)
    labels = dict(enumerate(divided.whole.labels))
    record = FoldsRecord(
        root=folder,
        bundle=source.name,
        folds=folds,
        seed=divided.seed,
        data=divided.whole.name,
        data_sha256=data_digest(divided.whole),
        settings=settings,
    )
    notes = []
    if divided.anew:
        notes.append(
            f"Subjects were divided into {folds} folds (seed {divided.seed}): the datalist has others or none."
        )
    notes += note_on_classes(source.labels("train"), labels)
    mirroring = without_mirroring(source, labels)
    if mirroring:
        notes.append("A class is a left or a right one: pictures are mirrored neither in training nor in inference.")
    if shared and is_folds(folder):
        read_folds(folder).require_same(record)
        return read_folds(folder), notes
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        further = f", or go on with: planar train --resume {quote(str(folder))}" if is_folds(folder) else ""
        raise OutputExists(f"{folder} exists. Give another folder with -o{further}.")
    aside = folder.parent / f".part-{os.getpid()}-{folder.name}"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        copy_bundle(source, aside / "bundle", labels, single_network(source) | mirroring | settings)
        _write_datalists(divided, aside)
        write_folds(record, aside)
        if not _publish(aside, folder):
            read_folds(folder).require_same(record)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return read_folds(folder), notes


def require_same(record: FoldsRecord, settings: Mapping[str, Any], datalist: Path | None, folds: int | None) -> None:
    """Raise InvalidOption if a cross-validation is to go on with something else than it was begun with.

    Args:
        record: The cross-validation.
        settings: Those given now; the others stay.
        datalist: That given now, or None.
        folds: The number given now, or None.
    """
    if folds is not None and folds != record.folds:
        raise InvalidOption(
            f"{record.root} has {record.folds} folds, not {folds}. Leave out --folds, or begin another "
            "cross-validation in another folder."
        )
    record.require_settings(record.settings | dict(settings))
    if datalist is not None:
        divided = divide(datalist, record.folds, record.root)
        record.require_same(replace(record, data_sha256=data_digest(divided.whole)))
        _write_datalists(divided, record.root)  # the pictures may have been moved


def _write_datalists(divided: Divided, folder: Path) -> None:
    write_datalist(divided.whole, folder / "datalist.json", overwrite=True)
    for number, content in enumerate(divided.folds):
        write_datalist(content, folder / f"fold{number}.json", overwrite=True)


def _publish(aside: Path, folder: Path) -> bool:
    """Give a folder its name. False if another process was first."""
    if folder.is_dir():  # empty, and maybe the working folder: it stays, and is filled, its record last
        for part in sorted(aside.iterdir(), key=lambda path: path.name == "folds.json"):
            if is_folds(folder):
                return False
            part.replace(folder / part.name)
        return True
    try:
        aside.rename(folder)
    except OSError:
        if not is_folds(folder):
            raise
        return False
    return True
