"""The HU window of 8-bit CT slices, from where soft tissue lies in them and in Hounsfield units.

python -m benchmarks.release.window --data FOLDER

The darkest value is what a set allows: -1024 HU, the least of CT, where air has grey values of its own; and where three
quarters of the lungs are 0, the value below which three quarters of a lung lie. The brightest follows from the peak of
the soft tissue. What lungs and air in the trachea come to in HU is not used, and checks it. What it does not know:
contrast agents, and whether all slices had one window, which the spread over slices tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.entry import run
from pipeline.readers import read_mask, read_picture

__all__ = ["brightest", "tissue_peak"]

# Between fat and contrast-enhanced organs; bone, air and lung lie outside.
TISSUE_HU = (0.0, 150.0)
SMOOTHING = 5  # values that a histogram is averaged over before its peak is looked for
FEWEST = 5000  # lung pixels of a slice, so that vessels and edges do not decide on the median
COLOURS = "colours:#000000=0,#0000ff=1,#00ff00=2,#ff0000=3"
LEAST_HU = -1024.0
SETS = {"ct_lungs": ("png", "threshold:127", 2), "ct_chest_rgb": ("jpg", COLOURS, 4)}


def tissue_peak(picture: NDArray[Any], lung: NDArray[np.bool_], among: tuple[float, float]) -> float:
    """The most frequent value outside the lungs.

    Args:
        picture: Grey values or HU.
        lung: Where the lungs are.
        among: Range in which it is looked for.
    """
    values = picture[~ndimage.binary_dilation(lung, iterations=2)]
    counts, edges = np.histogram(values, bins=int(among[1] - among[0]), range=among)
    smooth = np.convolve(counts, np.ones(SMOOTHING) / SMOOTHING, "same")
    return float(edges[int(smooth.argmax())] + 0.5)


def brightest(darkest_hu: float, tissue_grey: float, tissue_hu: float) -> float:
    """The HU that becomes 255, where 0 and the soft tissue are known."""
    return darkest_hu + 255 * (tissue_hu - darkest_hu) / tissue_grey


def volume_hu(series: Path) -> tuple[float, float]:
    """Soft tissue of a CT volume, and the HU below which three quarters of its lungs lie."""
    import nibabel

    volume = nibabel.load(series / "nifti" / "example_ct_sm.nii.gz").get_fdata()
    lobes = [nibabel.load(path).get_fdata() > 0.5 for path in sorted((series / "lobes").glob("*.nii.gz"))]
    lung = np.logical_or.reduce(lobes)
    return tissue_peak(volume, lung, TISSUE_HU), float(np.percentile(volume[lung], 75))


def slices_of(folder: Path) -> Iterator[tuple[str, float, tuple[float, float], float | None]]:
    """Each slice's name, its soft tissue, median and 75th percentile of its lungs, and its air in the trachea."""
    suffix, coding, classes = SETS[folder.name]
    for file in sorted((folder / "images").glob(f"*.{suffix}")):
        picture = read_picture(str(file)).array
        grey = picture.mean(-1) if picture.ndim == 3 else picture.astype(float)
        found = read_mask([str(folder / "masks" / f"{file.stem}.png")], coding, classes)
        if (found == 1).sum() < FEWEST:
            continue
        lung = grey[ndimage.binary_erosion(found == 1, iterations=2)]
        air = grey[ndimage.binary_erosion(found == 3, iterations=2)]
        middle, upper = (float(value) for value in np.percentile(lung, [50, 75]))
        tissue = tissue_peak(grey, found == 1, (20.0, 250.0))
        yield file.stem, tissue, (middle, upper), float(np.median(air)) if air.size > 20 else None


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of the sets.")
def main(data: Path) -> None:
    """Estimate the windows of the 8-bit CT sets."""
    tissue_hu, lung_hu = volume_hu(data / "ct_series")
    click.echo(json.dumps({"tissue_hu": tissue_hu, "three_quarters_of_the_lungs_below_hu": lung_hu}))
    for name in SETS:
        rows = [*slices_of(data / name)]
        darkest = lung_hu if np.median([upper for _, _, (_, upper), _ in rows]) == 0 else LEAST_HU
        ends = [brightest(darkest, tissue, tissue_hu) for _, tissue, _, _ in rows]
        for (case, tissue, (lung, _), air), end in zip(rows, ends, strict=True):
            click.echo(
                json.dumps({"slice": case, "tissue": tissue, "lung": lung, "air": air, "brightest_hu": round(end)})
            )
        step = (float(np.median(ends)) - darkest) / 255
        airs = [air for *_, air in rows if air is not None]
        told = {
            "set": name,
            "slices": len(rows),
            "tissue": float(np.median([tissue for _, tissue, _, _ in rows])),
            "window_hu": [round(darkest), round(float(np.median(ends)))],
            "quartiles_of_the_brightest": np.percentile(ends, [25, 75]).round().tolist(),
            "lung_hu": round(darkest + step * float(np.median([lung for _, _, (lung, _), _ in rows]))),
            "trachea_hu": round(darkest + step * float(np.median(airs))) if airs else None,
        }
        click.echo(json.dumps(told))


if __name__ == "__main__":
    run(main, "python -m benchmarks.release.window", "Stopped.")
