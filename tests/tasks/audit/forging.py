"""Forging a pack so that it agrees with itself: manifest, its tag and the pack's list are written anew."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.tracking.manifest import params_sha256, points_sha256

DOCUMENTS = ("model_card.md", "checklist.md", "report.html")


@dataclass
class Forged:
    """What a forger has before them: a pack's files, to be changed in place."""

    content: dict[str, bytes]
    run_id: str

    def path(self, artifact: str, run_id: str = "") -> str:
        (found,) = (
            name for name in self.content if name.startswith(f"runs/{run_id or self.run_id}/") and artifact in name
        )
        return found

    def json(self, artifact: str, change: Callable[[Any], None], run_id: str = "") -> None:
        """Change a JSON file of a run: an artifact, or "run.json"."""
        path = self.path(artifact, run_id)
        content = json.loads(self.content[path])
        change(content)
        self.content[path] = json.dumps(content).encode()

    def text(self, artifact: str, change: Callable[[str], str], run_id: str = "") -> None:
        path = self.path(artifact, run_id)
        changed = change(self.content[path].decode())
        assert changed != self.content[path].decode(), "nothing was changed"
        self.content[path] = changed.encode()

    def agree(self, run_id: str = "") -> None:
        """Give a run the manifest of what it is now, and the tag of that."""
        run_id = run_id or self.run_id
        start = f"runs/{run_id}/artifacts/"
        manifest, record = self.path("/manifest.json", run_id), self.path("/run.json", run_id)
        listed, run = json.loads(self.content[manifest]), json.loads(self.content[record])
        for name in listed["files"]:
            if start + name in self.content:
                listed["files"][name] = hashlib.sha256(self.content[start + name]).hexdigest()
        listed["metrics"] = {
            name: {"points": len(points), "sha256": points_sha256((step, float(value)) for step, value, _ in points)}
            for name, points in run["metrics"].items()
        }
        listed["params"] = {"count": len(run["params"]), "sha256": params_sha256(run["params"])}
        if "tags" in listed:
            listed["tags"] = {name: run["tags"][name] for name in listed["tags"] if name in run["tags"]}
        self.content[manifest] = json.dumps(listed).encode()
        run["tags"]["planar.manifest_sha256"] = hashlib.sha256(self.content[manifest]).hexdigest()
        self.content[record] = json.dumps(run).encode()


def forge(
    source: Path, out: Path, change: Callable[[Forged], None], *, agree: bool = True, documents: bool = False
) -> Path:
    """A pack with changes, which agrees with itself.

    Args:
        source: The pack.
        out: Where the other one is written.
        change: Changes files.
        agree: Whether the manifest of its run is written anew.
        documents: Whether what is written for people stays; else it is left out, as a forger would.
    """
    with zipfile.ZipFile(source) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    about = json.loads(content.pop("pack.json"))
    if not documents:
        content = {name: data for name, data in content.items() if name not in DOCUMENTS}
    forged = Forged(content, about["run"])
    change(forged)
    if agree:
        forged.agree()
    about["files"] = _listed(forged.content)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [("pack.json", json.dumps(about, indent=2).encode()), *forged.content.items()]:
            archive.writestr(name, data)
    return out


def _listed(content: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    return {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in sorted(content.items())
    }
