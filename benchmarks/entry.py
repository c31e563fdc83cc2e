"""How a benchmark's command ends: errors of the user's making in one line and status 1, Ctrl-C in status 130."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from pipeline.errors import PlanarError

__all__ = ["run"]


def run(command: click.Command, name: str, stopped: str = "Stopped.") -> NoReturn:
    """Run a command and end the process.

    Args:
        command: The command.
        name: What it is called by, such as "python -m benchmarks.nnunet".
        stopped: What is said after Ctrl-C.
    """
    try:
        sys.exit(command.main(prog_name=name, standalone_mode=False) or 0)
    except PlanarError as error:
        click.echo(f"Error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"\n{stopped}", err=True)
        sys.exit(130)
