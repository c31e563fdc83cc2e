"""`planar export`."""

from __future__ import annotations

import click


@click.command("export")
@click.argument("bundle")
@click.option(
    "--compare-on",
    multiple=True,
    metavar="PICTURES",
    help="Also compare masks on these: files, folders, globs; several times.",
)
def command(bundle: str, compare_on: tuple[str, ...]) -> int:
    """Make a program of BUNDLE that needs neither torch nor MONAI: models/program.onnx.

    It takes a decoded picture and gives the mask on its grid: resizing, normalisation, network, flips, and what the
    gate asks of the network. `planar infer` runs it with OpenVINO, which is done with a few pictures before torch and
    MONAI would be loaded, and on a processor quicker with many, and says so. It is not used for other weights,
    settings, or after either has changed; nor on a GPU for more than 32 slices.

    The program is only written if its masks are the bundle's: Dice of at least 0.999 in every class, against the
    bundle in float32, on phantom films of several sizes and on PICTURES; a network that misses that in bfloat16 stays
    in float32. Whole pictures are covered, patches are not; ensembles of folds are. Regions that the bundle's
    `refinement` removes from finished masks are removed as well.
    """
    from pipeline.tasks.export import export_program

    result = export_program(bundle, compare_on, on_progress=lambda says: click.echo(f"… {says}", err=True))
    size = result.path.stat().st_size / 1e6
    click.echo(f"Program: {result.path} ({size:.1f} MB)")
    click.echo(
        f"Masks:   {result.pictures} pictures compared, lowest Dice {result.dice:.5f} against the bundle in float32, "
        f"{result.dice_as_run:.5f} as it runs here; the network in {'bfloat16' if result.bfloat16 else 'float32'}"
    )
    if result.most is not None:
        size_px = "×".join(map(str, result.most))
        click.echo(f"Note: pictures that are larger than {size_px} pixels to the network go through the bundle.")
    if result.left_out:
        click.echo(f"Note: {result.left_out} of the pictures are not covered; planar infer takes the bundle for them.")
    if result.without_gate:
        click.echo(f"Note: without the gate: {result.without_gate}")
    return 0
