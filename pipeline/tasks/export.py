"""A program made from a bundle, and compared with it before anybody uses it."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.atomic import written_aside
from pipeline.bundle import Bundle, find_bundle
from pipeline.errors import InvalidBundle, MissingExtra
from pipeline.exported import (
    ProgramFile,
    build_program,
    describe_program,
    digests_of,
    plain_copy,
    program_files,
    refined,
    split_refinement,
)
from pipeline.readers import find_pictures, slices_in
from pipeline.tasks.evaluate import require_weights
from pipeline.tasks.infer.exported import ExportedPredictor
from pipeline.tasks.infer.gating import gate_of
from pipeline.tasks.workflow import quiet_libraries

if TYPE_CHECKING:
    from PIL import Image

    from pipeline.gate import Gate
    from pipeline.tasks.infer.prediction import Predicts

__all__ = ["LEAST_DICE", "ExportResult", "export_program"]

# A class of the program's masks against the bundle's own in float32, on every picture that is compared.
LEAST_DICE = 0.999
# Phantom films to compare on, by their longer side in pixels: to be reduced, enlarged, and neither square nor even.
PHANTOMS = (512, 301, 96)
# How much of its window a network sees filled by them, where they have a spacing.
FILLED = 0.9
PACKAGES = ("onnx", "onnxscript", "openvino", "torch", "monai")


@dataclass(frozen=True)
class ExportResult:
    """A program that was made.

    Attributes:
        path: The ONNX file.
        pictures: Pictures on which it was compared with the bundle.
        dice: The lowest Dice of a class on one of them, against the bundle in float32.
        dice_as_run: The same against the bundle as it runs on this machine, in bfloat16 where that has it.
        left_out: Pictures given that the program does not cover; the bundle does them.
        gate: Whether the gate's questions are part of it.
        without_gate: Why they are not; "" if they are.
        bfloat16: Whether its network is computed in that, where a processor can.
        most: (W, H) in pixels, at the network's own resolution, beyond which a picture is left to the bundle; None if
            all pictures are brought to the network's size.
    """

    path: Path
    pictures: int
    dice: float
    dice_as_run: float
    left_out: int
    gate: bool
    without_gate: str
    bfloat16: bool
    most: tuple[int, int] | None


def export_program(
    name_or_path: str,
    compare_on: Sequence[str] = (),
    *,
    on_progress: Callable[[str], None] = lambda says: None,
) -> ExportResult:
    """Make models/program.onnx from a bundle's inference config and weights, if its masks are the bundle's.

    Args:
        name_or_path: The bundle.
        compare_on: Pictures, folders or globs; phantom films of several sizes are compared in any case.
        on_progress: Told what is being done.

    Raises:
        MissingExtra: without the packages of planar[export].
        InvalidBundle: if the bundle does what a program does not cover, the masks differ, or it changes meanwhile.
        OSError: if the bundle's folder cannot be written.
        MissingFile: for pictures that are not there.
    """
    bundle = find_bundle(name_or_path)
    require_weights(bundle, bundle.weights)
    _require_packages()
    pictures = find_pictures(compare_on) if compare_on else []
    gate, without_gate = gate_of(bundle, changed=False)
    path, described = program_files(bundle)
    _require_writable(path)
    made_from = digests_of(bundle)
    with quiet_libraries(), tempfile.TemporaryDirectory(prefix="planar-") as folder:
        from pipeline.tasks.infer.predictor import Predictor

        on_progress("exporting the network")
        runs = Predictor(bundle, (bundle.weights,), {})
        with written_aside(path) as aside:
            file = _written(bundle, runs, gate, aside)
            on_progress("comparing masks")
            drawn = _phantoms(Path(folder), bundle.modality, file)
            names = [*drawn, *(name for one in pictures for name in slices_in(one))]
            found = _compared(bundle, file, gate, runs, names)
            if found["dice"] < LEAST_DICE and file.bfloat16:
                on_progress(f"comparing masks in float32: in bfloat16 the lowest Dice is {found['dice']:.4f}")
                file = replace(file, bfloat16=False)
                found = _compared(bundle, file, gate, runs, names)
            if found["dice"] < LEAST_DICE:
                raise InvalidBundle(
                    f"{bundle.name}: the program's masks differ from the bundle's: the lowest Dice is "
                    f"{found['dice']:.4f}, expected at least {LEAST_DICE}. Nothing was written."
                )
            if digests_of(bundle) != made_from:
                raise InvalidBundle(
                    f"{bundle.name}: its weights or settings changed while they were exported. Nothing was written; "
                    "export it again when nothing else writes there."
                )
            text = describe_program(file, made_from, found, _versions())
            # Without its description a program is not used: the old one goes first, the new one comes last.
            described.unlink(missing_ok=True)
        with written_aside(described) as aside:
            aside.write_text(text, encoding="utf-8")
    most = None if "longest" in file.size_from else file.padded_to
    return ExportResult(
        path=path, gate=gate is not None, without_gate=without_gate, bfloat16=file.bfloat16, most=most, **found
    )


def _require_writable(path: Path) -> None:
    """Find out now, and not after the minutes that the rest takes.

    Raises: OSError: if the folder cannot be written.
    """
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path.parent)) from error


def _require_packages() -> None:
    missing = []
    for name in PACKAGES[:3]:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        raise MissingExtra(
            f"A program needs {', '.join(missing)}. In Planar's checkout: pip install -c constraints.txt '.[export]'"
        )


def _written(bundle: Bundle, runs: Any, gate: Gate | None, path: Path) -> ProgramFile:
    """The program as a file, and what is known of it."""
    import onnx
    import torch

    from pipeline.networks import best_dtype

    labels = bundle.labels("inference")
    network = plain_copy(runs.network)
    steps = runs.preprocessing.transforms
    try:
        model, input_, refinement = build_program(steps, runs.inferer, network, runs.postprocessing, len(labels), gate)
    except InvalidBundle as error:
        raise InvalidBundle(f"{bundle.name} cannot be exported. {error}") from error
    onnx.save(model, str(path))
    file = ProgramFile(
        path,
        len(labels),
        input_.channels,
        input_.neighbours,
        input_.size_from,
        input_.padded_to or (0, 0),
        bfloat16=runs.autocast and best_dtype("cpu") != torch.float32,
        refinement=refinement,
    )
    if gate is None:
        return file
    views = tuple((view.scale, view.degrees, view.gamma) for view in gate.views)
    return replace(file, views=views, layers=tuple(name for name, _ in gate.reference.layers))


def _compared(bundle: Bundle, file: ProgramFile, gate: Gate | None, runs: Any, names: Sequence[str]) -> dict[str, Any]:
    """How alike the masks of the program and of the bundle are, before they are refined.

    One pixel can decide which of two regions is kept: refinement is compared apart, on the same masks, where nothing
    may differ.
    """
    from pipeline.tasks.infer.predictor import Predictor

    plain = Predictor(bundle, (bundle.weights,), {})
    plain.network = plain_copy(plain.network).to(plain.device)
    plain.postprocessing, refining = split_refinement(plain.postprocessing)
    runs.postprocessing, _ = split_refinement(runs.postprocessing)
    program = ExportedPredictor(replace(file, refinement=()), gate, lambda: (runs, None))
    classes = range(1, file.classes)
    dice, as_run = [1.0], [1.0]
    left_out = 0
    for name in names:
        (mask,) = (one.mask for one in program([name]))
        if any(name in left for left in program.left.values()):
            left_out += 1
            continue
        _require_same_refinement(bundle, file, mask, refining)
        for other, to in ((plain, dice), (runs, as_run)):
            to += [_dice(mask == index, reference == index) for reference in [_mask(other, name)] for index in classes]
    if left_out == len(names):
        raise InvalidBundle(
            f"{bundle.name}: not one picture could be compared: the program covers none of them. Give some of "
            "those that the bundle is for with --compare-on. Nothing was written."
        )
    return {
        "pictures": len(names) - left_out,
        "dice": float(min(dice)),
        "dice_as_run": float(min(as_run)),
        "left_out": left_out,
    }


def _require_same_refinement(
    bundle: Bundle, file: ProgramFile, mask: npt.NDArray[np.uint8], refining: Sequence[Any]
) -> None:
    import torch

    case = {"pred": torch.from_numpy(mask[np.newaxis].copy())}
    for step in refining:
        case = step(case)
    if not np.array_equal(refined(mask, file.refinement), np.asarray(case["pred"])[0]):
        raise InvalidBundle(f"{bundle.name}: the program's run refines a mask otherwise than the bundle.")


def _mask(predict: Predicts, name: str) -> npt.NDArray[np.uint8]:
    (found,) = predict([name])
    return found.mask


def _dice(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def _phantoms(folder: Path, modality: str, file: ProgramFile) -> list[str]:
    """Films of several sizes, wide and upright, in grey and in colour; slices for a bundle of CT.

    Of a picture unlike those it knows a network is sure of little, and the last bit of a number moves whole contours.
    Where the network sees pictures at a spacing they are volumes of one slice, which have one.
    """
    from PIL import Image

    from pipeline.readers import read_picture
    from pipeline.tasks.phantom import make_phantoms

    spacing_mm = file.size_from.get("spacing_mm")
    kind, images = ("ct", "ct_images") if modality == "CT" else ("radiograph", "images")
    if spacing_mm is not None:  # in Hounsfield units, as pictures with a spacing are
        images = "ct" if modality == "CT" else "dicom"
    made = folder / "phantom"
    make_phantoms(made, number=1, size=max(PHANTOMS), kind=kind, format="png" if spacing_mm is None else "dicom")
    drawn = sorted(one for one in (made / images).rglob("*") if one.is_file())
    film = Image.fromarray(read_picture(drawn[len(drawn) // 2]).array.T.astype(np.float32))
    names = []
    for number, longest in enumerate(PHANTOMS):
        size = (longest, longest * 4 // 5 + 1) if number % 2 else (longest * 5 // 6, longest)
        picture = film.resize(size, Image.Resampling.BILINEAR)
        if spacing_mm is not None:
            names.append(str(folder / f"{longest}.nii.gz"))
            _write_slice(names[-1], picture, FILLED * spacing_mm * min(file.padded_to) / longest)
            continue
        for mode in ("L", "RGB"):
            names.append(str(folder / f"{longest}_{mode}.png"))
            picture.convert("L").convert(mode).save(names[-1])
    return names


def _write_slice(name: str, picture: Image.Image, spacing_mm: float) -> None:
    import nibabel

    pixels = np.asarray(picture).T.round().astype(np.int16)[:, :, None]
    nibabel.save(nibabel.Nifti1Image(pixels, np.diag([-spacing_mm, -spacing_mm, spacing_mm, 1.0])), name)


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
