"""Commands to begin with: a skeleton, and a plain module as a program."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deltanas.cli.output import Json, print_json, print_text
from deltanas.cli.work import text_of
from deltanas.program.adapting import adapted
from deltanas.starting import write_skeleton
from deltanas.train.packages import offered


def add_to(app: typer.Typer) -> None:
    app.command()(new)
    app.command()(adapt)


def new(
    folder: Annotated[Path, typer.Argument(help="The folder to make.", metavar="FOLDER")], as_json: Json = False
) -> None:
    """Write a commented skeleton: a program by the contract, folders for pictures, and settings of an open run."""
    written = write_skeleton(folder)
    if as_json:
        print_json({"folder": str(folder), "written": [str(path) for path in written]})
        return
    print_text("\n".join(map(str, written)))
    print_text(
        f"next: put pictures into {folder}/images, a folder for each class; {folder}/search.toml says how to go on"
    )


def adapt(
    file: Annotated[Path, typer.Argument(help="A file with a torch.nn.Module.", metavar="FILE")],
    name: Annotated[
        str | None, typer.Option("--class", help="Name of the class; default: the last Module of the file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print a plain torch.nn.Module of (channels, classes) as a program by the contract. Status 1: what is missing."""
    found = adapted(text_of(file), name, offered())
    if as_json:
        print_json({"file": str(file), **asdict(found)})
    elif found.source is None:
        print_text("\n".join(f"{file}: {fault}" for fault in found.faults))
    else:
        sys.stdout.write(found.source)
    raise typer.Exit(0 if found.source is not None else 1)
