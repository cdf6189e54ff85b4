"""Commands that measure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from deltanas.bench import (
    bench_decode,
    bench_edits,
    bench_evaluate,
    bench_novelty,
    bench_propose,
    bench_sandbox,
    bench_space,
    bench_workers,
    soak,
)
from deltanas.cli.output import Json, print_json, print_table, print_text
from deltanas.config import given_settings, read_config

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


@bench.command("novelty")
def novelty(
    programs: Annotated[int, typer.Option("--programs", "-n", help="Made-up programs.", min=1)] = 20_000,
    tokens: Annotated[int, typer.Option(help="Tokens of each.", min=50)] = 600,
    threshold: Annotated[float, typer.Option(help="Of the Jaccard index.", min=0.01, max=0.99)] = 0.9,
    rival: Annotated[bool, typer.Option(help="The same with datasketch.")] = True,
    seed: Annotated[int, typer.Option(help="The root of all chance.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Whether a program is like one of many: what asking costs as they grow, and how many that are alike are found."""
    result = bench_novelty(programs, tokens=tokens, threshold=threshold, rival=rival, seed=seed, say=_say)
    _print(result, as_json, "queries")


@bench.command("decode")
def decode(
    llm: Annotated[str, typer.Option(help="smollm2 | hub:OWNER/NAME | gguf:PATH | path:DIR.")] = "smollm2",
    dtype: Annotated[str | None, typer.Option(help="float32 | bfloat16: what the model computes in.")] = None,
    net: Annotated[str, typer.Option(help="A built-in baseline, to edit.")] = "vgg",
    repeats: Annotated[int, typer.Option(help="Turns of every level and batch.", min=1)] = 5,
    max_tokens: Annotated[int, typer.Option(help="Longest reply.", min=16)] = 64,
    as_json: Json = False,
) -> None:
    """Tokens a second of a model here, one reply at a time and several, free and under a grammar, in turns."""
    config = read_config(given_settings(options={"model.spec": llm, "model.dtype": dtype}))
    result = bench_decode(llm, dtype=config.model.dtype, net=net, repeats=repeats, max_tokens=max_tokens, say=_say)
    _print(result, as_json, "rates", "ratios", "turns")


@bench.command("propose")
def propose(
    baseline: Annotated[list[str], typer.Option(help="Built-in name or a file, one the prompts were not tuned on.")],
    strategy: Annotated[
        str | None, typer.Option(help="delta | full | feedback | channels | random | evolution | bandit.")
    ] = None,
    llm: Annotated[str | None, typer.Option(help="smollm2 | hub:OWNER/NAME | gguf:PATH | path:DIR.")] = None,
    decoding: Annotated[str | None, typer.Option(help="typed | anchored | free: what an edit is held to.")] = None,
    edits: Annotated[str | None, typer.Option(help="architecture | recipe | both: what is edited.")] = None,
    n: Annotated[int, typer.Option("-n", help="Proposals.", min=1)] = 48,
    seed: Annotated[int | None, typer.Option(help="The root of all chance.")] = None,
    dataset: Annotated[str, typer.Option(help="Data set whose images the networks take.")] = "fashion-mnist",
    train_size: Annotated[int, typer.Option(help="Training images, for evolution.", min=1)] = 1000,
    max_tokens: Annotated[int | None, typer.Option(help="Longest reply.", min=16)] = None,
    batch: Annotated[int | None, typer.Option(help="Replies decoded at a time.", min=1)] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 | bfloat16: what a model here computes in.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the proposals; what is there is taken up.")] = Path("proposals"),
    as_json: Json = False,
) -> None:
    """Raw proposals, without retries: how many parse, apply, build, train a step, compute something else."""
    options = {
        "strategy": strategy,
        "model.spec": llm,
        "model.decoding": decoding,
        "model.max_tokens": max_tokens,
        "model.batch": batch,
        "model.dtype": dtype,
        "edits": edits,
        "seed": seed,
        "dataset": dataset,
        "train.size": train_size,
        "train.workers": 1,
        "baselines": baseline,
    }
    config = read_config(given_settings(options=options))
    _print(bench_propose(config, n=n, folder=out, say=_say), as_json, "steps")


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
