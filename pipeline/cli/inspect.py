"""`planar inspect`: look at a set before anything is planned from it."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.tasks.inspect import Inspection

__all__ = ["command"]


@click.command("inspect")
@click.argument("datalist", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the fingerprint to this JSON file.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write a page with pictures to this HTML file.")
@click.option("--json", "as_json", is_flag=True, help="Print the fingerprint instead of a summary.")
@click.option("--overwrite", is_flag=True, help="Replace the outputs if they are there.")
@click.option("--workers", type=click.IntRange(1), help="Processes that decode; by default one a core.")
def command(
    datalist: Path, output: Path | None, page: Path | None, as_json: bool, overwrite: bool, workers: int | None
) -> int:
    """Measure every case of DATALIST: sizes, spacing, intensities, classes, objects, near-duplicates.

    Pixels are measured in the training and validation parts alone; pictures of the test part are only compared with
    the others, to find copies across the split (turned, mirrored, cropped a little or of other brightness, too). The
    fingerprint is all that `planar plan` needs to know of the pictures.

    \b
    planar inspect datalist.json
    planar inspect datalist.json -o fingerprint.json --html fingerprint.html
    """  # noqa: D301  (click reads the backspace as: keep the lines)
    from pipeline.cli.progress import stage_bars
    from pipeline.tasks.inspect import inspect_set, refuse_existing, write_fingerprint

    for target in (output, page):
        if target is not None:
            refuse_existing(target, overwrite)
    with stage_bars("steps") as show:
        inspection = inspect_set(datalist, workers=workers, on_progress=show)
    if output is not None:
        write_fingerprint(inspection.fingerprint, output, overwrite=overwrite)
    if page is not None:
        from pipeline.tasks.inspect.page import write_inspection_page

        write_inspection_page(inspection, page, overwrite=overwrite)
    if as_json:
        click.echo(inspection.fingerprint.to_json(), nl=False)
    else:
        click.echo(summary(inspection, datalist, output, page))
    for finding in inspection.failed:
        click.echo(f"Left out: {finding.file}: {finding.reason}", err=True)
    return 1 if inspection.failed else 0


def summary(inspection: Inspection, datalist: Path, output: Path | None, page: Path | None) -> str:
    """The fingerprint in a few lines, what is remarkable, and the command that comes next."""
    from pipeline.fingerprint import remarks

    document = inspection.fingerprint.document
    size, intensity, spacing = document["size"], document["intensity"], document["spacing_mm"]
    pixel = f"{spacing['x']['median']:.3g} mm (median)" if spacing["known"] else "unknown"
    lines = [
        f"{document['name']}: {len(inspection.cases)} cases measured ({' and '.join(document['measured'])}), "
        f"{document['modality']}, {'colour' if document['channels'] == 3 else 'grey'}",
        f"  Size        {size['width']['min']:.0f}–{size['width']['max']:.0f} × "
        f"{size['height']['min']:.0f}–{size['height']['max']:.0f} px, pixel size {pixel}",
        f"  Stored      {', '.join(document['stored']['formats'])}; {', '.join(document['stored']['dtypes'])}",
        f"  Values      {_range(intensity['all'])}; outside {_range(intensity['outside'])}, "
        f"inside {_range(intensity['inside'])} (0.5–99.5 %)",
    ]
    for name, found in document["classes"].items():
        if found["cases"]:
            area, objects, across = found["area_share"], found["objects"], found["object_diameter_px"]
            lines.append(
                f"  {name:<11} in {found['cases']} cases, {area['median']:.2%} of the picture (median), "
                f"{objects['min']:.0f}–{objects['max']:.0f} objects of {across['median']:.0f} px (median)"
            )
        else:
            lines.append(f"  {name:<11} in no case")
    lines.append(
        f"  Near-duplicates: {document['near_duplicates_across']} across the split, "
        f"{document['near_duplicates_within']} within a part"
    )
    lines += [f"Note: {line}" for line in remarks(inspection.fingerprint)]
    lines += [f"{what}: {path}" for what, path in (("Fingerprint", output), ("Page", page)) if path is not None]
    if "training" in document["measured"]:
        lines.append(f"Next: planar plan {quote(str(output or datalist))} --task TASK -o bundles/TASK_segmentation")
    return "\n".join(lines)


def _range(found: dict[str, float] | None) -> str:
    return "–" if found is None else f"{found['p00_5']:.4g} to {found['p99_5']:.4g}"
