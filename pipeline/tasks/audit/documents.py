"""What a pack has for people to read, from the record of its runs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pipeline.report
from pipeline.report.card_facts import CardFacts
from pipeline.report.checklist import checklist
from pipeline.report.model_card import model_card

__all__ = [
    "CARD",
    "CHECKLIST",
    "README",
    "RECORDED_REPORT",
    "REPORT",
    "documents_of",
    "readme_of",
    "report_of",
    "wording",
]

CARD, CHECKLIST, REPORT, README = "model_card.md", "checklist.md", "report.html", "README.txt"
RECORDED_REPORT = "report/report.html"

ABOUT = """\
The record of {what}, packed by Planar {version}.

{contents}
To check it: planar audit verify PACK.zip
With the images: planar audit verify PACK.zip --data datalist.json
No MLflow server and no network is needed.

By hand: pack.json has the SHA-256 of each file. If there is a signature.json, it signs the bytes of pack.json (ed25519,
hexadecimal) with the key whose public half stands beside it; whose key that is must be known from elsewhere.

{pictures}
A case is called by the beginning of the SHA-256 over its pixels, which whoever has the image can compute again. Without
a signature the digests tell damage, but not forgery.
"""
WITH_PICTURES = """\
The images themselves are not in it, and no names of files or patients; small pictures of some cases are: look at them
for names burnt into the pixels before you give it away."""
WITHOUT_PICTURES = "No image or picture of a case is in it, and no names of files or patients."
TOLD = {
    REPORT: "the scores with pictures, for a browser; opens without a network",
    CARD: "what the model was trained on, what it scores, and what that does not show",
    CHECKLIST: "CLAIM, Good Machine Learning Practice and Metrics Reloaded, as far as the record answers them",
}


def documents_of(facts: CardFacts) -> dict[str, str]:
    """The model card and the checklist, by their names."""
    return {CARD: model_card(facts), CHECKLIST: checklist(facts)}


def report_of(facts: CardFacts) -> Path | None:
    """The report of the first evaluation that has recorded one."""
    runs = [scored.run for scored in facts.evaluations if RECORDED_REPORT in scored.run.files]
    return runs[0].fetch(RECORDED_REPORT) if runs else None


def wording() -> str:
    """Digest of the code that writes documents: of other code the same record gives other words."""
    root = Path(pipeline.report.__file__).parent
    sources = sorted([*root.rglob("*.py"), *root.rglob("*.md.j2")])
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def readme_of(what: str, version: str, documents: list[str], *, pictures: bool = True) -> str:
    """What a pack is and how it is checked, for people who do not know Planar.

    Args:
        what: "the training 1a2b3c4d".
        version: Of Planar.
        documents: Which documents it has.
        pictures: Whether cases are shown in it.
    """
    lines = [f"{document:<18}{TOLD[document]}" for document in (REPORT, CARD, CHECKLIST) if document in documents]
    lines += [
        f"{'runs/':<18}each run: run.json (parameters, metrics, tags), artifacts (config, data, tables, code, weights)",
        f"{'pack.json':<18}the SHA-256 of each of these files",
    ]
    shown = WITH_PICTURES if pictures else WITHOUT_PICTURES
    return ABOUT.format(what=what, version=version, contents="".join(f"{line}\n" for line in lines), pictures=shown)
