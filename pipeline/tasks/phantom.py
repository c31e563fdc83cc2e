"""Make a folder of phantoms: films and CT series with exact masks, the same bytes for the same seed."""

from __future__ import annotations

import csv
import io
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.atomic import write_text_aside, written_aside
from pipeline.errors import InvalidOption, OutputExists
from pipeline.phantom import FILM_LABELS, CtSeries, Label, Thorax, ct_series, radiograph, thorax
from pipeline.phantom.dicom import ct_slices_bytes, film_bytes
from pipeline.phantom.files import NOTICE, nifti_bytes, png_bytes
from pipeline.tasks.index.parallel import map_in_order

__all__ = ["FORMATS", "KINDS", "PhantomResult", "PhantomRow", "make_phantoms"]

KINDS = ("radiograph", "ct", "both")
FORMATS = ("png", "dicom", "both")

# What this command makes in its folder; a later run clears these of files named STEM*, and touches nothing else.
FOLDERS = ("images", "masks", "labels", "dicom", "ct", "ct_masks", "ct_images", "ct_image_masks")
STEM = "phantom-"
FIRST_LINE = "PLANAR DIGITAL PHANTOM. Computed images; no patient was examined."
CT_WINDOW_HU = (-1100.0, 400.0)
SHARE_WITH_TWO_FILMS = 0.2


@dataclass(frozen=True)
class PhantomRow:
    """One picture, as a row of `index.csv`; paths are relative to the folder, empty where nothing was written."""

    file: str
    mask: str
    subject: str
    kind: str
    image_path: str
    mask_path: str
    labels_path: str
    dicom_path: str
    spacing_mm: float
    photometric: str
    opacity: str


@dataclass(frozen=True)
class PhantomResult:
    """What was made.

    Attributes:
        folder: Where.
        films: Number of films.
        series: Number of CT series.
        subjects: Number of phantoms.
        seconds: Duration, s.
        images: Folder to give to `planar index`, with `masks`.
        masks: Folder of their masks.
        class_names: What the classes of these masks are, from 1.
    """

    folder: Path
    films: int
    series: int
    subjects: int
    seconds: float
    images: Path
    masks: Path
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class _Job:
    """What every subject is made with."""

    out: Path
    seed: int
    size: int
    kind: str
    format: str

    @property
    def origin(self) -> str:
        """What unique identifiers are made from: other pixels, other identifiers."""
        return f"planar phantom 1 seed {self.seed} size {self.size}"


