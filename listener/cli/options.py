"""Options that several commands share, each said once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from listener.cli.output import Format

# Without a metavar Typer shows <bool> after a flag, as if it took a value.
flag = partial(typer.Option, metavar="")

Channels: TypeAlias = Annotated[
    list[str] | None, typer.Option("--channel", metavar="NAME", help="Only this channel; may be repeated.")
]
Organizations: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--organization", metavar="SLUG", help="Only this organization; may be repeated."),
]
Style: TypeAlias = Annotated[
    Format | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="table, csv, json, jsonl or parquet. Default: by the ending of FILE; else a table on a terminal "
        "and CSV in a pipe.",
    ),
]
Output: TypeAlias = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to FILE, whole or not at all.")
]
Cluster: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="WHERE",
        help="Hear with Dask: local, local:N (workers on this machine), tcp://HOST:8786 (a scheduler), or auto "
        "(the one that DASK_SCHEDULER_ADDRESS names, else local). Needs hospital-listener[cluster].",
    ),
]
Processes: TypeAlias = Annotated[
    int, typer.Option("--processes", metavar="N", min=1, max=256, help="Hear in N processes of this machine.")
]
