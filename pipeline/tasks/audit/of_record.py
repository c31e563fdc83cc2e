"""Whether a record is whole, and what its store has is what was told of the run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.digests import file_sha256
from pipeline.tasks.audit.check import Check, failed, passed, skipped
from pipeline.tasks.audit.material import AuditMaterial
from pipeline.tasks.audit.of_kind import check_kind
from pipeline.tracking import RunFacts
from pipeline.tracking.manifest import FORMAT, LISTED_TAGS, MANIFEST, TAG, params_sha256, points_sha256

__all__ = ["check_record"]


# What Planar records of these has a manifest once it has come to its end.
WITH_MANIFEST = ("training", "evaluation", "inference")


def check_record(material: AuditMaterial) -> Iterator[Check]:
    """The run's end, and its files, numbers and parameters by its manifest."""
    run = material.run
    yield _end(run)
    yield from check_kind(run)
    manifest = _manifest(run)
    if isinstance(manifest, Check):
        yield manifest
        return
    yield _files(run, manifest["files"], material.left_out)
    yield _numbers(run, manifest)


def _end(run: RunFacts) -> Check:
    if run.status == "FINISHED":
        return passed("run", f"{run.kind or 'a run that is not Planar’s'}, FINISHED")
    if run.status in ("RUNNING", "SCHEDULED"):
        return skipped("run", f"{run.status}: it has not come to its end yet. Check it again when it has")
    by = run.tags.get("planar.ended", "")
    how = f"{run.status}{f' ({by})' if by else ''}"
    return skipped("run", f"{how}: it did not come to its end, so that there is no final result to check")


def _manifest(run: RunFacts) -> Check | dict[str, Any]:
    """The manifest, or what is wrong with it."""
    said = run.tags.get(TAG)
    if MANIFEST not in run.files and said:
        return failed("files", f"{MANIFEST} was recorded and is gone: nothing tells which files are as they were")
    # A cross-validation that is gone on with after `kill -9` has a former one, which does not hold any more.
    if said is None and (MANIFEST not in run.files or run.kind == "cross-validation"):
        # Older runs, and those whose process was killed, have none; their config and weights have digests of their own.
        ended = run.status == "FINISHED" and run.kind in WITH_MANIFEST
        return skipped("files", f"the run has no {MANIFEST}, by which its files could be checked", essential=ended)
    path = run.fetch(MANIFEST)
    if file_sha256(path) != said:
        return failed("files", f"{MANIFEST} is not the one whose digest is the tag {TAG}", [MANIFEST])
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError("another format")
        told = {key: dict(content[key]) for key in ("files", "metrics", "params")}
        # Older records do not list their tags.
        return told | ({"tags": dict(content["tags"])} if "tags" in content else {})
    except (ValueError, KeyError, TypeError):
        return failed("files", f"{MANIFEST} cannot be read", [MANIFEST])


def _files(run: RunFacts, listed: Mapping[str, str], left_out: Sequence[str]) -> Check:
    gone = [path for path in listed if path not in run.files and path not in left_out]
    here = [path for path in listed if path in run.files]
    changed = [path for path in here if file_sha256(run.fetch(path)) != listed[path]]
    if gone or changed:
        told = [f"{len(changed)} changed" * bool(changed), f"{len(gone)} gone" * bool(gone)]
        words = f"of {len(listed)} recorded files {' and '.join(filter(None, told))}"
        return failed("files", words, [*changed, *(f"{path} (gone)" for path in gone)])
    more = sorted(set(run.files) - set(listed) - {MANIFEST})
    words = f"{len(here)} recorded files have their digests"
    words += f"; not in the pack: {', '.join(left_out)}" if left_out else ""
    return passed("files", words + (f"; added later: {_first(more)}" if more else ""))


def _numbers(run: RunFacts, manifest: Mapping[str, Any]) -> Check:
    listed = manifest["metrics"]
    wrong = [
        name
        for name, entry in listed.items()
        if points_sha256((point.step, point.value) for point in run.metrics.get(name, ())) != entry.get("sha256")
    ]
    wrong += [
        f"{name}, as MLflow's pages show it" for name in run.shown if name not in wrong and not _is_last(run, name)
    ]
    if params_sha256(run.params) != manifest["params"].get("sha256"):
        wrong.append("the parameters")
    tags = manifest.get("tags")
    if tags is not None:
        own = {name: value for name, value in run.tags.items() if name in LISTED_TAGS}
        wrong += [f"tag {name}" for name in sorted({*own, *tags}) if own.get(name) != tags.get(name)]
    if wrong:
        return failed("numbers", f"{len(wrong)} are not as they were recorded", wrong)
    more = sorted(set(run.metrics) - set(listed))
    words = f"{len(listed)} metrics and {len(run.params)} parameters have their digests"
    words += f", {len(tags)} tags are listed" if tags is not None else "; of its tags this older record has none"
    return passed("numbers", words + (f"; added later: {_first(more)}" if more else ""))


def _is_last(run: RunFacts, name: str) -> bool:
    """Whether the value that pages show, which a store keeps beside all of a metric's, is the last one of these."""
    last, shown = run.latest(name), run.shown[name]
    return last is not None and (shown == last or (math.isnan(shown) and math.isnan(last)))


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
