"""What a record says of its data to the items of a checklist; empty where it says nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.card_facts import CardFacts
from pipeline.split import SEEDS_TRIED
from pipeline.tracking.recorded import recorded_cases

# What stands for a case in a record, and never for a file.
PSEUDONYM = "case-"


def data(facts: CardFacts) -> str:
    """CLAIM 7."""
    parts = "; ".join(f"{part.cases} images for {part.name}" for part in facts.parts)
    others = sorted({scored.view.data for scored in facts.evaluations} - {facts.data})
    tested = f" Tested besides on {', '.join(others)}." if others else ""
    return f"{facts.data}: {parts}.{tested}" if parts else ""


def refused(facts: CardFacts) -> str:
    """CLAIM 8 and 13."""
    if not all(isinstance(facts.datalist.get(key), (Mapping, list)) for key in ("refused", "warnings")):
        return ""
    told = []
    for what, counter in zip(("Refused by the index", "Kept with a warning"), facts.findings, strict=True):
        counted = [f"{count} {code.replace('_', ' ')}" for code, count in counter.most_common()]
        told += [f"{what}: {', '.join(counted)}."] if counted else []
    return " ".join(told) or "The index refused no file."


def preprocessing(facts: CardFacts) -> str:
    """CLAIM 9: the names of the transforms in their order."""
    train = facts.config.get("train")
    of_training = train.get("deterministic_transforms") if isinstance(train, Mapping) else None
    of_image = facts.config.get("image_preprocessing")
    steps = of_training or (of_image.get("transforms") if isinstance(of_image, Mapping) else None)
    names = transform_names(steps)
    return f"In this order: {', '.join(names)}; their parameters are in the recorded config." if names else ""


def definitions(facts: CardFacts) -> str:
    """CLAIM 11."""
    return f"Classes by number: {', '.join(facts.classes)}." if facts.datalist.get("labels") else ""


def deidentified(facts: CardFacts) -> str:
    """CLAIM 12, as far as the record itself goes."""
    cases = recorded_cases(facts.main) or ()
    if not cases or not all(case.name.startswith(PSEUDONYM) for case in cases):
        return ""
    return "In this record cases and subjects are called by digests: it holds no names of files and no PatientID."


def reference(facts: CardFacts) -> str:
    """CLAIM 14."""
    cases = [case for case in recorded_cases(facts.main) or () if case.label_sha256]
    return f"The masks of {len(cases)} images, taken as true; the digest of each is recorded." if cases else ""


def partitions(facts: CardFacts) -> str:
    """CLAIM 20."""
    said = facts.split
    method = str(said.get("method", ""))
    shares = said.get("fractions")
    if method.startswith("seeded"):
        told = f"By a hash of each subject and the seed {said.get('seed')}"
        if method != "seeded":
            told += f", of {SEEDS_TRIED} such splits the one that shares out the classes most evenly"
        if isinstance(shares, Mapping):
            told += f"; asked for were {' / '.join(f'{100 * share:g} %' for share in shares.values())}"
    elif method.startswith("column"):
        told = "As a table of the data set says"
    elif method == "as joined":
        told = "As in each of the data sets that were joined"
    elif method == "test only":
        told = "All cases are for testing"
    else:
        return ""
    return f"{told}: {size(facts)}." if facts.parts else f"{told}."


def disjoint(facts: CardFacts) -> str:
    """CLAIM 21: checked in the recorded list of cases and not taken from what was meant to be."""
    sides = facts.subjects_on_two_sides
    if sides is None:
        return ""
    if sides:
        return f"NOT disjoint: {sides} subjects are in more than one part."
    if "one subject a file" in str(facts.split.get("subjects_from", "one subject a file")):
        return (
            "By subject as far as subjects were known; an image without one counts as one of its own, so that a "
            "patient may be in two parts."
        )
    return "By subject: no subject is in two parts (counted in the recorded list of cases)."


def independent(facts: CardFacts) -> str:
    """GMLP 4."""
    roots = {part.name: part.merkle_root[:12] for part in facts.parts if part.merkle_root}
    digests = f" Merkle roots: {', '.join(f'{name} {root}' for name, root in roots.items())}." if roots else ""
    told = disjoint(facts)
    return f"{told}{digests}" if told else ""


def size(facts: CardFacts) -> str:
    """CLAIM 33: images and subjects of each part."""
    return "; ".join(
        f"{part.name} {part.cases} images"
        + (" of an unknown number of subjects" if part.subjects is None else f" of {part.subjects} subjects")
        for part in facts.parts
    )


def transform_names(steps: Any) -> list[str]:
    """The names of transforms in a config, without their modules."""
    listed: Sequence[Any] = steps if isinstance(steps, list) else []
    return [
        str(step["_target_"]).rpartition(".")[2] for step in listed if isinstance(step, Mapping) and "_target_" in step
    ]
