"""How long a fold took, if it was stopped in between."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.tasks.folds import one_fold


@pytest.mark.parametrize(("epochs", "seconds"), [(("60.5", "39.5"), 130.0), ((), 30.0)])
def test_a_fold_that_goes_on_tells_the_time_of_its_epochs_before_too(
    epochs: tuple[str, ...], seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "fold0" / "models"
    models.mkdir(parents=True)
    (models / "last.pt").touch()
    rows = [f"{number},0.5,0.1,{took}" for number, took in enumerate(epochs, 1)]
    if rows:
        (models / "history.csv").write_text("\n".join(["epoch,train_loss,learning_rate,seconds", *rows, ""]))
    done = SimpleNamespace(epochs=3, best_metric=0.9, best_epoch=3, seconds=30.0, run_id=None)
    monkeypatch.setattr(one_fold, "train", lambda *args, **more: done)
    monkeypatch.setattr(one_fold, "_has_ended", lambda *args: False)
    monkeypatch.setattr(one_fold, "read_datalist", lambda path: SimpleNamespace(training=[1], validation=[1]))
    record: Any = SimpleNamespace(root=tmp_path, bundle="b", folder=lambda k: tmp_path / "fold0", datalist=lambda k: "")
    assert one_fold._train(record, 0, {}, {}, None, lambda *_: (), True).seconds == seconds
