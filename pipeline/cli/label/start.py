"""`planar label start`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("start")
@click.option(
    "--studies", required=True, metavar="DIR|URL", help="A folder of images, or the address of a DICOMweb archive."
)
@click.option(
    "--bundle", "bundles", multiple=True, required=True, metavar="NAME|PATH", help="A bundle; any number of them."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Port to listen on.")
@click.option(
    "--users",
    type=click.Path(path_type=Path),
    help="Who may log in: a file as `htpasswd -B` writes it.  [everybody is let in]",
)
@click.option("--max-upload", type=click.IntRange(1), default=2048, show_default=True, help="Largest request, MB.")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Working folder: logs, copies of images, trainings.  [one of yours for these studies]",
)
@click.option("--conf", nargs=2, multiple=True, metavar="KEY VALUE", help="Setting of the app, as MONAI Label has it.")
def command(
    studies: str,
    bundles: tuple[str, ...],
    host: str,
    port: int,
    users: Path | None,
    max_upload: int,
    work: Path | None,
    conf: tuple[tuple[str, str], ...],
) -> None:
    """Start a MONAI Label server, until Ctrl-C.

    Of a folder, images are pictures, volumes and DICOM series below it; labels are saved in its folder labels. Of an
    archive, labels are stored beside the images, as DICOM segmentations.

    \b
    planar label start --studies films --bundle cxr_lung_segmentation
    planar label start --studies http://127.0.0.1:8042/dicom-web --bundle my_lungs --bundle my_heart

    It needs an environment of its own, with MONAI Label: make label, or
    pip install -c constraints-label.txt '.[label]' in its checkout.
    """  # noqa: D301  (click reads the backspace as: keep the lines)
    from pipeline.label_app.start import prepare, require_monailabel, serve

    require_monailabel()
    server = prepare(studies, bundles, host=host, port=port, work=work, conf=conf, users=users, megabytes=max_upload)
    click.echo(f"3D Slicer: module MONAI Label, server {server.address}")
    if server.ohif:
        click.echo(f"OHIF:      {server.ohif}")
    click.echo(f"Images with their masks: {server.address}/look/")
    click.echo(f"Models:    {', '.join(server.bundles)}")
    click.echo(f"Working folder and logs: {server.work}")
    for remark in server.remarks:
        click.echo(f"Note: {remark}")
    click.echo("Ctrl-C ends it.")
    serve(server)
