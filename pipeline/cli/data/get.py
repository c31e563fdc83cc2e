"""`planar data get`."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from pipeline.cli.findings import finding_lines
from pipeline.errors import InvalidOption

if TYPE_CHECKING:
    from rich.progress import TaskID

    from pipeline.public_sets import PublicSet
    from pipeline.tasks.public_data import GetOptions, GetResult

__all__ = ["command"]


@click.command("get")
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder of the set.  [data/NAME]")
@click.option("--accept-terms", is_flag=True, help="The terms are known and accepted; nobody is asked.")
@click.option(
    "--from", "source", type=click.Path(path_type=Path), help="Folder or zip archive of what you downloaded yourself."
)
@click.option("--as-it-is", is_flag=True, help="Go on if sizes, digests or numbers of files are others than expected.")
@click.option("--split", metavar="TRAIN,VAL,TEST", help="Split by subject.  [the publisher's own, else 0.7,0.1,0.2]")
@click.option("--seed", default=0, show_default=True, help="Of the split.")
@click.option("--workers", type=click.IntRange(1), help="Processes that index; by default one a core.")
def command(
    name: str,
    output: Path | None,
    accept_terms: bool,
    source: Path | None,
    as_it_is: bool,
    split: str | None,
    seed: int,
    workers: int | None,
) -> int:
    """Get the public set NAME: shows its terms, fetches, unpacks, checks and indexes it.

    What broke off goes on where it was when the command is given again. A set behind a login you download
    yourself, by the steps that are shown, and give it with --from.

    \b
    planar data get montgomery
    planar data get drishti_gs --from Drishti-GS1_files
    """  # noqa: D301  (click reads the backspace as: keep the lines)
    from pipeline.public_sets import find_set
    from pipeline.split import Fractions

    entry = find_set(name)
    shares = Fractions.parse(split) if split else None
    click.echo(f"{entry.title}\n{entry.homepage}\n\nTerms: {entry.terms}\nCite:  {entry.cite}\n")
    if entry.by_hand and source is None:
        what = "A part of" if entry.files else "All of"
        click.echo(f"{what} {entry.name} is downloaded by yourself, in these steps:")
        for number, step in enumerate(entry.by_hand, 1):
            click.echo(f"  {number}. {step}")
        return 1
    if not accept_terms and not _accepts():
        click.echo("Nothing was fetched.", err=True)
        return 1
    from pipeline.tasks.public_data import GetOptions

    options = GetOptions(True, source, as_it_is, shares, seed, workers)
    return _say(entry, _get(entry, output or Path("data") / name, options))


def _accepts() -> bool:
    try:
        return click.confirm("Do you accept these terms?")
    except click.Abort:
        if sys.stdin.isatty():  # Ctrl-C
            raise
        raise InvalidOption("Nobody answers here whether the terms are accepted. Give --accept-terms if so.") from None


def _get(entry: PublicSet, folder: Path, options: GetOptions) -> GetResult:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from pipeline.cli.progress import Bars, stage_bars
    from pipeline.tasks.public_data import get_set

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    bars = Bars(*columns)
    tasks: dict[str, TaskID] = {}

    def on_bytes(name: str, done: int, total: int | None) -> None:
        if name not in tasks:
            bars.start()
            tasks[name] = bars.add_task(name, total=total)
        bars.update(tasks[name], completed=done, total=total)

    with stage_bars("cases") as on_index:

        def index_now(stage: str, done: int, total: int) -> None:
            bars.stop()
            on_index(stage, done, total)

        try:
            return get_set(entry, folder, options, on_bytes=on_bytes, on_index=index_now)
        finally:
            bars.stop()


def _say(entry: PublicSet, result: GetResult) -> int:
    for name, digest in result.digests.items():
        known = next(file.sha256 for file in entry.files if file.name == name)
        expected = "as expected" if known == digest else f"expected was {known}"
        checked = "none is known to compare with" if known is None else expected
        click.echo(f"SHA-256 {digest}  {name} ({checked})")
    for note in result.notes:
        click.echo(f"Warning: {note}", err=True)
    content = result.index.datalist
    without_mask = sum(finding.code == "missing_mask" for finding in content.refused)
    refused = len(content.refused)
    if without_mask and without_mask == entry.without_mask:
        click.echo(f"{without_mask} images have no mask, as published, and were left out.")
        refused -= without_mask
    if refused:
        click.echo(f"Warning: {refused} files were refused; {result.datalist} says why.", err=True)
    for line in finding_lines("Warning", content.warnings):
        click.echo(line, err=True)
    sides = ", ".join(f"{part} {len(content.part(part))}" for part in ("training", "validation", "test"))
    click.echo(f"Cases:    {sides}")
    click.echo(f"Datalist: {result.datalist}")
    datalist, fingerprint = (
        quote(str(path)) for path in (result.datalist, result.datalist.with_name("fingerprint.json"))
    )
    click.echo(f"Next:     planar inspect {datalist} -o {fingerprint}")
    return 1 if result.notes or refused else 0
