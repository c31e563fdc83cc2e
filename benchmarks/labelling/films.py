"""Films of many kinds for annotators: the phantom's, or copies of a user's."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pipeline.errors import MissingFile
from pipeline.readers import SUFFIXES
from pipeline.tasks.phantom import make_phantoms

__all__ = ["copy_films", "make_films"]

SIZES = (512, 1024, 2048)
OF_EACH = 4


def make_films(folder: Path) -> None:
    """The phantom's films of three sizes as PNG, JPEG, TIFF and DICOM, and CT series."""
    folder.mkdir(parents=True)
    for size in SIZES:
        made = folder.parent / f"phantom{size}"
        make_phantoms(made, number=OF_EACH, seed=size, size=size)
        for number, path in enumerate(sorted((made / "images").glob("*.png"))):
            image = Image.open(path)
            for suffix in (".png", ".jpg", ".tif")[number % 3 : number % 3 + 1]:
                image.save(folder / f"{path.stem}_{size}{suffix}", **({"quality": 95} if suffix == ".jpg" else {}))
        for path in sorted((made / "dicom").glob("*.dcm")):
            shutil.copyfile(path, folder / f"{path.stem}_{size}.dcm")
        shutil.rmtree(made)
    made = folder.parent / "phantom_ct"
    make_phantoms(made, number=2, seed=1, size=256, kind="ct", format="dicom")
    shutil.copytree(made / "ct", folder / "ct")
    shutil.rmtree(made)


def copy_films(sources: Sequence[Path], folder: Path) -> None:
    """Copies of files, and of the pictures right in folders: beside the originals no label is written.

    Raises: MissingFile: if there is nothing.
    """
    folder.mkdir(parents=True)
    for source in sources:
        for path in sorted(source.iterdir()) if source.is_dir() else [source]:
            if path.is_dir():
                shutil.copytree(path, folder / path.name)
            elif not source.is_dir() or path.name.lower().endswith(tuple(SUFFIXES)):
                shutil.copyfile(path, folder / path.name)
    if not any(folder.iterdir()):
        raise MissingFile(f"There are no films in {', '.join(map(str, sources))}.")
