"""Going on with an inference over files that was stopped, in the folder of its results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.atomic import write_text_aside
from pipeline.errors import InvalidOption

__all__ = ["FILE", "has_masks", "note_job", "require_same_job"]

# Hidden, so that nobody takes it for a result. Other jobs in the same folder end what can be gone on with.
FILE = ".planar-inference.json"
SEVERAL = {"several": "jobs"}
# What a mask of each format may be called behind its source's name.
ENDS = {
    "auto": ("_mask.png", "_mask.nii.gz", "_mask"),
    "png": ("_mask.png", "_mask"),
    "nifti": ("_mask.nii.gz",),
    "dicomseg": ("_seg.dcm",),
    "sc": ("_sc.dcm", "_sc"),
}


def note_job(out: Path, job: Mapping[str, Any]) -> None:
    """Write down what makes the results in a folder, before the first of them.

    Args:
        out: The folder.
        job: Bundle, digests of its weights, and all that changes what is written.
    """
    found = _read(out)
    this = _plain(job)
    if found is None:
        write_text_aside(out / FILE, json.dumps(this, indent=1) + "\n")
    elif found != this:
        write_text_aside(out / FILE, json.dumps(SEVERAL) + "\n")


def require_same_job(out: Path, job: Mapping[str, Any]) -> None:
    """Raise InvalidOption if the results in a folder are not all of this job; none at all are."""
    found, this = _read(out), _plain(job)
    if found is None and (not out.is_dir() or not any(out.iterdir())):
        return
    if found is None:
        raise InvalidOption(f"{out} has results of which is not known how they were made: --resume needs its own.")
    if found == SEVERAL:
        raise InvalidOption(f"{out} has results of several inferences: give another folder, or --overwrite.")
    other = [key for key in sorted({*found, *this}) if found.get(key) != this.get(key)]
    if other:
        raise InvalidOption(
            f"{out} has results of another inference ({', '.join(other)} differ): go on with its own options and "
            "weights, or give another folder."
        )


def has_masks(out: Path, stem: str, formats: Sequence[str]) -> bool:
    """Whether a source has all its masks. They are the last of its results that get their names."""
    return all(any((out / f"{stem}{end}").exists() for end in ENDS[kind]) for kind in formats)


def _read(out: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((out / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return dict(SEVERAL)  # damaged: nobody knows
    return found


def _plain(job: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives it back."""
    plain: dict[str, Any] = json.loads(json.dumps(job, default=str))
    return plain
