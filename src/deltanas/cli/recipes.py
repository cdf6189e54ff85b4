"""Commands for losses and optimizers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from deltanas.cli.output import Json, print_json, say
from deltanas.cli.work import text_of
from deltanas.program.recipes import with_recipe

recipes = typer.Typer(help="Losses and optimizers of programs.", no_args_is_help=True)
Loss = Literal["ce", "nll", "ngl"]
Optimizer = Literal["sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta"]


def add_to(app: typer.Typer) -> None:
    app.add_typer(recipes, name="recipes")


@recipes.command("inject")
def inject(
    file: Annotated[
        Path, typer.Argument(help="A program that follows the LEMUR contract; - reads stdin.", metavar="FILE")
    ],
    loss: Annotated[
        Loss | None, typer.Option(help="Cross-entropy, NLL of the log-softmax, or NGL; default: the program's.")
    ] = None,
    optimizer: Annotated[Optimizer | None, typer.Option(help="Of torch.optim; default: the program's.")] = None,
    lr: Annotated[float | None, typer.Option(help="The learning rate; default: the program's expression.")] = None,
    scale: Annotated[float, typer.Option(help="What multiplies the NGL.")] = 1.0,
    as_json: Json = False,
) -> None:
    """Put another loss, optimizer or learning rate into a program and print it; all else stays as it is.

    What the text does not show to be right is refused with its line and the reason: status 1.
    """
    source = text_of(file)
    text = with_recipe(source, loss=loss, optimizer=optimizer, rate=lr, scale=scale)
    if text == source:
        say("unchanged: the program has all of this" if loss or optimizer or lr else "unchanged: no recipe is named")
    if as_json:
        print_json({"source": text, "changed": text != source})
    else:
        sys.stdout.write(text)
