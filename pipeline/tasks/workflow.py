"""Running a bundle's own config through MONAI, with our hooks put in and MONAI's chatter kept down."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bundle import Bundle
from pipeline.errors import InvalidBundle
from pipeline.interrupts import interrupts_first
from pipeline.tasks.device import require_device

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monai.bundle import ConfigWorkflow

__all__ = [
    "default_folder",
    "fitting_weights",
    "open_workflow",
    "quiet_libraries",
    "run_recorded",
    "tracking_settings",
]


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """No log lines and warnings from the libraries underneath: a command prints one summary, or one error."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def open_workflow(
    bundle: Bundle,
    kind: str,
    overrides: Mapping[str, Any],
    *,
    tracking: bool = False,
    handlers: Mapping[str, Sequence[object]] | None = None,
) -> ConfigWorkflow:
    """The bundle's config as MONAI's workflow, initialised and ready to run.

    Args:
        bundle: Whose config.
        kind: "train", "evaluate" or "inference".
        overrides: As on MONAI's command line; they win over the config.
        tracking: Whether to bring in `configs/tracking.json`.
        handlers: Ignite handlers to add, by the id of the config's list of handlers.
    Raises: InvalidOption: if the overrides name a device that is not there.
    """
    if "device" in overrides:
        require_device(overrides["device"])
    from monai.bundle import ConfigWorkflow

    workflow = ConfigWorkflow(
        config_file=str(bundle.config(kind)),
        meta_file=str(bundle.metadata) if bundle.metadata.is_file() else None,
        logging_file=False,
        workflow_type="train" if kind == "train" else "eval",
        tracking=str(bundle.tracking) if tracking and bundle.tracking else None,
        bundle_root=str(bundle.root),
        **overrides,
    )
    # After the constructor, which exports the config to JSON for the record: a handler object has no JSON.
    for where, extra in (handlers or {}).items():
        workflow.parser[where] = [*workflow.parser[where], *extra]
    workflow.initialize()
    return workflow


def run_recorded(
    workflow: ConfigWorkflow, recorder_id: str, notes: list[str], tags: Mapping[str, str] | None = None
) -> str | None:
    """Run a workflow; an error, Ctrl-C or SIGTERM ends its MLflow run with the right status before it goes on.

    Args:
        workflow: Opened with `open_workflow`.
        recorder_id: Id of the recorder in its config.
        notes: Gets a line if MLflow does not have the whole record yet.
        tags: Of the MLflow run, next to the recorder's own.
    Returns: The MLflow run's id, or None without tracking.
    """
    recorder = workflow.parser.get_parsed_content(recorder_id) if recorder_id in workflow.parser else None
    if recorder is not None:
        recorder.tags |= tags or {}
    try:
        with interrupts_first():
            workflow.run()
            workflow.finalize()
    except BaseException as error:
        if recorder is not None:
            from pipeline.tracking import status_after

            recorder.close(status_after(error), error)
        raise
    if recorder is None:
        return None
    notes += [recorder.shortfall] if getattr(recorder, "shortfall", None) else []
    return recorder.run_id


@contextmanager
def fitting_weights(weights: Path, config: Path) -> Iterator[None]:
    """Within it, weights of another network than the config's are InvalidBundle."""
    try:
        yield
    except RuntimeError as error:
        deepest: BaseException = error  # MONAI wraps what an expression of a config raises
        while deepest.__cause__ is not None:
            deepest = deepest.__cause__
        said = " ".join(str(deepest).split())
        if "loading state_dict" not in said:
            raise
        raise InvalidBundle(
            f"{weights}: does not load into the network of {config}: {said[:200]} … Give the checkpoint that was "
            "trained with this network."
        ) from error


def tracking_settings(bundle: Bundle, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a bundle's tracking.json says of its runs, such as `experiment_name`, and what overrides it."""
    configs = json.loads(bundle.tracking.read_text(encoding="utf-8")).get("configs", {}) if bundle.tracking else {}
    return {**configs, **(overrides or {})}


def default_folder(bundle: Bundle, what: str) -> Path:
    """`runs/<bundle>/<what>-<time>` in the working folder."""
    from datetime import datetime

    return Path("runs") / bundle.name / f"{what}-{datetime.now():%Y%m%d-%H%M%S}"
