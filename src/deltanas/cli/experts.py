"""Commands for mixtures of programs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from deltanas.cli.output import Json, print_json
from deltanas.cli.work import hyperparameters
from deltanas.config import read_config
from deltanas.errors import UsageError
from deltanas.program.assembly import Expert, assembled
from deltanas.program.heads import Head, Kind, Loss
from deltanas.wiring import programs_of

experts = typer.Typer(help="Mixtures of programs.", no_args_is_help=True)
_MOST = 8


def add_to(app: typer.Typer) -> None:
    app.add_typer(experts, name="experts")


@experts.callback()
def _experts() -> None:
    """Mixtures of programs."""


@experts.command("assemble")
def assemble(
    programs: Annotated[
        list[str],
        typer.Argument(
            help="Files, names of built-in baselines, or lemur:RUN#NAME; one may come twice.", metavar="A B C D"
        ),
    ],
    head: Annotated[
        Kind, typer.Option(help="Shares of the experts by a small network that sees the image, or equal ones.")
    ] = "gate",
    loss: Annotated[
        Loss, typer.Option(help="Each expert learns by its own loss, or all of it by the mixture's.")
    ] = "own",
    prm: Annotated[
        list[str] | None, typer.Option("--prm", help="A hyperparameter, NAME=VALUE; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put several programs into one file, as experts of a mixture, and print it. Their order does not matter.

    What can't share a file with others is refused with its line and the reason: status 1.
    """
    found: list[Expert] = []
    for name in programs:
        config = read_config({"baselines": [name], "prm": hyperparameters(prm)})
        found += [Expert(label, one.net, one.hyperparameters) for label, one in programs_of(config).items()]
    if not 2 <= len(found) <= _MOST:
        raise UsageError(
            f"a mixture joins 2 to {_MOST} programs, not {len(found)}",
            "name four, as in `deltanas experts assemble mlp nin vgg vit`",
        )
    source = assembled(found, Head(head, loss))
    if as_json:
        print_json({"source": source, "experts": sorted(one.name for one in found)})
    else:
        sys.stdout.write(source)
