"""What a run is told when it begins: by which code, on which machine, by whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.tracking import environment
from pipeline.tracking.record import Record

__all__ = ["Provenance"]


@dataclass(frozen=True)
class Provenance:
    """Where a run comes from.

    Attributes:
        code: The checkouts, Planar's first; none without git.
        user: "user" and "host"; empty if they are not to be recorded.
    """

    code: tuple[environment.Checkout, ...]
    user: Mapping[str, str]

    @classmethod
    def now(cls, record_user: bool = True) -> Provenance:
        """Of a run that begins now."""
        return cls(tuple(environment.checkouts()), environment.user_and_host() if record_user else {})

    @property
    def tags(self) -> dict[str, str]:
        """The tags that a run has from its first moment on."""
        tags = {"mlflow.source.name": environment.source_name(), "mlflow.source.type": "LOCAL"}
        if self.user:
            tags |= {"mlflow.user": self.user.get("user", "unknown"), "planar.host": self.user["host"]}
        if self.code:
            first = self.code[0]
            tags |= {"mlflow.source.git.commit": first.commit, "planar.git.dirty": str(first.dirty).lower()}
            tags |= {"mlflow.source.git.branch": first.branch} if first.branch else {}
        return tags

    def log(self, record: Record) -> None:
        """Log `environment.json`, the installed packages and what differs from the last commit."""
        facts = {
            "versions": environment.versions(),
            "machine": environment.machine(),
            "code": [{key: getattr(one, key) for key in ("of", "commit", "branch", "dirty")} for one in self.code],
            **self.user,
        }
        record.text(json.dumps(facts, indent=2) + "\n", "environment.json")
        record.text(environment.lock_text(), "code/requirements.txt")
        for one in self.code:
            if one.diff:
                name = "diff.patch" if one.of == "planar" else "diff_working_folder.patch"
                record.text(one.diff, f"code/{name}")
