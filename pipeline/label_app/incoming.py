"""Labels as clients send them, brought to the grid of the image that they were drawn on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import GeometryMismatch, UnknownLabel
from pipeline.geometry import spacing_of
from pipeline.labels import LabelCoding
from pipeline.readers import Picture, read_picture

__all__ = ["as_classes", "names_of", "read_label", "renumbered"]

# OHIF sends bare voxels, a byte each.
BARE = ".bin"
PLACED = ("NIfTI", "NRRD", "MetaImage")
# A label whose corners lie further from the image's than this part of a voxel was drawn on something else.
PLACE_TOLERANCE = 0.5


def read_label(file: Path, picture: Picture, image: str) -> NDArray[np.uint8]:
    """The values of a label in display orientation, on the grid of its image.

    A volume is turned by what both files say of their axes, for what each looks like on its own may be told from its
    shape in another way.

    Args:
        file: NIfTI, NRRD, MHA, PNG, a DICOM segmentation, or the bare voxels that OHIF sends, x fastest.
        picture: The image.
        image: Its id, for messages.
    Returns: (W, H) or (W, H, D).

    Raises:
        GeometryMismatch: if it has another size than the image, or lies elsewhere.
        UnknownLabel: if the values are no whole numbers from 0 to 255.
        UnreadableImage, UnsupportedImage: if it cannot be read.
    """
    if file.name.endswith(BARE):
        return _bare(file, picture, image)
    label = read_picture(file, labels=True)
    mask = _values(label)
    if label.source_format in PLACED:
        return _turned(mask, label, picture, image)
    if mask.shape != picture.grid.display_shape:
        raise _wrong_size(image, mask.shape, picture)
    return mask


def names_of(info: Any) -> dict[str, str]:
    """Value → name, of the `label_info` of 3D Slicer and OHIF: a list of names, with their values if they are said."""
    if not isinstance(info, Sequence) or isinstance(info, str):
        return {}
    names: dict[str, str] = {}
    for number, entry in enumerate(info, 1):
        if isinstance(entry, Mapping) and entry.get("name"):
            value = next((entry[key] for key in ("idx", "labelID", "id") if str(entry.get(key, "")).isdigit()), number)
            names[str(int(value))] = str(entry["name"])[:64]
    return names


def renumbered(
    mask: NDArray[np.uint8], names: Mapping[str, str], labels: Mapping[int, str], image: str
) -> NDArray[np.uint8]:
    """A label's values as the numbers of a bundle's classes, by their names.

    Clients number what is drawn in the order in which it stands in their list, so that a class that was deleted moves
    those behind it.

    Args:
        mask: Values as drawn.
        names: Value → name; a value without a name is taken for the class of that number.
        labels: Class index → name of the bundle.
        image: Its id, for messages.
    Raises: UnknownLabel: for a value that is no class of the bundle.
    """
    by_name = {_plain(name): index for index, name in labels.items()}
    table = np.zeros(256, np.uint8)
    for value in map(int, np.unique(mask)):
        name = names.get(str(value))
        number = by_name.get(_plain(name)) if name is not None else value
        if value == 0:
            number = 0
        if number is None or number not in labels:
            drawn = f"'{name}'" if name is not None else f"the value {value}"
            raise UnknownLabel(
                f"The label of {image} holds {drawn}; the bundle's classes are "
                f"{', '.join(f'{index} {label}' for index, label in labels.items())}. Rename the segment, or train "
                "another bundle."
            )
        table[value] = number
    return table[mask]


def as_classes(
    mask: NDArray[np.uint8], names: Mapping[str, str], labels: Mapping[int, str], image: str
) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """A label with the numbers of a bundle's classes, so that its file means the same to whoever reads it alone.

    Args:
        mask: Values as drawn.
        names: Value → name.
        labels: Class index → name of the bundle.
        image: Its id, for messages.
    Returns: Mask and names; both as they were if something is drawn without a name, or with one that is no class.
    """
    # A value without a name could be given the number of another one that has one.
    if not {str(value) for value in np.unique(mask) if value} <= names.keys():
        return mask, dict(names)
    try:
        numbered = renumbered(mask, names, labels, image)
    except UnknownLabel:
        return mask, dict(names)
    said = {_plain(name) for name in names.values()}
    return numbered, {str(index): label for index, label in labels.items() if _plain(label) in said}


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _values(label: Picture) -> NDArray[np.uint8]:
    coding = LabelCoding.parse("index")
    if label.colour or label.array.ndim == 2:
        return coding.decode(label.array)
    # The coding knows pictures alone.
    return coding.decode(label.array.reshape(len(label.array), -1)).reshape(label.array.shape)


def _bare(file: Path, picture: Picture, image: str) -> NDArray[np.uint8]:
    values = np.fromfile(file, np.uint8)
    shape = picture.grid.shape
    if values.size != np.prod(shape):
        raise GeometryMismatch(
            f"The label of {image} has {values.size} voxels, its image {'×'.join(map(str, shape))}. Load the image "
            "again and send the label with it."
        )
    stored = values.reshape(shape, order="F")
    return picture.grid.to_display(stored[:, :, 0] if picture.grid.planar else stored)


def _turned(mask: NDArray[np.uint8], label: Picture, picture: Picture, image: str) -> NDArray[np.uint8]:
    """A label with axes of its own, on the image's."""
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    stored = label.grid.to_source(mask).reshape(label.grid.shape)
    from_label = np.linalg.inv(picture.grid.stored_affine) @ label.grid.stored_affine
    turn = io_orientation(from_label / np.append(spacing_of(from_label), 1.0))
    turned = apply_orientation(stored, turn)
    if turned.shape != picture.grid.shape:
        raise _wrong_size(image, label.grid.display_shape, picture)
    if picture.source_format in PLACED or picture.depth > 1:
        affine = label.grid.stored_affine @ inv_ornt_aff(turn, stored.shape)
        _require_same_place(affine, picture, image)
    return picture.grid.to_display(turned[:, :, 0] if picture.grid.planar else turned)


def _require_same_place(affine: NDArray[np.float64], picture: Picture, image: str) -> None:
    """Films and photographs lie nowhere; of all others the label must lie where the image does."""
    corners = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float).T
    corners[:3] *= np.array(picture.grid.shape)[:, np.newaxis]
    apart = np.abs((affine - picture.grid.stored_affine) @ corners)[:3].max()
    if apart > PLACE_TOLERANCE * spacing_of(picture.affine).min():
        raise GeometryMismatch(
            f"The label of {image} lies up to {apart:.1f} mm from its image. Export it on the image's own grid "
            "(in 3D Slicer: with the image as reference volume)."
        )


def _wrong_size(image: str, size: Sequence[int], picture: Picture) -> GeometryMismatch:
    label, expected = ("×".join(map(str, shape)) for shape in (size, picture.grid.display_shape))
    return GeometryMismatch(f"The label of {image} is {label}, its image {expected}. Draw it on the image itself.")
