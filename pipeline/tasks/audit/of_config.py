"""Whether the settings are those that the run was made with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeline.bundle import config_digests
from pipeline.digests import file_sha256
from pipeline.tasks.audit.check import Check, failed, passed, skipped
from pipeline.tasks.audit.material import AuditMaterial
from pipeline.tracking import RunFacts
from pipeline.tracking.recorded import config_artifact

__all__ = ["check_config"]

# How the bundle was run, what it was planned by and how it logs: an edit there changes no result.
WITHOUT_EFFECT = ("configs/logging.conf", "configs/fingerprint.json", "configs/plan.json")


def check_config(material: AuditMaterial) -> Iterator[Check]:
    """The executed config of the record, and the configs of the bundle that it came from."""
    yield _executed(material.run)
    yield _of_bundle(material)


def _executed(run: RunFacts) -> Check:
    path, said = config_artifact(run), run.tags.get("planar.config_sha256")
    if path is None:
        if said:
            return failed("config", "the executed config was recorded and is gone", ["config/"])
        return skipped("config", "the executed config was not recorded")
    if said is None:
        return skipped("config", f"the digest of {path} was not recorded")
    found = file_sha256(run.fetch(path))
    if found != said:
        return failed("config", f"the executed config has {found[:12]}, recorded is {said[:12]}", [path])
    return passed("config", f"the executed config is the one that was recorded ({said[:12]})")


def _of_bundle(material: AuditMaterial) -> Check:
    about = "bundle"
    recorded = material.run.json("code/bundle.json")
    if not isinstance(recorded, Mapping):
        return skipped(about, "the run says nothing of its bundle's configs", essential=False)
    if material.bundle is None:
        hint = "it is no part of a pack" if material.packed else "it is not known here where it is; give --bundle"
        return skipped(about, f"the bundle's configs: {hint}", essential=False)
    found = config_digests(material.bundle.root)
    changed = [name for name, digest in recorded.items() if name in found and found[name] != digest]
    gone = [name for name in recorded if name not in found]
    grave = [name for name in (*changed, *gone) if name not in WITHOUT_EFFECT]
    root = material.bundle.root
    if grave:
        words = f"{len(grave)} of {len(recorded)} configs of {material.bundle.name} are not those of the run"
        return failed(about, words, [f"{root / name}{' (gone)' if name in gone else ''}" for name in grave])
    light = [name for name in (*changed, *gone) if name in WITHOUT_EFFECT]
    words = f"{len(recorded) - len(light)} configs of {material.bundle.name} are those of the run"
    return passed(about, words + (f"; changed, without effect on results: {', '.join(light)}" if light else ""))
