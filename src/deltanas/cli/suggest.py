"""The command that says which networks to begin with."""

from __future__ import annotations

from dataclasses import asdict
from difflib import get_close_matches
from shlex import quote
from typing import Annotated

import typer

from deltanas import nets
from deltanas.cli.output import Json, print_json, print_table, print_text, say
from deltanas.errors import UsageError
from deltanas.intervals import Estimate
from deltanas.sources import data_at, evidence_of
from deltanas.standings import Evidence
from deltanas.suggest import TOP, Left, left_out, suggested
from deltanas.train.data import available

_PAIRS = {"photos", "pairs"}
"""Data sets without classes."""


def add_to(app: typer.Typer) -> None:
    app.command()(suggest)


def suggest(
    dataset: Annotated[
        str | None,
        typer.Option(help="The data set to be searched on: a name, folder:PATH or npz:PATH. --check does without."),
    ] = None,
    places: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            help="What was measured: lemur:RUN, a run, or a table of trainings; may be repeated. Default: lemur.",
            metavar="PLACE",
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option(help=f"Number of programs to name; default: {TOP}.", show_default=False, min=1)
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="The most epochs of a training that counts; default: of LEMUR's as many as a third have.",
            min=1,
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Leave out each data set in turn: how well is it told?")
    ] = False,
    as_json: Json = False,
) -> None:
    """Name the networks to begin a search with on a data set: by how they stand where they were measured, else by code.

    A score is the share of the other networks that one is expected to beat, with its 95 % interval.
    """
    if check and top is not None:
        raise UsageError(f"--check judges the first {TOP}, whatever --top says", "leave --top out")
    if dataset is None and not check:
        raise UsageError("no data set is named", "give one to search on: --dataset NAME, folder:PATH or npz:PATH")
    evidence = [evidence_of(place, say) for place in places or ["lemur"]]
    if dataset is not None:
        _require_known(dataset, evidence)
    if check or dataset is None:
        _print_check(evidence, epochs, as_json=as_json)
        return
    found = suggested(evidence, nets.baselines(), data_at(dataset), epochs)[: top or TOP]
    if as_json:
        print_json([asdict(one) for one in found])
        return
    print_table(
        ("program", "beats of the others [95 %]", "known by"),
        ((one.program, f"{one.score:.2f} [{one.low:.2f}, {one.high:.2f}]", one.source) for one in found),
    )
    names = " ".join(f"--baseline {quote(one.program)}" for one in found)
    print_text(f"\ndeltanas search --dataset {quote(dataset)} {names}")


def _require_known(dataset: str, evidence: list[Evidence]) -> None:
    """A name that is mistyped would be taken for a new data set."""
    kind, _, place = dataset.partition(":")
    if kind in _PAIRS:
        raise UsageError(
            f"{dataset} is for denoise, and suggestions are of classifiers",
            "begin with all built-in denoisers: deltanas search --task denoise",
        )
    names = {info.name for info in available()} - _PAIRS | {row.dataset for one in evidence for row in one.rows}
    if dataset in names or (kind in ("folder", "npz") and place):
        return
    near = get_close_matches(dataset, sorted(names), 1)
    raise UsageError(
        f"unknown data set {dataset!r}; known are: {', '.join(sorted(names))}",
        f"name one of these{f', as `--dataset {near[0]}`' if near else ''}; your own as folder:PATH or npz:PATH",
    )


def _print_check(evidence: list[Evidence], epochs: int | None, *, as_json: bool) -> None:
    rows = left_out(evidence, epochs)
    if not rows:
        raise UsageError(
            "no data set can be left out: three networks have to be measured on it and on another one",
            "give trials of several data sets: `deltanas lemur import WHEEL` and --from lemur:RUN",
        )
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    say(
        "each data set as if nothing had been measured on it: the networks of the longest trainings, all of them, code"
        f" with families held out; best: of the first {TOP}, over the best of all"
    )
    print_table(
        ("data set", "networks", "rank correlation [95 %]", "of all", "rank correlation", "by code alone", "best"),
        map(_line, rows),
    )


def _line(row: Left) -> tuple[object, ...]:
    told = row.n, _shown(row.rho), row.every_n, _shown(row.every), _shown(row.by_code)
    return row.dataset, *told, "" if row.best is None else f"{row.best:.3f}"


def _shown(rho: Estimate | None) -> str:
    return "" if rho is None else f"{rho:+.2f}"
