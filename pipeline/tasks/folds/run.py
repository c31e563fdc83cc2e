"""Train a bundle in folds, each on the other folds' subjects, and score each case by the network that is new to it."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.atomic import write_text_aside
from pipeline.bundle import Bundle, checked_overrides, find_bundle
from pipeline.datalist import read_datalist
from pipeline.errors import InvalidOption
from pipeline.interrupts import interrupts_first
from pipeline.tasks.folds.one_fold import Handlers, do_fold
from pipeline.tasks.folds.preparing import lay_out, require_same
from pipeline.tasks.folds.record import FoldsRecord, FoldState, read_folds, read_state
from pipeline.tasks.folds.table import TABLES, Table, write_tables
from pipeline.tasks.lock import held
from pipeline.tasks.prepared import train_config
from pipeline.tasks.train import SET_ELSEWHERE
from pipeline.tasks.union_lists import require_unions_known
from pipeline.tasks.workflow import tracking_settings

if TYPE_CHECKING:
    from pipeline.tracking import ParentRun

__all__ = ["CrossValidation", "train_folds"]


@dataclass(frozen=True)
class CrossValidation:
    """What a cross-validation came to.

    Attributes:
        record: What it is.
        states: Each fold that is done.
        table: All cases out of fold; None while folds are left.
        seconds: Duration, s.
        run_id: MLflow run over those of the folds, or None without tracking.
        notes: What the user should know.
    """

    record: FoldsRecord
    states: tuple[FoldState, ...]
    table: Table | None
    seconds: float
    run_id: str | None
    notes: tuple[str, ...]


def train_folds(
    name_or_path: str,
    datalist: Path | None,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    *,
    folds: int | None = None,
    only: int | None = None,
    resume: bool = False,
    tracking: bool = True,
    handlers: Handlers = lambda fold, stage: (),
    on_loading: Callable[[], None] = lambda: None,
    on_fold: Callable[[FoldState], None] = lambda state: None,
) -> CrossValidation:
    """Train a copy of a bundle for each fold, and score each fold's own cases with it.

    Args:
        name_or_path: The bundle; with `resume` the folder of the cross-validation to go on with.
        datalist: `datalist.json`; with `resume` it may be left out.
        out: Folder of the cross-validation; default `runs/<bundle>/folds-<time>`.
        overrides: `key=value` for the train config, the same for all folds.
        folds: Number of folds; with `resume` it may be left out.
        only: Train this fold alone; other processes may train the others in the same folder.
        resume: Go on: finished folds are kept, one that was begun goes on from its `last.pt`.
        tracking: Whether to record MLflow runs.
        handlers: Given a fold and "training" or "scoring", Ignite handlers for it, such as a progress bar.
        on_loading: Called when all that can be checked fast is right, before libraries and pictures are loaded.
        on_fold: Told of each fold that is done, also of those that were done before.

    Raises:
        InvalidBundle, InvalidDatalist, InvalidSplit, InvalidOption, OutputExists: before anything is trained.
    """
    began = time.perf_counter()
    notes: list[str] = []
    if resume:
        if out is not None and out.resolve() != Path(name_or_path).resolve():
            raise InvalidOption("--resume goes on in the cross-validation's own folder; leave out -o.")
        record = read_folds(Path(name_or_path))
        settings = _settings(record.root / "bundle", overrides)
        require_same(record, settings, datalist, folds)
        settings = record.settings | settings
    else:
        if datalist is None or folds is None:
            raise InvalidOption("A cross-validation needs a datalist (--data) and a number of folds (--folds).")
        settings = _settings(name_or_path, overrides)
        source = find_bundle(name_or_path)
        if only is not None:
            _require_fold(only, folds)
        require_unions_known(read_datalist(datalist), datalist, known=False, by="a cross-validation")
        record, notes = lay_out(source, datalist, folds, out, settings, shared=only is not None)
    if only is not None:
        _require_fold(only, record.folds)
    config = train_config(Bundle(record.root / "bundle", record.bundle))
    on_loading()

    parent = _parent_run(record, settings) if tracking else None
    try:
        with interrupts_first():
            for fold in range(record.folds) if only is None else [only]:
                on_fold(do_fold(record, fold, settings, config, parent=parent, handlers=handlers, may_go_on=resume))
                # Engines and their handlers hold one another: the last fold's pictures and loading processes would
                # stay, and the processes that the next one forks would trip over them.
                gc.collect()
            read = [read_state(record, fold) for fold in range(record.folds)]
            states = tuple(state for state in read if state is not None)
            done = len(states) == record.folds and all(state.out_of_fold is not None for state in states)
            table = write_tables(record, states) if done else None
    except BaseException as error:
        if getattr(error, "__notes__", None):  # of the fold: it goes on with the others, not by itself
            error.__notes__ = [f"Go on with: planar train --resume {record.root}"]
        if parent is not None:
            from pipeline.tracking import status_after

            parent.close(status_after(error), error)
        raise
    if parent is not None:
        _end_parent(parent, record, states, table)
        notes += [parent.shortfall] if parent.shortfall else []
    return CrossValidation(
        record=record,
        states=states,
        table=table,
        seconds=time.perf_counter() - began,
        run_id=parent.run_id if parent is not None else None,
        notes=tuple(notes),
    )


def _settings(name_or_path: str | Path, overrides: Sequence[str]) -> dict[str, Any]:
    return checked_overrides(tuple(overrides), find_bundle(str(name_or_path)).config("train"), SET_ELSEWHERE)


def _require_fold(fold: int, folds: int) -> None:
    if not 0 <= fold < folds:
        raise InvalidOption(f"There is no fold {fold}: of {folds} folds the numbers are 0 to {folds - 1}.")


def _parent_run(record: FoldsRecord, settings: Mapping[str, Any]) -> ParentRun:
    """The MLflow run over those of the folds: the one that was begun, or a new one."""
    from pipeline.tracking import ParentRun

    note = record.root / "parent_run.json"
    said = tracking_settings(Bundle(record.root / "bundle", record.bundle), settings)
    parent = ParentRun(
        experiment=str(said.get("experiment_name") or record.bundle),
        run_name=said.get("run_name") or f"{record.bundle} {record.folds} folds",
        uri=said.get("tracking_uri"),
        params={"folds": record.folds, "seed_of_folds": record.seed, "data": record.data, **record.settings},
        tags={"planar.kind": "cross-validation", "planar.data_sha256": record.data_sha256},
        config=record.root / "folds.json",
        datalist=record.root / "datalist.json",
    )
    with held(record.root / ".parent_run.lock"):
        before = json.loads(note.read_text(encoding="utf-8"))["run_id"] if note.is_file() else None
        run_id = parent.open(before)
        if run_id != before:
            write_text_aside(note, json.dumps({"run_id": run_id}) + "\n")
    return parent


def _end_parent(parent: ParentRun, record: FoldsRecord, states: Sequence[FoldState], table: Table | None) -> None:
    if table is None:
        parent.pause()
        return
    parent.log_metrics(_over_folds(states) | table.figures, step=0)
    parent.results = {f"tables/{name}": str(record.root / name) for name in TABLES}
    parent.finish()


def _over_folds(states: Sequence[FoldState]) -> dict[str, float]:
    """Mean and standard deviation over the folds of what each fold came to."""
    columns: dict[str, list[float]] = {"best_val_mean_dice": [state.best_metric for state in states]}
    for state in states:
        for name, value in (state.out_of_fold or {}).items():
            if value is not None:
                columns.setdefault(f"out_of_fold_dice_{name}", []).append(value)
    found: dict[str, float] = {}
    for name, values in columns.items():
        found[f"{name}_mean_of_folds"] = statistics.fmean(values)
        if len(values) > 1:
            found[f"{name}_sd_of_folds"] = statistics.stdev(values)
    return found
