"""Whether images, masks and their parts are those that the run was given."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.datalist import pixel_digest, read_datalist
from pipeline.digests import file_sha256
from pipeline.errors import PlanarError
from pipeline.readers import read_picture
from pipeline.split import PARTS
from pipeline.tasks.audit.case_lists import differences, paired
from pipeline.tasks.audit.check import Check, failed, passed, skipped
from pipeline.tasks.audit.material import AuditMaterial
from pipeline.tasks.audit.of_inference import KIND, check_inference
from pipeline.tracking import RunFacts
from pipeline.tracking.datasets import case_leaf, merkle_root
from pipeline.tracking.facts import DatasetUse
from pipeline.tracking.recorded import RecordedCase, datalist_artifact, merkle_roots, recorded_cases, scored_part
from pipeline.tracking.state import places_of

__all__ = ["check_data"]

Progress = Callable[[int], Callable[[], None]]


@dataclass(frozen=True)
class HereCase:
    """A case of the datalist that is here.

    Attributes:
        listed: What the datalist says of it.
        images: Its image files.
        labels: Its mask files.
        image_sha256: Digest of the image's pixels as they are; "" if they cannot be read.
        label_sha256: Digest of the mask's pixels as they are.
        faults: What cannot be read, and why.
    """

    listed: RecordedCase
    images: tuple[str, ...]
    labels: tuple[str, ...]
    image_sha256: str
    label_sha256: str
    faults: tuple[str, ...]


def check_data(material: AuditMaterial, progress: Progress) -> Iterator[Check]:
    """The datalist, the pixels of each image and mask, one Merkle root a part, and subjects on one side.

    Of an inference, which has no datalist, what it says of its sources.

    Args:
        material: The run and the datalist that is here.
        progress: Told the number of cases to decode; what it returns is called after each.
    """
    run = material.run
    if run.kind == KIND:
        yield from check_inference(run)
        return
    recorded = recorded_cases(run)
    if recorded is None:
        yield skipped("datalist", "the run has recorded no datalist")
    else:
        yield from _within_record(run, recorded)
    if material.datalist is None or not material.datalist.is_file():
        yield _no_datalist(material)
        return
    part = scored_part(run) if run.kind == "evaluation" else None
    try:
        content = read_datalist(material.datalist)
        listed = [(name, item) for name in PARTS for item in content.part(name)]
    except PlanarError as error:
        yield failed("datalist", " ".join(str(error).split()), [str(material.datalist)])
        return
    wanted = [pair for pair in listed if part in (None, pair[0])]
    advance = progress(len(wanted))
    here = []
    for name, item in wanted:
        here.append(_look_at(name, item, material.datalist))
        advance()
    unread = [RecordedCase.of(name, item) for name, item in listed if part not in (None, name)]
    yield _datalist(run, material.datalist, recorded, [*(one.listed for one in here), *unread])
    if recorded is not None:
        yield from _pixels(here, [case for case in recorded if part in (None, case.part)])
    yield from _roots(run, here)


def _no_datalist(material: AuditMaterial) -> Check:
    if material.packed:
        return skipped(
            "images", "the image files are no part of a pack; give --data to check them as well", essential=False
        )
    where = f"{material.datalist} is not there" if material.datalist else "it is not known here where they are"
    return skipped("images", f"{where}: name the datalist with --data")


def _within_record(run: RunFacts, cases: Sequence[RecordedCase]) -> Iterator[Check]:
    """Whether the record agrees with itself: its cases with its Merkle roots, and no subject on two sides."""
    wrong, checked = [], 0
    for part, stated in merkle_roots(run).items():
        root = _root([(case.image_sha256, case.label_sha256) for case in cases if case.part == part])
        checked += len(stated)
        wrong += [f"{where}, {part}" for where, said in stated.items() if said != root]
    unlike = [f"the dataset {use.name} ({use.digest})" for use in run.datasets if not _as_recorded(run, use)]
    if wrong:
        yield failed("record of data", "the recorded cases do not give the recorded Merkle roots", wrong)
    elif unlike:
        yield failed("record of data", "what MLflow calls the data is not the recorded name, part and root", unlike)
    elif checked:
        yield passed("record of data", f"{len(cases)} recorded cases give the recorded Merkle roots")
    else:
        yield skipped("record of data", "the run has recorded no Merkle root", essential=False)
    sides = defaultdict(set)
    for case in cases:
        sides[case.subject].add(case.part)
    both = [subject for subject, parts in sides.items() if subject and len(parts) > 1]
    if both:
        yield failed("subjects", f"{len(both)} subjects are in more than one part", both)
    elif any(sides):
        yield passed("subjects", f"{len(sides)} subjects, each in one part")


def _as_recorded(run: RunFacts, use: DatasetUse) -> bool:
    """Whether the name and the short digest that MLflow's pages show are those of the recorded datalist and root."""
    root = str(use.profile.get("merkle_root") or use.digest)
    artifact = datalist_artifact(run)
    recorded = run.json(artifact) if artifact is not None else None
    name = recorded.get("name") if isinstance(recorded, Mapping) else None
    return root.startswith(use.digest) and name in (None, use.name.removesuffix(f" {use.context}"))


