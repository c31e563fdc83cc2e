"""Whether a mask lies as its image does.

A picture is turned for display by what its file says (EXIF, ImageOrientationPatient, an affine). A mask in another file
may say nothing or something else, and can have been drawn on the picture as shown or on its pixels as stored.
"""

from __future__ import annotations

import numpy as np

from pipeline.datalist import Finding
from pipeline.errors import InvalidOption
from pipeline.fragments import fragment_of
from pipeline.geometry import SourceGrid, picture_affine
from pipeline.readers import Picture, numbered_against_normal
from pipeline.tasks.index.decoding import RefusedError

__all__ = ["MASKS_AS", "mask_on_image", "require_known"]

MASKS_AS = ("shown", "stored")

# A series has no order but that of its slices in the patient, whatever its files are called.
ALONG_NORMAL = "counted along the normal of the slices (feet to head for axial ones), not by file or InstanceNumber"

# How a picture is shown, by its EXIF orientation.
SHOWN = {
    1: "as stored",
    2: "mirrored left to right",
    3: "turned by 180°",
    4: "mirrored top to bottom",
    5: "with columns as rows",
    6: "turned by 90°",
    7: "with columns as rows and turned by 180°",
    8: "turned by 270°",
}


def require_known(masks_as: str | None) -> None:
    """Raise InvalidOption if masks can be taken in no such way."""
    if masks_as not in (None, *MASKS_AS):
        raise InvalidOption(f"Masks cannot be taken as {masks_as!r}. Choose from {', '.join(MASKS_AS)}.")


def mask_on_image(
    image: Picture, file: str, mask: Picture, masks_as: str | None, warnings: list[Finding]
) -> tuple[str, Picture]:
    """A mask as it lies on its image, and the path that it is read by.

    Args:
        image: The image.
        file: The mask's path.
        mask: The mask.
        masks_as: What a mask was drawn on that does not lie as its image does: the picture as "shown", or the pixels as
            "stored", slices of a DICOM series being counted along their normal; None where nobody has said. Masks that
            lie in one place with their image are left alone.
        warnings: Gets what is odd, or was assumed.
    Returns: Path and mask; if it was drawn on the pixels as stored, shown by the axes of the image, as the path says.
    Raises: RefusedError: if sizes differ, or if both files say where they lie and contradict each other.
    """
    # A slice of a volume that the user named is what it is: its axes cannot be said of it alone.
    as_stored = None if fragment_of(file) else _by_axes_of(image.grid, mask)
    fits = mask.grid.display_shape == image.grid.display_shape
    differ = _way(image.grid) != _way(mask.grid)
    apart = _apart_mm(image, mask) if fits else None
    near = apart is not None and apart <= max(image.spacing_mm or (0,))
    if masks_as == "stored" and not near and as_stored is not None and numbered_against_normal(image):
        reason = (
            f"slices are {ALONG_NORMAL}, and the image's InstanceNumbers run the other way: is the mask in reverse?"
        )
        warnings.append(Finding(file, "slices_numbered_against", reason))
    if differ and not near and masks_as == "stored" and as_stored is not None:
        path = f"{file}#axes={as_stored}"
        return path, mask.shown_by(as_stored, path)
    if not fits:
        raise RefusedError(file, "size_mismatch", _mismatch(image, mask, as_stored if differ else None))
    if not differ or near or masks_as == "shown":
        if apart is not None and not near:
            reason = f"its grid lies {apart:.1f} mm beside the image's, though the sizes agree"
            warnings.append(Finding(file, "geometry_differs", reason))
        return file, mask
    how = f"the image is shown {_shown(image.grid)}, the mask {_shown(mask.grid)}"
    if apart is not None and _has_place(image) and _has_place(mask):
        order = f" slice by slice, {ALONG_NORMAL}" if _is_series(image) else " in their order in the files"
        stored = f"stored if its pixels belong to those of the image{order}"
        reason = (
            f"{how}, and it lies {apart:.1f} mm beside the image. Save it with the affine of the image; or say "
            f"--masks-as {stored if as_stored else 'shown if it is right as a viewer shows it'}"
        )
        raise RefusedError(file, "orientation_differs", reason)
    if as_stored is None:
        if masks_as == "stored" and mask.source_format != "DICOM":
            reason = "its pixels as stored do not fit those of the image, only as shown. Say --masks-as shown"
            raise RefusedError(file, "size_mismatch", reason)
        return file, mask  # its size says that it was drawn on the picture as shown
    slices = f" with slices {ALONG_NORMAL}" if _is_series(image) else ""
    reason = (
        f"{how}, and the files do not say how they lie to each other: the mask is taken as drawn on the picture as "
        f"shown (--masks-as shown). If it was drawn on the pixels as stored{slices}, say --masks-as stored"
    )
    warnings.append(Finding(file, "orientation_assumed", reason))
    return file, mask


