"""Whether the record of an inference agrees with itself: what went in and what came out are known by digests alone."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from pipeline.tasks.audit.case_tables import CASES
from pipeline.tasks.audit.check import Check, failed, passed, skipped
from pipeline.tracking import RunFacts
from pipeline.tracking.datasets import case_leaf, merkle_root
from pipeline.tracking.recorded import merkle_roots

__all__ = ["KIND", "check_inference"]

KIND = "inference"
# Part of the record's Merkle roots, the tag that says the same, and the columns that it is over.
ROOTS = (
    (KIND, "planar.inputs_merkle", ("image_sha256",)),
    ("results", "planar.results_merkle", ("image_sha256", "mask_sha256")),
)


def check_inference(run: RunFacts) -> Iterator[Check]:
    """The table of sources with the Merkle roots over the pixels that went in, and over the masks that came out."""
    if CASES not in run.files:
        yield skipped("sources", f"the run has recorded no {CASES}")
        return
    with run.fetch(CASES).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    done = [row for row in rows if row["image_sha256"]]
    stated = merkle_roots(run)
    wrong = []
    for part, tag, columns in ROOTS:
        root = merkle_root([case_leaf(*(row[column] for column in columns)) for row in done])
        said = {**stated.get(part, {}), **({f"tag {tag}": run.tags[tag]} if tag in run.tags else {})}
        wrong += [f"{part}: {where}" for where, other in said.items() if other != root]
        wrong += [] if said else [f"{part}: no Merkle root was recorded"]
    if wrong:
        yield failed("sources", f"{CASES} does not give the recorded Merkle roots", wrong)
    else:
        refused = f"; {len(rows) - len(done)} were refused" if len(rows) > len(done) else ""
        yield passed("sources", f"{len(done)} sources and their masks give the recorded Merkle roots{refused}")
    words = f"where the sources lay is not recorded; the SHA-256 of their pixels and of each mask is in {CASES}"
    yield skipped("images", words, essential=False)
