"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["engine_option", "json_option", "store_option"]

store_option: Callable[[Any], Any] = click.option(
    "--store",
    metavar="URI",
    help="MLflow store: a SQLite file or a server's address.  [MLFLOW_TRACKING_URI, else mlruns.db in this folder]",
)
json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
engine_option: Callable[[Any], Any] = click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="ray: spread over the Ray cluster that RAY_ADDRESS names, else over this machine's cores. Files and results "
    "lie under the same paths on all of its machines. A worker computes with one thread, or OMP_NUM_THREADS.",
)
