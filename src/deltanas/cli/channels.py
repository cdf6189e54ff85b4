"""Commands for networks of other widths."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from deltanas.bench import write_mutants
from deltanas.cli.output import Json, print_json, print_table, print_text

channels = typer.Typer(help="Networks with other widths: the corpus of strategy channels.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(channels, name="channels")


@channels.callback()
def _several() -> None:
    """Keeps `corpus` a command of its own: typer would merge a single one into its group."""


@channels.command("corpus")
def corpus(
    out: Annotated[
        Path, typer.Option(help="JSON lines, a mutant each; what is there is gone on from.", metavar="FILE")
    ],
    lemur: Annotated[
        Path | None, typer.Option(help="LEMUR's wheel, or the folder into which pip installed it.", metavar="PATH")
    ] = None,
    mutants: Annotated[int, typer.Option(help="Lines that the file shall have.", min=1)] = 5000,
    net: Annotated[list[str] | None, typer.Option(help="Name of a network; may be repeated. All if not given.")] = None,
    seed: Annotated[int, typer.Option(help="The root of all chance.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Draw vectors of widths and write the networks they make, each checked in the sandbox.

    Checked are the contract, the build, two training steps, and that what was built has exactly the widths asked for.
    """
    result = write_mutants(lemur, out, mutants=mutants, seed=seed, nets_only=net or (), say=_say)
    if as_json:
        print_json(result)
        return
    for key, value in result.items():
        if key != "bases":
            print_text(f"{key}: {value}")
    rows = result["bases"]
    assert isinstance(rows, list)
    print_table(list(rows[0]), (row.values() for row in rows))


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
