"""Whose image it is: `index.csv` beside the images is used without being named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.label

NAMES = ("a", "b", "c", "d")
LABELS = {0: "background", 1: "lung"}


@pytest.fixture
def images(tmp_path: Path) -> Any:
    """Four pictures with labels."""
    return labelled(tmp_path, NAMES)


@pytest.fixture
def in_folders(tmp_path: Path) -> Any:
    """Pictures with labels in a folder for each patient, named by their view."""
    return labelled(tmp_path, [f"p{patient}/{view}" for patient in (1, 2, 3) for view in ("frontal", "lateral")])


def labelled(tmp_path: Path, names: Sequence[str]) -> Any:
    from pipeline.label_app.folder import FolderOfImages

    folder = tmp_path / "set" / "images"
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 8), 40 * number, np.uint8)).save(folder / f"{name}.png")
    found = FolderOfImages(folder, tmp_path / "cache")
    for name in found.list_images():
        mask = np.zeros((6, 8), np.uint8)
        mask[2, 2] = 1
        Image.fromarray(mask).save(tmp_path / "mask.png")
        found.save_label(name, str(tmp_path / "mask.png"), "final", {})
    return found


def subjects(images: Any, folder: Path, said: str | None = None) -> tuple[dict[str, str], str]:
    """Subject of each image, and where it came from."""
    from pipeline.label_app.annotated import gather

    content = json.loads(gather(images, LABELS, folder, share=0.2, subjects=said).path.read_text())
    items = [item for part in ("training", "validation") for item in content[part]]
    return {_name(item["image"]): item["subject"] for item in items}, content["split"]["subjects_from"]


def _name(path: str) -> str:
    return Path(path).with_suffix("").as_posix().rpartition("images/")[2]


@pytest.mark.parametrize("place", ["images", "."])
@pytest.mark.parametrize("column", ["subject", "Patient_ID"])
def test_a_table_beside_the_images_or_their_folder_says_whose_they_are(
    images: Any, tmp_path: Path, place: str, column: str
) -> None:
    table = tmp_path / "set" / place / "index.csv"
    table.write_text(f"file,{column},view\na.png,one,PA\nb.png,one,PA\nimages/c.png,two,PA\n")
    found, told = subjects(images, tmp_path / "out")
    assert found["a"] == found["b"] != found["c"]
    assert len(set(found.values())) == 3  # whoever is not in the table is alone
    assert told == f"column {column} of index.csv"


@pytest.mark.parametrize("content", ["file,view\na.png,PA\nb.png,PA\n", "file,subject\nx.png,one\ny.png,one\n"])
def test_a_table_of_something_else_is_left_alone(images: Any, tmp_path: Path, content: str) -> None:
    (tmp_path / "set" / "index.csv").write_text(content)
    found, told = subjects(images, tmp_path / "out")
    assert len(set(found.values())) == len(NAMES)
    assert "index.csv" not in told


def test_the_table_that_is_named_counts(images: Any, tmp_path: Path) -> None:
    (tmp_path / "set" / "index.csv").write_text("file,subject\na.png,one\nb.png,one\nc.png,one\nd.png,two\n")
    other = tmp_path / "other.csv"
    other.write_text("file,ward\na.png,one\nb.png,two\nc.png,two\nd.png,two\n")
    found, told = subjects(images, tmp_path / "out", f"{other}:ward")
    assert found["a"] != found["b"] == found["c"] == found["d"]
    assert told == "column ward of other.csv"


@pytest.mark.parametrize("before", ["", "images/"])
def test_a_table_names_images_in_folders_by_their_path(in_folders: Any, tmp_path: Path, before: str) -> None:
    rows = [f"{before}p{n}/{view}.png,patient {n}" for n in (1, 2, 3) for view in ("frontal", "lateral")]
    (tmp_path / "set" / "index.csv").write_text("\n".join(["image,patient", *rows]))
    found, told = subjects(in_folders, tmp_path / "out")
    for number in (1, 2, 3):
        assert found[f"p{number}/frontal"] == found[f"p{number}/lateral"]
    assert len(set(found.values())) == 3
    assert told == "column patient of index.csv"


@pytest.mark.parametrize("rows", ["a/frontal.png,one\nb/frontal.png,two\n", "frontal.png,one\nfrontal.png,two\n"])
def test_images_that_a_table_does_not_tell_apart_are_counted(in_folders: Any, tmp_path: Path, rows: str) -> None:
    (tmp_path / "set" / "index.csv").write_text(f"image,patient\n{rows}")
    found, told = subjects(in_folders, tmp_path / "out")
    assert len(set(found.values())) == len(found)  # nothing says that two are of one patient
    assert "index.csv does not say whose 3 images are" in told
