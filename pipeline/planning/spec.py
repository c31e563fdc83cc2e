"""The task spec: a small YAML file that names a task's classes and says how its masks are coded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.bundle import shipped_folder
from pipeline.errors import InvalidOption, MissingFile, UnknownLabel
from pipeline.labels import LabelCoding, repeated_class
from pipeline.planning.refinement import Regions

__all__ = ["TaskSpec", "read_task_spec", "shipped_tasks"]

KEYS = {
    "name",
    "title",
    "description",
    "modality",
    "neighbours",
    "labels",
    "masks",
    "plausibility",
    "orientation",
    "sides",
    "deep_supervision",
    "unions",
    "window_hu",
    "emptied",
    "regions",
    "precision",
}
ORIENTATIONS = ("upright", "any")
MOST_NEIGHBOURS = 5
PRECISIONS = ("auto", "float32")
LONGEST_TITLE = 50


@dataclass(frozen=True)
class TaskSpec:
    """What a task is about.

    Attributes:
        name: Short name, such as "cxr_lung".
        labels: Class names, background first.
        coding: How masks of this task are usually stored.
        modality: DICOM modality, or "unknown".
        title: What the bundle is called where people read it, at most 50 characters so that a series of DICOM shows it
            whole: the head of the model card, the metadata's name. By default the name in words.
        description: One line.
        orientation: "upright" if pictures have a top, "any" if they may lie in any direction, None to let the
            modality say it.
        sides: Whether a class is a left or a right one, which forbids mirroring; None to let the names say it.
        plausibility: Rules that a right mask keeps, by class; see `pipeline.gate`.
        unions: Name of each union of classes that masks of some sets tell as one → its classes; see `pipeline.unions`.
        neighbours: Slices to either side of a volume's slice that the network sees as channels (2.5D); 0 for none.
        window_hu: Of CT pictures for the screen, HU at their darkest and brightest: slices in Hounsfield units go
            through it; see `pipeline.transforms.HUWindowd`. None where there is none.
        emptied: Class that is darker than what surrounds it → share of the training pictures in which it is filled with
            tissue and taken out of the mask; see `pipeline.transforms.RandEmptiedd`. For sets that lack pictures
            without it.
        regions: What is known of the connected regions of a class or a union, for finished masks.
        precision: Of the network at inference: "auto", bfloat16 where the device computes in it, or "float32", for
            classes so thin that its rounding moves a notable share of their pixels.
        deep_supervision: Whether lower levels of the decoder are trained on the masks too; None ("auto") where it has
            been measured to pay; see `pipeline.planning.supervision`.
    """

    name: str
    labels: tuple[str, ...]
    coding: LabelCoding
    modality: str = "unknown"
    title: str = ""
    description: str = ""
    orientation: str | None = None
    sides: bool | None = None
    plausibility: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    deep_supervision: bool | None = None
    unions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    window_hu: tuple[float, float] | None = None
    neighbours: int = 0
    emptied: Mapping[str, float] = field(default_factory=dict)
    regions: Mapping[str, Regions] = field(default_factory=dict)
    precision: str = "auto"

    @property
    def union_numbers(self) -> dict[int, list[int]]:
        """Class number of each union, behind those of the classes → the numbers of its classes."""
        return {
            number: [self.labels.index(part) for part in parts]
            for number, parts in enumerate(self.unions.values(), len(self.labels))
        }


def shipped_tasks() -> dict[str, Path]:
    """The task specs that come with Planar, by name."""
    configs = shipped_folder("configs")
    return {path.stem: path for path in sorted((configs / "tasks").glob("*.yaml"))} if configs is not None else {}


def _file_of(name_or_path: str | Path) -> Path:
    """A task spec by its path or its name; one of ours also by the path that it has in a checkout, from anywhere."""
    path = Path(name_or_path)
    known = shipped_tasks()
    if path.is_file():
        return path
    if path.stem in known and path in (Path(path.stem), Path("configs", "tasks", f"{path.stem}.yaml")):
        return known[path.stem]
    raise MissingFile(
        f"{path}: no such task spec: neither a file nor one of {', '.join(known) or 'none'}. Give a name or the path "
        "of a YAML file."
    )


def read_task_spec(name_or_path: str | Path) -> TaskSpec:
    """Read a task spec.

    Args:
        name_or_path: The file, or the name of one that comes with Planar.

    Raises:
        MissingFile: if it is not there, with the names that there are.
        InvalidOption: if it is not a task spec.
    """
    import yaml

    file = _file_of(name_or_path)
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        labels = _labels_in(file, document["labels"])
        coding = LabelCoding.parse(str(document["masks"]))
        unions = {str(name): tuple(map(str, parts)) for name, parts in (document.get("unions") or {}).items()}
        plausibility = {str(name): dict(rules) for name, rules in (document.get("plausibility") or {}).items()}
    except InvalidOption:
        raise
    except UnknownLabel as error:
        raise InvalidOption(f"{file}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, OSError, yaml.YAMLError) as error:
        what = " ".join(str(error).split())
        raise InvalidOption(
            f"{file} is no task spec ({what}): it needs name, labels (a list) and masks (a coding)."
        ) from None
    unknown = sorted(set(map(str, document)) - KEYS)
    if unknown:
        raise InvalidOption(f"{file}: '{unknown[0]}' is no key of a task spec; known are {', '.join(sorted(KEYS))}.")
    if max(coding.known_classes or {0}) >= len(labels):
        raise InvalidOption(f"{file}: masks '{coding}' names more classes than labels has ({', '.join(labels)}).")
    strangers = sorted(set(plausibility) - set(labels))
    if strangers:
        raise InvalidOption(f"{file}: plausibility speaks of '{strangers[0]}'; the labels are {', '.join(labels)}.")
    _require_unions(file, unions, labels)
    if unions and document.get("deep_supervision") is True:
        raise InvalidOption(f"{file}: unions and deep_supervision do not go together. Drop one of them.")
    orientation = document.get("orientation")
    if orientation not in (None, *ORIENTATIONS):
        raise InvalidOption(f"{file}: orientation is '{orientation}'; expected {' or '.join(ORIENTATIONS)}.")
    neighbours = document.get("neighbours", 0)
    if not isinstance(neighbours, int) or isinstance(neighbours, bool) or not 0 <= neighbours <= MOST_NEIGHBOURS:
        raise InvalidOption(
            f"{file}: neighbours is '{neighbours}'; expected 0 to {MOST_NEIGHBOURS} slices to each side."
        )
    window = document.get("window_hu")
    if window is not None and not _is_window(window):
        raise InvalidOption(f"{file}: window_hu is {window}; expected two values in HU, the darkest first.")
    emptied = document.get("emptied") or {}
    if not _are_shares(emptied, labels):
        raise InvalidOption(
            f"{file}: emptied is {emptied}; expected a share between 0 and 1 for some of {', '.join(labels[1:])}."
        )
    regions = document.get("regions") or {}
    _require_regions(file, regions, labels, unions)
    precision = document.get("precision", "auto")
    if precision not in PRECISIONS:
        raise InvalidOption(f"{file}: precision is '{precision}'; expected {' or '.join(PRECISIONS)}.")
    sides = document.get("sides")
    if sides not in (None, True, False):
        raise InvalidOption(f"{file}: sides is '{sides}'; expected true or false.")
    supervision = document.get("deep_supervision", "auto")
    if supervision != "auto" and not isinstance(supervision, bool):
        raise InvalidOption(
            f"{file}: deep_supervision is '{supervision}'; expected true, false or auto. Leave it out for auto."
        )
    return TaskSpec(
        name=str(document.get("name", file.stem)),
        labels=labels,
        coding=coding,
        modality=str(document.get("modality", "unknown")),
        title=_title_in(file, document),
        description=str(document.get("description", "")),
        orientation=orientation,
        sides=sides,
        plausibility=plausibility,
        deep_supervision=None if supervision == "auto" else supervision,
        unions=unions,
        neighbours=neighbours,
        window_hu=None if window is None else (float(window[0]), float(window[1])),
        emptied={str(name): float(share) for name, share in emptied.items()},
        precision=precision,
        regions={str(name): Regions(**known) for name, known in regions.items()},
    )


def _labels_in(file: Path, given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        raise InvalidOption(f"{file}: labels is '{given}'; expected a list, such as [background, lung].")
    labels = tuple(str(label) for label in given)
    twice = repeated_class(labels)
    if twice is not None:
        raise InvalidOption(f"{file}: labels has '{twice}' twice ({', '.join(labels)}). Give each class its own name.")
    return labels


def _title_in(file: Path, document: Mapping[str, Any]) -> str:
    title = " ".join(str(document.get("title") or "").split())
    if len(title) > LONGEST_TITLE:
        raise InvalidOption(
            f"{file}: title has {len(title)} characters; expected at most {LONGEST_TITLE}. Say the rest in description."
        )
    return title


def _are_shares(value: Any, labels: tuple[str, ...]) -> bool:
    return isinstance(value, Mapping) and all(
        name in labels[1:] and isinstance(share, (int, float)) and 0 < share < 1 for name, share in value.items()
    )


def _require_regions(file: Path, regions: Any, labels: tuple[str, ...], unions: Mapping[str, tuple[str, ...]]) -> None:
    names = (*labels[1:], *unions)
    for name, known in regions.items() if isinstance(regions, Mapping) else [(str(regions), None)]:
        if name not in names or not _are_regions(known, shares=name in labels):
            raise InvalidOption(
                f"{file}: regions of '{name}' are {known}; expected most (a number of regions) for some of "
                f"{', '.join(names)}, and least (a share of the picture) for a class."
            )


def _are_regions(known: Any, *, shares: bool) -> bool:
    if not isinstance(known, Mapping) or not known or not set(known) <= {"most", "least"}:
        return False
    most, least = known.get("most", 1), known.get("least", 0.0)
    numbers = isinstance(most, int) and not isinstance(most, bool) and isinstance(least, (int, float))
    return numbers and most > 0 and 0 <= least < 1 and (shares or not least)


def _is_window(value: Any) -> bool:
    numbers = isinstance(value, list) and len(value) == 2 and all(isinstance(one, (int, float)) for one in value)
    return numbers and value[0] < value[1]


def _require_unions(file: Path, unions: Mapping[str, tuple[str, ...]], labels: tuple[str, ...]) -> None:
    for name, parts in unions.items():
        if name in labels or len(set(parts)) < 2 or not set(parts) <= set(labels[1:]):
            raise InvalidOption(
                f"{file}: the union '{name}' is of {', '.join(parts) or 'nothing'}; expected a name of its own and two "
                f"classes or more of {', '.join(labels[1:])}."
            )
