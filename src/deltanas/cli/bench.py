"""Commands that measure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from deltanas.bench import bench_edits, bench_evaluate, bench_sandbox, bench_space, bench_workers, soak
from deltanas.cli.output import Json, print_json, print_table, print_text

bench = typer.Typer(help="Measure this machine, in turns and in one run.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(bench, name="bench")


@bench.command("evaluate")
def evaluate(
    dataset: Annotated[str, typer.Option(help="Data set to train on.")] = "fashion-mnist",
    train_size: Annotated[int, typer.Option(help="Training images to use.", min=1)] = 10_000,
    net: Annotated[str, typer.Option(help="A built-in baseline.")] = "vgg",
    batch: Annotated[int, typer.Option(help="Images a step.", min=1)] = 32,
    repeats: Annotated[int, typer.Option(help="Turns of every trainer.", min=1)] = 5,
    lemur: Annotated[
        Path | None, typer.Option(help="Folder with LEMUR's wheel, unpacked by pip install --target.", metavar="DIR")
    ] = None,
    quiet: Annotated[float, typer.Option(help="Count turns in which other work took at most this share.")] = 1.0,
    as_json: Json = False,
) -> None:
    """A candidate's cost beside a loop written by hand and, on wish, LEMUR's own trainer."""
    result = bench_evaluate(
        dataset=dataset, size=train_size, net=net, batch=batch, repeats=repeats, lemur=lemur, quiet=quiet, say=_say
    )
    _print(result, as_json, "ways", "ratios")


@bench.command("workers")
def workers(
    dataset: Annotated[str, typer.Option(help="Data set to train on.")] = "digits",
    train_size: Annotated[int | None, typer.Option(help="Training images to use.", min=1)] = None,
    resize: Annotated[int | None, typer.Option(help="Height and width that images are squeezed to.", min=1)] = None,
    net: Annotated[str, typer.Option(help="A built-in baseline.")] = "resnet",
    batch: Annotated[int, typer.Option(help="Images a step.", min=1)] = 32,
    repeats: Annotated[int, typer.Option(help="Turns of every shape.", min=1)] = 3,
    keep: Annotated[
        bool, typer.Option(help="Store the best, for searches that set neither workers nor threads.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Workers x threads that train most candidates an hour on this machine; searches take the best from then on."""
    result = bench_workers(
        dataset=dataset,
        size=train_size,
        resize=resize,
        net=net,
        batch=batch,
        repeats=repeats,
        keep=keep,
        say=_say,
    )
    _print(result, as_json, "shapes")


@bench.command("sandbox")
def sandbox(
    repeats: Annotated[int, typer.Option(help="Candidates that fail, of each kind.", min=1)] = 40,
    candidates: Annotated[
        int | None, typer.Option("--soak", help="Instead: so many candidates in a row on digits.", metavar="N", min=1)
    ] = None,
    as_json: Json = False,
) -> None:
    """The sandbox's own cost: start, verdict on a failing candidate, build check; or what grows over thousands."""
    if candidates is not None:
        _print(soak(candidates, say=_say), as_json, "groups")
    else:
        _print(bench_sandbox(repeats), as_json, "milliseconds")


@bench.command("edits")
def edits(
    lemur: Annotated[
        Path | None, typer.Option(help="LEMUR's wheel, or the folder into which pip installed it.", metavar="PATH")
    ] = None,
    each: Annotated[int, typer.Option(help="Edits of each fault.", min=1)] = 40,
    seed: Annotated[int, typer.Option(help="The root of all chance.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Edits as models write them, faults and all: how many are applied as meant, and whether one makes a wrong program.

    They are made from LEMUR's networks, or, without --lemur, from the built-in ones. 95 % Wilson intervals.
    """
    _print(bench_edits(lemur, each=each, seed=seed), as_json, "faults")


@bench.command("space")
def space(
    lemur: Annotated[
        Path | None, typer.Option(help="LEMUR's wheel, or the folder into which pip installed it.", metavar="PATH")
    ] = None,
    draws: Annotated[int, typer.Option(help="Draws over all networks, at least one of each.", min=1)] = 2000,
    seed: Annotated[int, typer.Option(help="The root of all chance.", min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option(help="JSON file that holds what is known after each round.", metavar="FILE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Uniform draws from the verified space of edits: how many are valid, change the function, change a width.

    They are drawn from the built-in networks, with --lemur from LEMUR's classifiers too. 95 % Wilson intervals.
    """
    _print(bench_space(lemur, draws=draws, seed=seed, out=out, say=_say), as_json, "shares", "kinds")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _print(result: dict[str, Any], as_json: bool, *tables: str) -> None:
    if as_json:
        print_json(result)
        return
    for key, value in result.items():
        if key not in tables:
            print_text(f"{key}: {value}")
    for table in tables:
        print_table(list(result[table][0]), (row.values() for row in result[table]))
