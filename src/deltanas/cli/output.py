"""Printing: data on stdout, as text or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
RunArgument = Annotated[Path, typer.Argument(help="Folder of the run.", metavar="RUN")]
Against = Annotated[
    list[Path] | None, typer.Option(help="Another run to compare with, as the control; may be repeated.", metavar="RUN")
]
RunOption = Annotated[Path, typer.Option("--run", help="Folder of the run.", metavar="RUN")]


def print_text(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_json(value: object) -> None:
    print_text(json.dumps(value, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    # Where no terminal sets the width, nothing is cut off: the reader may be another program.
    width = None if sys.stdout.isatty() else 1_000
    Console(markup=False, highlight=False, width=width).print(table)


def percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.1%}"
