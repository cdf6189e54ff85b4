"""The command that uses an exported network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deltanas.cli.output import Json, print_json, print_table, say
from deltanas.prediction import Prediction, open_network, pictures_in
from deltanas.train.data.tree import LeftOuts


def add_to(app: typer.Typer) -> None:
    app.command()(predict)


def predict(
    export: Annotated[
        Path,
        typer.Argument(help="Folder that `runs export` wrote, or a model.onnx; of several networks the best is used."),
    ],
    images: Annotated[list[Path], typer.Argument(help="Picture, or folder of pictures at any depth.")],
    as_json: Json = False,
) -> None:
    """Name the classes of pictures by an exported network, with probabilities. Status 1 if one can't be read."""
    network = open_network(export)
    if network.beside:
        say(f"{network.file}: the best of {network.beside + 1} exported networks, as the search ranked them")
    left = LeftOuts()
    found = list(network.predict(pictures_in(images, left)))
    for some in left.told():
        say(f"{some.number:,} left out: {some.reason} ({some.example})")
    if as_json:
        print_json([_record(each) for each in found])
    else:
        named = [each for each in found if not each.error]
        if named:
            print_table(("file", "class", "probability"), [(p.file, p.label, f"{p.probability:.1%}") for p in named])
        for each in found:
            if each.error:
                say(f"error: {each.error}")
    raise typer.Exit(1 if any(each.error for each in found) else 0)


def _record(found: Prediction) -> dict[str, object]:
    """`error` is there only where something went wrong."""
    return {name: value for name, value in asdict(found).items() if name != "error" or value}
