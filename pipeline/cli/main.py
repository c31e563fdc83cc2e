"""The root command: finds the others by name without importing them, and turns errors into one line."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, NoReturn

import click

from pipeline import __version__
from pipeline.cli.lazy_group import LazyGroup
from pipeline.errors import PlanarError, user_error_within
from pipeline.interrupts import interrupts_first
from pipeline.terminations import Terminated

# Before torch is loaded, which reads it then. Threads that wait for one another by spinning take the core from those
# that they wait for, as soon as another program runs beside them; threads that sleep at once are slow to wake, on a
# virtual machine above all. GNU's OpenMP, PyTorch's on Linux, spins for a moment here and then sleeps. Measured on two
# cores, a training step alone and with another training beside it: by default 225 and 6,530 ms, without spinning 404
# and 1,174, so 249 and 1,336.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")

NOTHING_LEFT = "Nothing unfinished was left under a final name."

# Name of the command, module under pipeline.cli that holds it, and its line in `planar --help`. The line stands here so
# that the help page needs no import of torch (1.6 s) or MONAI (5 s).
COMMANDS: dict[str, tuple[str, str]] = {
    "phantom": ("phantom", "Make a digital thorax phantom: radiographs and CT slices with exact masks."),
    "data": ("data", "Public image sets: list them, get them with their terms accepted, checked and indexed."),
    "index": ("index", "Pair images with masks, check them, split by subject, write datalist.json."),
    "merge": ("merge", "Join datalists of the same classes into one."),
    "inspect": ("inspect", "Look at a datalist: sizes, intensities, classes, objects, near-duplicates."),
    "plan": ("plan", "Write a bundle for a datalist: every choice with its reason."),
    "train": ("train", "Train a bundle on a datalist, once or in folds."),
    "find-best": ("find_best", "Choose ensemble and post-processing by cross-validation."),
    "calibrate": ("calibrate", "Fit the gate that says which predictions a person must look at."),
    "evaluate": ("evaluate", "Score a bundle on one split of a datalist, case by case."),
    "export": ("export", "Make a program of a bundle that segments without torch, checked to give its masks."),
    "infer": ("infer", "Segment files, folders or volumes; masks come back on the source grid."),
    "report": ("report", "One HTML page of an evaluation, which opens without a network."),
    "compare": ("compare", "Evaluations side by side, with paired differences."),
    "runs": ("runs", "The runs that are recorded: status, data, best metric."),
    "audit": ("audit", "Check that what is recorded of a run is still true; compare and pack runs."),
    "label": ("label", "Annotate in 3D Slicer or OHIF with bundles, and train them from it (MONAI Label)."),
    "card": ("card", "Write a bundle's model card and scores from the record of its run."),
}


@click.group(
    cls=LazyGroup,
    table={name: (f"pipeline.cli.{module}", line) for name, (module, line) in COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="planar")
def root() -> None:
    """From a folder of X-rays or CT slices and their masks to a trained MONAI bundle and masks for new images.

    The usual way: index, train, evaluate, infer. Each step reads files and writes files, so each can be used alone.
    """


def main(args: list[str] | None = None) -> None:
    """Run `planar`. Errors of the user's making end in one line and status 1, Ctrl-C in status 130."""
    try:
        with interrupts_first():
            result: Any = root.main(args=args, prog_name="planar", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(result if isinstance(result, int) else 0)
    except (click.exceptions.Abort, KeyboardInterrupt) as abort:
        # click turns an EOFError into Abort too: that is a truncated file, not Ctrl-C.
        if isinstance(abort.__cause__, EOFError):
            fail(abort.__cause__)
        click.echo(f"\nStopped by Ctrl-C. {_way_on(abort) or NOTHING_LEFT}", err=True)
        sys.exit(130)
    except Terminated as terminated:
        click.echo(f"\nStopped by SIGTERM. {_way_on(terminated) or NOTHING_LEFT}", err=True)
        raise
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The work is done but `planar … | head` has stopped reading; without this Python complains at exit. A command
        # that meets it halfway ends with status 1, which click sees to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        fail(error)


def _way_on(stop: BaseException | None) -> str:
    """What a task has noted of how it goes on: in the first of those that were raised from one another."""
    while stop is not None and not getattr(stop, "__notes__", None):
        stop = stop.__cause__
    return " ".join(getattr(stop, "__notes__", ()))


def fail(error: BaseException) -> NoReturn:
    """Say what went wrong in one line, and exit with status 1; with PLANAR_TRACEBACK set, raise it instead."""
    if os.environ.get("PLANAR_TRACEBACK"):
        raise error
    cause = user_error_within(error)
    click.echo(f"Error: {one_line(cause) if cause is not None else unexpected(error)}", err=True)
    sys.exit(1)


def one_line(error: PlanarError | OSError) -> str:
    """The error as one line, with the path and the operating system's reason where it is one of those."""
    if isinstance(error, OSError) and not isinstance(error, PlanarError) and error.strerror:
        # The second name is the final one, where a file written aside could not be renamed to it.
        path = error.filename2 or error.filename
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and not path:
            return "The disk is full. Make room where the results, mlruns.db or temporary files (TMPDIR) lie."
        return f"{path}: {error.strerror}." if path else f"{error.strerror}."
    return " ".join(str(error).split())


def unexpected(error: BaseException) -> str:
    """One line for an error that is not of the user's making, with the place of its traceback."""
    import tempfile
    import traceback

    deepest = error
    while deepest.__cause__ is not None:
        deepest = deepest.__cause__
    what = f"{type(deepest).__name__}: {' '.join(str(deepest).split())[:300]}"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="planar-", suffix=".log", delete=False, encoding="utf-8") as file:
            file.write("".join(traceback.format_exception(error)))
    except OSError as full:
        return f"{what} (unexpected; its traceback could not be written to {tempfile.gettempdir()}: {full.strerror})"
    return f"{what} (unexpected; please report it with {file.name})"
