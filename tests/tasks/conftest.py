"""A cross-validation that several tests look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pipeline.tasks.folds import CrossValidation

SMALL = (
    "max_epochs=2",
    "val_interval=1",
    "image_size=[64, 64]",
    "num_workers=0",
    "batch_size=4",
    "network_def#channels=[4, 8]",
    "network_def#strides=[2]",
)


@dataclass
class Story:
    """A cross-validation of two folds that was stopped in the second epoch of the second fold, and resumed.

    Attributes:
        folder: Of the folds.
        store: Of its runs.
        stopped: Status of each run, by name, when it was stopped.
        kept: Weights and checkpoints of the first fold then, by name.
        settings: Of its training.
        told: Folds that were told of when it went on.
        result: What it came to.
    """

    folder: Path
    store: str
    stopped: dict[str, str]
    kept: dict[str, bytes]
    settings: tuple[str, ...] = SMALL
    told: list[int] = field(default_factory=list)
    result: CrossValidation | None = None


class _Stop:
    """Ctrl-C in an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def attach(self, engine: Any) -> None:
        from ignite.engine import Events

        engine.add_event_handler(Events.EPOCH_STARTED(once=self.epoch), self.stop)

    def stop(self, engine: Any) -> None:
        raise KeyboardInterrupt


@pytest.fixture(scope="session")
def cross_validation(tmp_path_factory: pytest.TempPathFactory, phantom_datalist: Path) -> Story:
    """Two folds on the phantom films, one of them in two parts."""
    # A bundle takes a thread for each core; with pictures this small they would wait for one another.
    import torch
    from mlflow import MlflowClient

    from pipeline.tasks.folds import train_folds

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("cross_validation")
    store = f"sqlite:///{folder / 'mlruns.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store)
        patch.chdir(folder)
        patch.setattr(torch, "set_num_threads", lambda number: None)
        with pytest.raises(KeyboardInterrupt):
            train_folds(
                "cxr_lung_segmentation",
                phantom_datalist,
                folder / "cv",
                SMALL,
                folds=2,
                handlers=lambda fold, stage: [_Stop(2)] if (fold, stage) == (1, "training") else [],
            )
        client = MlflowClient(store)
        (experiment,) = client.search_experiments(filter_string="name = 'cxr_lung_segmentation'")
        runs = client.search_runs([experiment.experiment_id])
        # As after kill -9, which ends no run.
        child = next(run for run in runs if run.data.tags.get("planar.fold") == "1")
        stopped = {run.info.run_name: run.info.status for run in runs}
        client.update_run(child.info.run_id, status="RUNNING")
        kept = {path.name: path.read_bytes() for path in (folder / "cv" / "fold0" / "models").iterdir()}
        story = Story(folder / "cv", store, stopped, kept)
        story.result = train_folds(
            str(folder / "cv"), None, resume=True, on_fold=lambda state: story.told.append(state.fold)
        )
    return story
