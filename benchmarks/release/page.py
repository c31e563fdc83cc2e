"""docs/tasks.md, from the records of the released bundles and what others have published.

python -m benchmarks.release.page
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline.atomic import write_text_aside

__all__ = ["PAGE", "PUBLISHED", "tasks_page"]

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "tasks.md"
PUBLISHED = Path(__file__).with_name("published.yaml")
RECORD = "docs/release.json"
NOT_YET = "not released yet"
METRICS = {
    "dice": "Dice",
    "iou": "IoU",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "hd95": "95 % Hausdorff, px",
}

HEAD = """\
# Tasks

What published projects did, their recipe on our data, and our bundle on the same test subjects. The recipes are
`configs/recipes`, run by `planar train BUNDLE --recipe NAME`.

Dice is a mean over subjects of the test part with a 95 % interval (bootstrap over subjects) in brackets, and how many
they are where recipe and bundle differ in it. Over fewer than twenty subjects such intervals are rather too narrow;
over two to four they are hardly more than the range from the least to the greatest, and prove nothing. No subject of
the test part was trained on, as far as the sets' tables tell who is who: each section says. Published figures are of
the publication's own data. "not found" says that no figure stands in what was read. Seconds are of all trainings that
led to the weights, those on phantoms too, unless the section says otherwise. Figures that are in a bundle's packs
(`docs/*.zip`) can be checked there against digests and tables of cases; each section says which are in none. This page
is written by `python -m benchmarks.release.page` from each bundle's `docs/release.json` and from
`benchmarks/release/published.yaml`; a test says so.
"""
COUNT = """\
## The 34,527,106 parameters

The article on the optic disc tells the number; the project's code (jinglescode/meditorch) has the layers. The U-Net
takes three channels (red, green, blue) and gives two (disc, cup), with widths 64-128-256-512-1024, batch norm behind
each 3×3 convolution, and on the way up nearest-neighbour interpolation and a 3×3 convolution. A 3×3 convolution from a
to b channels has 9ab + b parameters, a batch norm 2b:

| part | parameters |
|---|---|
| five encoder blocks of two convolutions with norms | 18,851,136 |
| four steps up, a convolution with norm each | 6,269,760 |
| four decoder blocks of two convolutions with norms | 9,406,080 |
| 1×1 convolution from 64 channels to 2 | 130 |
| all | 34,527,106 |

`pipeline.published.ClassicUNet` is this network, and a test counts it part by part. MONAI's `BasicUNet` of these widths
has another number, whichever way it goes up.
"""


def tasks_page(bundles: Path, published: Path = PUBLISHED) -> str:
    """The page as Markdown.

    Args:
        bundles: The folder of the bundles; one without a record counts as not released yet.
        published: The YAML of what others have published.
    """
    told: Mapping[str, Mapping[str, Any]] = yaml.safe_load(published.read_text(encoding="utf-8"))
    records = {name: _record(bundles / name / RECORD) for name in told}
    parts = [HEAD, _overview(told, records), COUNT]
    parts += ["\n".join(_task(bundles / name, about, records[name])) for name, about in told.items()]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _record(path: Path) -> Mapping[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _overview(told: Mapping[str, Mapping[str, Any]], records: Mapping[str, Mapping[str, Any] | None]) -> str:
    rows = []
    for name, about in told.items():
        record = records[name]
        recipe = (record or {}).get("recipe")
        project = about["project"]
        for position, label in enumerate(about["classes"]):
            first = position == 0
            found = [(recipe or {}).get("scores", {}), _first_with(label, record["scores"]) if record else {}]
            numbers = {scores[label]["dice"]["n"] for scores in found if label in scores}
            many = len(numbers) > 1  # recipe and bundle are not means over the same subjects
            rows.append(
                [
                    f"[{about['title']}](#{_anchor(about['title'])})" if first else "",
                    label.replace("_", " "),
                    _published(project) if first else "",
                    _cell(recipe["scores"], label, many) if recipe else "not run yet" if project else "none",
                    _cell(found[1], label, many) if record else NOT_YET,
                    about["strongest"]["figure"] if first else "",
                    _pair(recipe, record, "seconds", "{:,.0f}") if first else "",
                    _pair(recipe, record, "parameters", "{:,}") if first else "",
                ]
            )
    head = [
        "task",
        "class",
        "published",
        "its recipe on our data",
        "our bundle, same test part",
        "strongest published",
        "seconds to train: recipe; bundle",
        "parameters: recipe; bundle",
    ]
    return "\n".join(_table(head, rows)) + "\n"


def _task(bundle: Path, about: Mapping[str, Any], record: Mapping[str, Any] | None) -> Iterator[str]:
    yield f"## {about['title']}"
    yield ""
    yield f"`bundles/{bundle.name}`"
    yield ""
    if about["project"] is not None:
        project = about["project"]
        where = project["source"] or "no page was found"
        yield f"- Published: {project['name']}; {where}. Figure: {project['figure'] or 'not found'} ({project['why']})."
    strongest = about["strongest"]
    yield f"- Strongest published that was found: {strongest['figure']}; {strongest['of']}. {strongest['source']}."
    if about["project"] is not None and not (record or {}).get("recipe"):
        yield "- The recipe was not run yet; what follows of it is what the comparison will be."
    yield f"- What the comparison shows: {about['shows'].strip()}"
    yield f"- What it does not show: {about['shows_not'].strip()}"
    yield ""
    if record is None:
        yield f"The bundle is {NOT_YET}."
        return
    rows = [
        [f"bundle, {data}", label.replace("_", " "), str(found["dice"]["n"]), *_metrics(found)]
        for data, scores in record["scores"].items()
        for label, found in scores.items()
        if label != "mean_of_classes"
    ]
    recipe = record.get("recipe")
    if recipe:
        rows += [
            [
                f"recipe {recipe['name']}, {recipe['data']}",
                label.replace("_", " "),
                str(found["dice"]["n"]),
                *_metrics(found),
            ]
            for label, found in recipe["scores"].items()
            if label != "mean_of_classes"
        ]
    dice, *others = METRICS.values()
    yield from _table(["test part of", "class", "subjects", dice, "Dice, 5th percentile", *others], rows)
    yield ""
    half = record["half"]
    yield (
        f"Half precision changes Dice by {_signed(half['difference'], 6)} in the mean ({half['weights']}; "
        f"{half['largest_of_a_case']:.6f} in the case that differs most)."
    )
    yield " ".join((f"Trained on {record['machine']}.", *([record["note"]] if "note" in record else [])))
    if recipe:
        given = f" with `{', '.join(recipe['overrides'])}`: {recipe['why']}" if recipe["overrides"] else ""
        yield f"The recipe was run on {recipe['machine']}{given}."
        verdict = _verdict(about["classes"], recipe)
        if verdict:
            yield verdict
    yield _in_no_pack(bundle, record)
    yield ""


def _in_no_pack(bundle: Path, record: Mapping[str, Any]) -> str:
    """Which of a section's figures nobody can check by run, digest and cases."""
    told = []
    if "recipe" in record and not (bundle / "docs" / "recipe.zip").is_file():
        told.append("the recipe's figures, and so the differences from it")
    joined = [data for data in record["scores"] if "=" in data]
    if joined and not (bundle / "docs" / "united.zip").is_file():
        told.append(f"the bundle's figures on {' and on '.join(joined)}")
    told += ["what half precision changes", "the seconds to train"]
    return f"Not in a pack (taken from the release run's own summary, `docs/release.json`): {'; '.join(told)}."


