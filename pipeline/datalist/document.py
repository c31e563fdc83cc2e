"""Reading, checking and writing datalist.json."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from pipeline.archives import exists
from pipeline.atomic import written_aside
from pipeline.errors import InvalidDatalist, MissingFile, OutputExists
from pipeline.fragments import split_fragment
from pipeline.split import PARTS

__all__ = ["FORMAT", "Datalist", "Finding", "load_cases", "read_datalist", "relative_to", "write_datalist"]

FORMAT = "planar-datalist/1"

Item = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """Why a file was refused, or what a user should know of it.

    Args:
        file: The file, or the first of several.
        code: A short name of the kind of finding, such as "size_mismatch".
        reason: One line for people.
    """

    file: str
    code: str
    reason: str


@dataclass
class Datalist:
    """The content of a datalist.json; paths are relative to its folder.

    Args:
        name: Name of the set.
        labels: Class names by index, background first.
        modality: DICOM modality, or "unknown".
        split: Seed, fractions, folds, and numbers of subjects.
        training: Items to train on.
        validation: Items to choose the best checkpoint on.
        test: Items to score on.
        refused: What was left out, by file.
        warnings: What was kept but should be looked at.
    """

    name: str
    labels: list[str]
    modality: str = "unknown"
    description: str = ""
    split: dict[str, Any] = field(default_factory=dict)
    training: list[Item] = field(default_factory=list)
    validation: list[Item] = field(default_factory=list)
    test: list[Item] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def part(self, name: str) -> list[Item]:
        """The items of "training", "validation" or "test".

        Raises: InvalidDatalist: for another name.
        """
        if name not in PARTS:
            raise InvalidDatalist(f"A datalist has no part '{name}': choose {', '.join(PARTS)}.")
        items: list[Item] = getattr(self, name)
        return items

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "name": self.name,
            "description": self.description,
            "format": FORMAT,
            "modality": {"0": self.modality},
            "labels": {str(k): label for k, label in enumerate(self.labels)},
            "numTraining": len(self.training),
            "numTest": len(self.test),
            "split": self.split,
            **{part: self.part(part) for part in PARTS},
            "refused": [asdict(finding) for finding in self.refused],
            "warnings": [asdict(finding) for finding in self.warnings],
        }


def relative_to(folder: Path, path: str) -> str:
    """A path as a datalist in `folder` writes it: relative, with forward slashes, its `#slice=K` kept."""
    try:
        return Path(os.path.relpath(os.path.abspath(path), os.path.realpath(folder))).as_posix()  # noqa: PTH100
    except ValueError:  # another drive on Windows
        return Path(path).absolute().as_posix()


def write_datalist(datalist: Datalist, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a datalist, one item a line; the file is complete or not there.

    Raises: OutputExists: if the file is there and `overwrite` is not set.
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise OutputExists(f"{target} exists. Give --overwrite to replace it, or another name with -o.")
    with written_aside(target) as aside, aside.open("w", encoding="utf-8") as file:
        file.writelines(json_lines(datalist.document()))


def json_lines(document: dict[str, Any]) -> Iterator[str]:
    """A JSON document with one line for each element of its lists, so that people can read it and diff it."""
    yield "{\n"
    for number, (key, value) in enumerate(document.items()):
        comma = "," if number + 1 < len(document) else ""
        if isinstance(value, list) and value:
            yield f"{json.dumps(key)}: [\n"
            for k, element in enumerate(value):
                yield f"  {json.dumps(element, ensure_ascii=False)}{',' if k + 1 < len(value) else ''}\n"
            yield f"]{comma}\n"
        else:
            yield f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}{comma}\n"
    yield "}\n"


def read_datalist(path: str | os.PathLike[str]) -> Datalist:
    """Read a datalist of ours, or any in the Decathlon layout, with paths as they are written in it.

    Raises:
        MissingFile: if there is no such file.
        InvalidDatalist: if it is not JSON or not a datalist.
    """
    file = Path(path)
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFile(
            f"{file}: no such datalist. Make one with: planar index IMAGES MASKS -o {quote(str(file))}"
        ) from None
    except IsADirectoryError:
        raise InvalidDatalist(f"{file} is a folder; expected a datalist.json, as planar index writes it.") from None
    except ValueError as error:
        raise InvalidDatalist(f"{file} is not valid JSON ({error}). Make it again with planar index.") from None
    return _datalist_of(document, file)


def _datalist_of(document: Any, file: Path) -> Datalist:
    if not isinstance(document, dict) or not any(part in document for part in PARTS):
        raise InvalidDatalist(
            f"{file} is no datalist: expected an object with {', '.join(PARTS)}. See planar index --help."
        )
    made_by = document.get("format", FORMAT)
    if made_by != FORMAT:
        raise InvalidDatalist(
            f"{file} has the format {made_by!r}, this version of planar reads {FORMAT!r}. Index it again."
        )
    try:
        labels = {int(number): str(name) for number, name in document.get("labels", {}).items()}
        named = [labels.get(k, f"class_{k}") for k in range(max(labels, default=-1) + 1)]
        findings = {key: [Finding(**entry) for entry in document.get(key, ())] for key in ("refused", "warnings")}
        parts = {part: [_item_of(entry) for entry in document.get(part, ())] for part in PARTS}
        modality = next(iter(document.get("modality", {}).values()), "unknown")
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidDatalist(f"{file} does not have the layout of a datalist ({error}). Index it again.") from None
    return Datalist(
        name=str(document.get("name", file.stem)),
        labels=named,
        modality=str(modality),
        description=str(document.get("description", "")),
        split=document.get("split", {}),
        refused=findings["refused"],
        warnings=findings["warnings"],
        **parts,
    )


def _item_of(entry: Any) -> Item:
    # The Decathlon's own test lists are bare paths.
    item = {"image": entry} if isinstance(entry, str) else entry
    if not isinstance(item, dict) or not isinstance(item.get("image"), (str, list)):
        raise ValueError(f"an item without an image: {entry!r:.80}")
    return item


def load_cases(
    path: str | os.PathLike[str], split: str = "training", *, labelled: bool = True, all_there: bool = True
) -> list[Item]:
    """The items of one part of a datalist with absolute paths, after checking that every file is there.

    Args:
        path: The datalist.json.
        split: "training", "validation" or "test".
        labelled: Whether each item must have a label.
        all_there: Whether every file must be there.

    Raises:
        MissingFile: if the datalist is not there.
        InvalidDatalist: if it cannot be used, the part is empty, or a file that it names is gone.
    """
    items = read_datalist(path).part(split)
    if not items:
        raise InvalidDatalist(f"{path} has no cases in '{split}'. Index with another --split, or choose another part.")
    if labelled and any("label" not in item for item in items):
        raise InvalidDatalist(
            f"{path}: a case in '{split}' has no label ({without_label(items)}). Add its mask and index again."
        )
    folder = os.path.realpath(Path(path).parent)
    resolved = [_with_absolute_paths(item, folder) for item in items]
    gone = [file for item in resolved for file in files_gone(item)] if all_there else []
    if gone:
        raise InvalidDatalist(
            f"{path} names {len(gone)} file{'s' * (len(gone) > 1)} in '{split}' that are not there, first {gone[0]}. "
            "Its paths are relative to its own folder: move it together with the images, or index again."
        )
    return resolved


def files_gone(item: Mapping[str, Any]) -> list[str]:
    """The files of an item with absolute paths that are not there."""
    return [file for file in _files_of(item) if not exists(split_fragment(file)[0])]


def without_label(items: Iterable[Item]) -> str:
    """The image of the first item that has no label."""
    return next(str(item["image"]) for item in items if "label" not in item)


def _with_absolute_paths(item: Item, folder: str) -> Item:
    def absolute(entry: Any) -> Any:
        if isinstance(entry, list):
            return [absolute(part) for part in entry]
        return os.path.normpath(os.path.join(folder, entry))  # noqa: PTH118

    return {key: absolute(value) if key in ("image", "label") else value for key, value in item.items()}


def sets_in(name: str) -> set[str]:
    """The sets that a name stands for, in lower case: `planar merge` calls what it joins "one+other"."""
    return {part.strip().casefold() for part in name.split("+") if part.strip()}


def subject_of(item: Mapping[str, Any]) -> str:
    """Whose picture a case is: its subject, or its file where a datalist knows none. Slices of a volume are one's."""
    image = item["image"] if isinstance(item["image"], str) else item["image"][0]
    return str(item.get("subject") or split_fragment(image)[0])


def _files_of(item: Mapping[str, Any]) -> list[str]:
    return [
        file
        for key in ("image", "label")
        if key in item
        for file in (item[key] if isinstance(item[key], list) else [item[key]])
    ]