def _look_at(part: str, item: Mapping[str, Any], datalist: Path) -> HereCase:
    folder = os.path.realpath(datalist.parent)
    faults: list[str] = []

    def files(key: str) -> tuple[str, ...]:
        entry = item.get(key)
        listed = entry if isinstance(entry, list) else [] if entry is None else [entry]
        return tuple(os.path.normpath(os.path.join(folder, one)) for one in listed)  # noqa: PTH118

    def digest(paths: Sequence[str], labels: bool) -> str:
        try:
            return pixel_digest(*(read_picture(path, labels=labels).array for path in paths)) if paths else ""
        except (PlanarError, OSError) as error:
            faults.append(" ".join(str(error).split()))
            return ""

    images, labels = files("image"), files("label")
    found = digest(images, False), digest(labels, True)
    listed = RecordedCase.of(part, item)
    # A datalist of another tool has no digests; a run records those of the pixels.
    listed = replace(listed, image_sha256=listed.image_sha256 or found[0], label_sha256=listed.label_sha256 or found[1])
    return HereCase(listed, images, labels, *found, tuple(faults))


def _datalist(
    run: RunFacts, path: Path, recorded: Sequence[RecordedCase] | None, here: Sequence[RecordedCase]
) -> Check:
    """Whether the file is the one that was used, or another one with the same cases."""
    known = {run.tags.get("planar.datalist_sha256"), places_of(run.run_id).get("datalist_sha256")} - {None}
    same_file = file_sha256(path) in known
    if recorded is None:
        if same_file:
            return passed("datalist", f"{path.name} is the file that was used")
        return failed("datalist", "it is not the file that was used", [str(path)]) if known else _unknown()
    found = differences(recorded, here, folds=run.kind == "cross-validation")
    if found:
        return failed("datalist", f"{path}: {len(found)} differences from the record", found)
    if same_file:
        return passed("datalist", f"{path.name} is the file that was used: {len(here)} cases")
    if not all(case.image_sha256 for case in (*recorded, *here)):
        return failed("datalist", "it is not the file that was used, and has no digests to compare", [str(path)])
    return passed("datalist", f"{path.name} is another file with the same {len(here)} cases in the same parts")


def _unknown() -> Check:
    return skipped("datalist", "neither its digest nor its cases were recorded")


def _pixels(here: Sequence[HereCase], recorded: Sequence[RecordedCase]) -> Iterator[Check]:
    """Whether each image and mask has the pixels that were recorded of it."""
    by_listed = {id(one.listed): one for one in here}
    wrong: dict[str, list[str]] = {"images": [], "masks": []}
    seen = Counter[str]()
    for case, before in paired([one.listed for one in here], list(recorded)):
        found = by_listed[id(case)]
        said = before or case
        for kind, files, now, then in (
            ("images", found.images, found.image_sha256, said.image_sha256),
            ("masks", found.labels, found.label_sha256, said.label_sha256),
        ):
            if not files and not then:
                continue
            seen[kind] += 1
            if not then:
                wrong[kind].append(f"{', '.join(files)} (no digest was recorded)")
            elif now != then:
                wrong[kind].append(", ".join(files) or f"{case.name} (no file)")
    faults = [fault for one in here for fault in one.faults]
    for kind, changed in wrong.items():
        if changed:
            unread = f"; unreadable: {'; '.join(faults[:2])}" if faults else ""
            yield failed(kind, f"{len(changed)} of {seen[kind]} do not have the recorded pixels{unread}", changed)
        elif seen[kind]:
            yield passed(kind, f"{seen[kind]} decoded, each with the recorded pixels")


def _roots(run: RunFacts, here: Sequence[HereCase]) -> Iterator[Check]:
    """The Merkle root of each part over the pixels as they are."""
    for part, stated in merkle_roots(run).items():
        cases = [one for one in here if one.listed.part == part]
        if not cases:
            continue
        root = _root([(one.image_sha256, one.label_sha256) for one in cases])
        wrong = [where for where, said in stated.items() if said != root]
        if wrong:
            said = next(iter(stated.values()))
            yield failed(f"{part} set", f"Merkle root {root[:12]} over {len(cases)} cases, recorded {said[:12]}", wrong)
        else:
            yield passed(f"{part} set", f"Merkle root {root[:12]} over {len(cases)} cases, as recorded")


def _root(cases: Sequence[tuple[str, str]]) -> str:
    try:
        return merkle_root([case_leaf(image, label) for image, label in cases])
    except ValueError:  # no digest
        return "none"