def _verdict(classes: Sequence[str], recipe: Mapping[str, Any]) -> str:
    """Whether the bundle wins over the recipe, class by class, as the figures have it."""
    told = []
    for label in classes:
        found = recipe["against"].get(label, {"mean": None})
        if found["mean"] is None:
            continue
        between = f" ({_signed(found['ci_low'])} to {_signed(found['ci_high'])})" if found["ci_low"] is not None else ""
        subjects = f"{found['n']} subject{'s' * (found['n'] > 1)}"
        told.append(f"{label.replace('_', ' ')} {_signed(found['mean'])}{between} over {subjects}")
    if not told:
        return ""
    return f"Dice of the bundle less that of the recipe, subject by subject: {'; '.join(told)}.{_invented(recipe)}"


def _invented(recipe: Mapping[str, Any]) -> str:
    """Where one of the two finds what is not there; the other's Dice, which its own mean leaves out, counts as 1."""
    told = [
        f"In {number} picture{'s' * (number > 1)} without {label.replace('_', ' ')} the {who} alone finds some: there "
        "its Dice is 0, and the other's, which its own mean leaves out, counts as 1."
        for label, found in recipe["against"].items()
        for who, number in found["invented"].items()
        if number
    ]
    return "".join(f" {line}" for line in told)


def _signed(number: float, digits: int = 3) -> str:
    return f"{number:+.{digits}f}".replace("-", "−")


def _first_with(label: str, scores: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The scores of the first test part that knows a class; that of joined classes has a table of its own."""
    return next((found for found in scores.values() if label in found), {})


def _published(project: Mapping[str, Any] | None) -> str:
    return "none" if project is None else project["figure"] or "not found"


def _anchor(title: str) -> str:
    """What a heading is called in links, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _cell(scores: Mapping[str, Any], label: str, counted: bool) -> str:
    if label not in scores:
        return "–"
    dice = scores[label]["dice"]
    return _interval(dice) + (f" over {dice['n']}" if counted else "")


def _metrics(found: Mapping[str, Any]) -> list[str]:
    cells = [_interval(found.get(metric, {}), 1 if metric == "hd95" else 3) for metric in METRICS]
    tail = found["dice"].get("p5")
    return [cells[0], "–" if tail is None else f"{tail:.3f}", *cells[1:]]


def _interval(figures: Mapping[str, Any], digits: int = 3) -> str:
    mean, low, high = (figures.get(key) for key in ("mean", "ci_low", "ci_high"))
    if mean is None:
        return "–"
    return f"{mean:.{digits}f}" + (f" ({low:.{digits}f} to {high:.{digits}f})" if None not in (low, high) else "")


def _pair(recipe: Mapping[str, Any] | None, record: Mapping[str, Any] | None, key: str, form: str) -> str:
    shown = [form.format(found[key]) if found and key in found else "–" for found in (recipe, record)]
    return "; ".join(shown)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


if __name__ == "__main__":
    write_text_aside(PAGE, tasks_page(ROOT / "bundles"))
