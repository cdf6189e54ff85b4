"""The command that measures how this machine trains most."""

from __future__ import annotations

from typing import Annotated

import typer

from deltanas import calibrate as machine
from deltanas.cli.output import Json, print_figures, say


def add_to(app: typer.Typer) -> None:
    app.command("calibrate")(calibrate)


def calibrate(
    dataset: Annotated[str, typer.Option(help="Data set to train on.")] = "digits",
    train_size: Annotated[int | None, typer.Option(help="Number of training images.", min=1)] = None,
    resize: Annotated[int | None, typer.Option(help="Height and width to resize images to, in pixels.", min=1)] = None,
    net: Annotated[str, typer.Option(help="Name of a built-in baseline.")] = "resnet",
    batch: Annotated[int, typer.Option(help="Batch size.", min=1)] = 32,
    repeats: Annotated[int, typer.Option(help="Number of turns; each measures every workers x threads.", min=1)] = 3,
    keep: Annotated[
        bool, typer.Option(help="Store the result for searches that set neither workers nor threads.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Measure which workers x threads train the most candidates an hour here; later searches use them."""
    found = machine.calibrate(
        dataset=dataset, size=train_size, resize=resize, net=net, batch=batch, repeats=repeats, keep=keep, say=say
    )
    print_figures(found, ["shapes"], as_json=as_json)
