"""The command that uses an exported network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import Progress

from deltanas.cli.output import Json, print_json, print_table, print_text, say
from deltanas.errors import UsageError
from deltanas.prediction import Denoiser, Prediction, Restored, open_export, pictures_in
from deltanas.train.data.tree import LeftOuts


def add_to(app: typer.Typer) -> None:
    app.command()(predict)


def predict(
    export: Annotated[
        Path,
        typer.Argument(help="Folder that `runs export` wrote, or a model.onnx; of several networks the best is used."),
    ],
    images: Annotated[list[Path], typer.Argument(help="Picture, or folder of pictures at any depth.")],
    out: Annotated[
        Path | None, typer.Option(help="Of a denoiser: folder for the denoised pictures, PNG; created if missing.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Name the classes of pictures by an exported network, with probabilities; or denoise them, of any size.

    Status 1 if one can't be read.
    """
    network = open_export(export)
    if network.beside:
        say(f"{network.file}: the first of {network.beside + 1} exported networks by rank, of the latest export")
    left = LeftOuts()
    if isinstance(network, Denoiser):
        _restore(network, images, left, out, as_json)
    if out is not None:
        raise UsageError(f"{network.file} names classes and writes no pictures", "leave --out out")
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


def _restore(network: Denoiser, images: list[Path], left: LeftOuts, out: Path | None, as_json: bool) -> NoReturn:
    if out is None:
        raise UsageError(f"{network.file} denoises pictures, which have to go somewhere", "add --out DIR")
    if isinstance(network.sight, str):
        say(f"no exact tiles, pictures go through as a whole and take memory: {network.sight}")
    all_files, place = list(pictures_in(images, left)), out.absolute()
    inside = any(folder.absolute() in place.parents for folder in images)
    # What an earlier call wrote there is no photograph to denoise.
    files = [file for file in all_files if not (inside and place in file.absolute().parents)]
    if len(files) < len(all_files):
        say(f"{len(all_files) - len(files):,} left out: they lie in {out}, where denoised pictures go")
    for some in left.told():
        say(f"{some.number:,} left out: {some.reason} ({some.example})")
    found = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        whole = progress.add_task("pictures", total=len(files))
        tiles = progress.add_task("tiles", total=None)

        def ticked(done: int, total: int) -> None:
            progress.update(tiles, completed=done, total=total)

        for each in network.restore(files, out, ticked, below=images):
            progress.advance(whole)
            found.append(each)
            if not as_json and not each.error:
                size = f"{each.width} x {each.height}, {each.tiles} tile{'s' * (each.tiles != 1)}, {each.seconds:.1f} s"
                print_text("; ".join([f"{each.file} -> {each.out}: {size}", *each.notes]))
    if as_json:
        print_json([_record(each) for each in found])
    for each in found:
        if each.error:
            say(f"error: {each.error}")
    raise typer.Exit(1 if any(each.error for each in found) else 0)


def _record(found: Prediction | Restored) -> dict[str, object]:
    """`error` is there only where something went wrong."""
    return {name: value for name, value in asdict(found).items() if name != "error" or value}