def make_phantoms(
    out: Path,
    number: int = 60,
    *,
    seed: int = 0,
    size: int = 256,
    kind: str = "radiograph",
    format: str = "both",
    workers: int = 1,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> PhantomResult:
    """Write `number` films (or CT series, if `kind` is "ct") and their masks.

    Args:
        out: Folder. If it is an earlier run's, that run's files are replaced; files of others stay.
        number: Number of films or series. About one phantom in six has two films.
        seed: The same seed, size and number give the same bytes.
        size: Pixels along the longer side of a film, rows and columns of a CT slice.
        kind: One of `KINDS`; "both" adds a CT series of each filmed phantom.
        format: One of `FORMATS`.
        workers: Processes.
        overwrite: Also write into a folder that holds other files.
        on_progress: Called with the number of pictures made and their total.
    Returns: What was made.

    Raises:
        InvalidOption: for a number or size that makes no picture.
        OutputExists: if the folder holds files that are not a phantom's.
    """
    if kind not in KINDS or format not in FORMATS:
        raise InvalidOption(
            f"Kind is one of {', '.join(KINDS)} and format one of {', '.join(FORMATS)}, not {kind}, {format}."
        )
    if number < 1 or size < 64 or seed < 0:
        raise InvalidOption(
            f"A phantom needs at least 1 picture, 64 pixels and a seed from 0; got {number}, {size} and {seed}."
        )
    start = time.monotonic()
    _claim(out, overwrite=overwrite)
    job = _Job(out, seed, size, kind, format)
    films_of = _films_of_subjects(number, seed) if kind != "ct" else [0] * number
    rows: list[PhantomRow] = []
    done = 0
    tasks = list(enumerate(films_of, start=1))
    with closing(map_in_order(partial(_make_subject, job), tasks, workers=workers, when_killed=_killed)) as results:
        for made in results:
            rows += made
            done += sum(row.kind == "radiograph" for row in made) if kind != "ct" else 1
            if on_progress:
                on_progress(done, number)
    write_text_aside(out / "index.csv", _table(rows))
    images, masks = ("images", "masks") if format != "dicom" else ("dicom", "masks")
    class_names: tuple[str, ...] = ("lung",)
    if kind == "ct":
        class_names = tuple(label.name.lower() for label in Label if label != Label.BACKGROUND)
        images, masks = ("ct_images", "ct_image_masks") if format == "png" else ("ct", "ct_masks")
    films = sum(films_of)
    series = len(films_of) if kind != "radiograph" else 0
    seconds = time.monotonic() - start
    return PhantomResult(out, films, series, len(films_of), seconds, out / images, out / masks, class_names)


def _claim(out: Path, *, overwrite: bool) -> None:
    """Make the folder ours, or refuse; clear it of an earlier run."""
    readme = out / "README.txt"
    if out.exists() and not out.is_dir():
        raise OutputExists(f"{out} is a file, and phantoms need a folder. Give another name.")
    if out.is_dir() and any(out.iterdir()):
        ours = readme.is_file() and readme.read_text(encoding="utf-8", errors="replace").startswith(FIRST_LINE)
        if not ours and not overwrite:
            raise OutputExists(
                f"{out} holds other files than a phantom's. Give a new or empty folder, or --overwrite to add to it."
            )
        if ours:
            (out / "index.csv").unlink(missing_ok=True)
            for old in (path for folder in FOLDERS for path in (out / folder).glob(f"{STEM}*")):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
    write_text_aside(readme, README)


def _films_of_subjects(number: int, seed: int) -> list[int]:
    """Films of each subject, one or two, `number` in all."""
    rng = np.random.default_rng([seed, 0])
    films: list[int] = []
    left = number
    while left:
        films.append(min(left, 2 if rng.random() < SHARE_WITH_TWO_FILMS else 1))
        left -= films[-1]
    return films


def _killed(task: tuple[int, int]) -> list[PhantomRow]:
    raise InvalidOption(
        f"The process that made phantom {task[0]} was killed, likely for memory. Use fewer workers or a smaller size."
    )


def _make_subject(job: _Job, task: tuple[int, int]) -> list[PhantomRow]:
    """All pictures of one phantom, written; the task is its number and how many films it has."""
    number, films = task
    body = thorax([job.seed, 1, number])
    subject = f"PHANTOM-{number:05d}"
    rows = [_make_film(job, body, subject, number, film) for film in range(1, films + 1)]
    if job.kind != "radiograph":
        rows += _make_ct(job, body, subject, number)
    return rows


def _make_film(job: _Job, body: Thorax, subject: str, number: int, film_number: int) -> PhantomRow:
    film = radiograph(body, seed=[job.seed, 2, number, film_number], size=job.size, text=f"PHANTOM {number:05d}")
    stem = f"{STEM}{number:05d}-{film_number}"
    spacing = film.settings.spacing_mm
    said = {"Subject": subject, "Spacing": f"{spacing} mm"}
    paths = {"image": "", "dicom": ""}
    mask, labels = f"masks/{stem}.png", f"labels/{stem}.png"
    lungs = np.isin(film.labels, (1, 2)).astype(np.uint8) * 255
    _write(job.out / mask, png_bytes(lungs, text=said | {"Description": "255: lung fields"}))
    coded = ", ".join(f"{index}: {name}" for index, name in FILM_LABELS.items())
    _write(job.out / labels, png_bytes(film.labels, text=said | {"Description": coded}))
    if job.format != "dicom":
        paths["image"] = f"images/{stem}.png"
        _write(job.out / paths["image"], png_bytes(film.image, text=said))
    if job.format != "png":
        paths["dicom"] = f"dicom/{stem}.dcm"
        _write(job.out / paths["dicom"], film_bytes(film, subject=subject, number=film_number, origin=job.origin))
    return PhantomRow(
        file=Path(paths["image"] or paths["dicom"]).name,
        mask=f"{stem}.png",
        subject=subject,
        kind="radiograph",
        image_path=paths["image"],
        mask_path=mask,
        labels_path=labels,
        dicom_path=paths["dicom"],
        spacing_mm=spacing,
        photometric=film.settings.photometric if paths["dicom"] else "",
        opacity=body.habitus.opacity,
    )


def _make_ct(job: _Job, body: Thorax, subject: str, number: int) -> list[PhantomRow]:
    series = ct_series(body, seed=[job.seed, 3, number], size=job.size)
    stem = f"{STEM}{number:05d}"
    row = partial(
        PhantomRow,
        subject=subject,
        kind="ct",
        labels_path="",
        spacing_mm=round(series.spacing_mm[0], 4),
        opacity=body.habitus.opacity,
    )
    rows = []
    if job.format != "png":
        for k, content in enumerate(ct_slices_bytes(series, subject=subject, origin=job.origin), start=1):
            _write(job.out / "ct" / stem / f"slice-{k:02d}.dcm", content)
        mask = f"ct_masks/{stem}.nii.gz"
        _write(job.out / mask, nifti_bytes(series.labels, series.affine))
        rows.append(
            row(
                file=stem,
                mask=f"{stem}.nii.gz",
                image_path="",
                mask_path=mask,
                dicom_path=f"ct/{stem}",
                photometric="MONOCHROME2",
            )
        )
    if job.format != "dicom":
        for k, picture in enumerate(_windowed(series)):
            name = f"{stem}-{k:02d}.png"
            _write(
                job.out / "ct_images" / name, png_bytes(picture, text={"Window": "{} to {} HU".format(*CT_WINDOW_HU)})
            )
            _write(job.out / "ct_image_masks" / name, png_bytes(series.labels[:, :, k]))
            rows.append(
                row(
                    file=name,
                    mask=name,
                    image_path=f"ct_images/{name}",
                    mask_path=f"ct_image_masks/{name}",
                    dicom_path="",
                    photometric="",
                )
            )
    return rows


def _windowed(series: CtSeries) -> Iterator[np.ndarray]:
    low, high = CT_WINDOW_HU
    for k in range(series.hu.shape[2]):
        yield np.round(np.clip((series.hu[:, :, k] - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _write(path: Path, content: bytes) -> None:
    with written_aside(path) as aside:
        aside.write_bytes(content)


def _table(rows: list[PhantomRow]) -> str:
    text = io.StringIO()
    columns = [field.name for field in fields(PhantomRow)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([getattr(row, column) for column in columns] for row in rows)
    return text.getvalue()


def _named(labels: dict[int, str]) -> str:
    return ", ".join(f"{index} {name}" for index, name in labels.items())


README = f"""{FIRST_LINE}

{NOTICE}: a parametric thorax of analytic shapes. Radiographs are line integrals of attenuation through the same body
whose CT slices are cut. Every file says so (DICOM PatientName PHANTOM^..., PNG text, burned-in text on films).

images/          films, 8-bit PNG, bone white
dicom/           the same films as DICOM (DX For Presentation); the same pixels, reversed where MONOCHROME1
masks/           lung fields of the films, 0 and 255: the lungs outside the shadows of heart, mediastinum and diaphragm
labels/          the same with class indices: {_named(FILM_LABELS)}
ct/              CT series in HU, one folder each
ct_masks/        their class indices, NIfTI: {_named({label: label.name.lower().replace("_", " ") for label in Label})}
ct_images/       CT slices as 8-bit PNG, window {CT_WINDOW_HU[0]:.0f} to {CT_WINDOW_HU[1]:.0f} HU
ct_image_masks/  their class indices, PNG
index.csv        one row a picture, with its subject; written last, so a folder without it was not finished

Right and left are the phantom's own. Folders that were not asked for are not there.
"""
