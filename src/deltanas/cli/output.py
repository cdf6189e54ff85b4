"""Printing: data on stdout, as text or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from deltanas.rehearsal import Rehearsal

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
RunArgument = Annotated[Path, typer.Argument(help="Folder of the run.", metavar="RUN")]
Against = Annotated[
    list[Path] | None, typer.Option(help="Run to compare with, as the control; may be repeated.", metavar="RUN")
]
RunOption = Annotated[Path, typer.Option("--run", help="Folder of the run.", metavar="RUN")]


def print_text(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def json_text(value: object) -> str:
    """JSON on one line, fit for UTF-8: a lone surrogate, as in a file name that is no UTF-8, is escaped."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8")


def print_json(value: object) -> None:
    print_text(json_text(value))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    # Where no terminal sets the width, nothing is cut off: the reader may be another program.
    width = None if sys.stdout.isatty() else 1_000
    Console(markup=False, highlight=False, emoji=False, width=width).print(table)


def print_figures(figures: Mapping[str, Any], tables: Sequence[str], *, as_json: bool) -> None:
    """`figures` as JSON, or a line each and then those named in `tables`, which are lists of rows, as tables."""
    if as_json:
        print_json(figures)
        return
    for key, value in figures.items():
        if key not in tables:
            print_text(f"{key}: {value}")
    for table in tables:
        rows = figures[table]
        print_table(list(rows[0]), (row.values() for row in rows))


def say(text: str) -> None:
    """A line of narration."""
    sys.stderr.write(text + "\n")


def keyed(record: Mapping[str, object], metric: str) -> dict[str, object]:
    """Plain data in which every score stands under the name of its metric too, as "accuracy"; several, as "accuracies".

    metric: the metric's name.
    """
    names = {"score": metric, "scores": f"{metric[:-1]}ies" if metric.endswith("y") else f"{metric}s"}
    found: dict[str, object] = {}
    for key, value in record.items():
        if key in names:
            found[names[key]] = value
        found[key] = _keyed(value, metric)
    return found


def _keyed(value: object, metric: str) -> object:
    match value:
        case dict():
            return keyed(value, metric)
        case list() | tuple():
            return [_keyed(item, metric) for item in value]
        case _:
            return value


def show_rehearsal(found: Rehearsal, as_json: bool) -> None:
    """Ends the command: status 0 where nothing is lacking, else 1."""
    if as_json:
        print_json(asdict(found))
    else:
        print_text("\n".join(found.does) + "\n")
        print_table(("number of", "at most"), found.counts.items())
        lacks = [f"lacking: {lack.message}\n  hint: {lack.hint}" for lack in found.lacks]
        print_text("\n" + ("\n".join(lacks) or "nothing is lacking"))
    raise typer.Exit(1 if found.lacks else 0)
