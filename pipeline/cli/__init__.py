"""The command `planar`: one file a command, imported only when that command is called."""

from pipeline.cli.main import main

__all__ = ["main"]