def _by_axes_of(image: SourceGrid, mask: Picture) -> str | None:
    """The axes by which a mask's stored array is shown as that of the image is; None if it does not fit then."""
    if mask.source_format == "DICOM":  # it says itself how it lies
        return None
    if mask.grid.shape == image.shape:
        grid = mask.grid.shown_by(image.axes_as_text)
    elif mask.grid.shape[2] == 1 and image.depth == 1:
        swapped, flips = _way(image)
        signs = ["-" if flip else "+" for flip in flips]
        letters = ("y", "x") if swapped else ("x", "y")
        grid = mask.grid.shown_by(f"{signs[0]}{letters[0]}{signs[1]}{letters[1]}+z")
    else:
        return None
    return grid.axes_as_text if grid.display_shape == image.display_shape else None


def _way(grid: SourceGrid) -> tuple[object, tuple[bool, ...]]:
    """What is done to a stored array for display; of a picture without the axis that it does not have."""
    if grid.depth == 1:
        return grid.axes[0] > grid.axes[1], grid.flips[:2]
    return grid.axes, grid.flips


def _apart_mm(image: Picture, mask: Picture) -> float | None:
    """How far apart the corners of two pictures of one size lie in the patient, mm; None where that is unknown."""
    if not image.spacing_mm or not mask.spacing_mm or "unknown" in (image.spacing_source, mask.spacing_source):
        return None
    corners = np.array([[0, 0, 0, 1], [*image.grid.display_shape[:2], 0, 1], [0, 0, image.depth - 1, 1]], float).T
    return float(np.abs(image.affine @ corners - mask.affine @ corners)[:3].max())


def _has_place(picture: Picture) -> bool:
    """Whether a file says where its picture lies: one that does not starts at the origin, to the left and down."""
    return not np.allclose(picture.affine, picture_affine(picture.grid.spacing_mm))


def _is_series(image: Picture) -> bool:
    return image.source_format == "DICOM" and image.depth > 1


def _shown(grid: SourceGrid) -> str:
    swapped, flips = grid.axes[0] > grid.axes[1], grid.flips
    if grid.depth > 1 and grid.axes[2] != 2:
        return "along other axes"
    turned = SHOWN[SourceGrid((1, 1, 1), np.eye(4), (1, 0, 2) if swapped else (0, 1, 2), flips).exif_orientation]
    return f"{turned}, its slices in reverse" if grid.depth > 1 and flips[2] else turned


def _mismatch(image: Picture, mask: Picture, as_stored: str | None) -> str:
    sizes = ["×".join(map(str, picture.grid.display_shape)) for picture in (mask, image)]
    if as_stored is not None:
        return (
            f"mask {sizes[0]} does not match image {sizes[1]}, which is shown {_shown(image.grid)}. Its pixels as "
            "stored do: say --masks-as stored"
        )
    turned = mask.grid.display_shape[:2] == image.grid.display_shape[1::-1]
    return f"mask {sizes[0]} does not match image {sizes[1]}{' (turned by 90°?)' * turned}. Export the mask again"
