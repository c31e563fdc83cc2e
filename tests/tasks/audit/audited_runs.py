"""What a recorded training and its evaluation consist of, for tests that change a part of it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path


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
