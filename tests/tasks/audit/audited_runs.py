"""What a recorded training and its evaluation consist of, for tests that change a part of it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

# A training that takes seconds.
SMALL = (
    "max_epochs=3",
    "val_interval=1",
    "image_size=[64, 64]",
    "num_workers=0",
    "batch_size=4",
    "network_def#channels=[4, 8]",
    "network_def#strides=[2]",
)


@dataclass(frozen=True)
class Story:
    """A recorded training and the evaluation of its weights.

    Attributes:
        folder: Everything lies in it: images, datalist, bundle, store, artifacts.
        training: Its run.
        evaluation: Its run.
    """

    folder: Path
    training: str
    evaluation: str

    @property
    def database(self) -> Path:
        return self.folder / "mlruns.db"

    @property
    def store(self) -> str:
        return f"sqlite:///{self.database}"

    @property
    def datalist(self) -> Path:
        return self.folder / "datalist.json"

    @property
    def bundle(self) -> Path:
        return self.folder / "trained"

    @property
    def weights(self) -> Path:
        return self.bundle / "models" / "model.pt"

    def artifact(self, run_id: str, pattern: str) -> Path:
        """The one file in the store that an artifact's pattern means."""
        (found,) = (self.folder / "mlruns").glob(f"*/{run_id}/artifacts/{pattern}")
        return found

    def sql(self, statement: str, *values: object) -> None:
        """Change the store's database, as one who has its file can."""
        with sqlite3.connect(self.database) as database:
            assert database.execute(statement, values).rowcount > 0, "nothing was changed"
        database.close()
