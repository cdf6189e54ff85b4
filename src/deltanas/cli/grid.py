"""The command that trains a grid of losses and optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from statistics import fmean
from time import monotonic
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import TextColumn

from deltanas.cli.output import Json, print_json, print_table, print_text, say, show_rehearsal
from deltanas.cli.settings import Options, with_settings
from deltanas.cli.work import TRAINING, Prm, hyperparameters
from deltanas.config import SearchConfig, read_config
from deltanas.errors import DeltanasError
from deltanas.grid import MOST_RATES, Clock, Row, keys_of, known_rows, require_lines
from deltanas.narrate import progress_bar
from deltanas.program.recipes import LOSSES, OPTIMIZERS
from deltanas.rehearsal import Lack, Rehearsal, require_device
from deltanas.settings import given_settings
from deltanas.wiring.grids import RATES, SEEDS, GridOrder, OpenGrid, grid_of, grid_parts, open_grid
from deltanas.wording import counted

_SILENCE = 30.0
"""Seconds between two lines where no bar is drawn."""


def add_to(recipes: typer.Typer) -> None:
    recipes.command("run")(run)


@with_settings({"--baseline --baselines": "baselines", "--seed": "seed", **TRAINING})
def run(
    options: Options,
    out: Annotated[
        Path,
        typer.Option(help="Table of the grid, JSON lines; the same command goes on with it.", metavar="TABLE.jsonl"),
    ],
    dataset: Annotated[
        list[str] | None, typer.Option(help="Data set to train on; may be repeated. Default: digits.")
    ] = None,
    loss: Annotated[
        list[str] | None, typer.Option(help=f"Loss: {' | '.join(LOSSES)}; may be repeated. Default: all.")
    ] = None,
    optimizer: Annotated[
        list[str] | None, typer.Option(help=f"Optimizer: {' | '.join(OPTIMIZERS)}; may be repeated. Default: all.")
    ] = None,
    ngl_scale: Annotated[
        float | None,
        typer.Option(
            help="Train NGL under SGD with its loss times this too: 12.3 gives it the scale of cross-entropy."
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(help="Number of trainings that are scored, each with its own seed.", min=1)
    ] = SEEDS,
    arm: Annotated[
        str,
        typer.Option(
            help="Rates: fixed (.01 for all, as published) | tuned (the best of several, by a seed of its own) | both."
        ),
    ] = "both",
    rates: Annotated[
        int | None,
        typer.Option(
            help=f"Number of rates that the tuned arm tries of each optimizer. Default: {RATES}.", min=1, max=MOST_RATES
        ),
    ] = None,
    decay: Annotated[
        float | None,
        typer.Option(
            help="Weight decay of all optimizers. Default: the network's, or torch's: .01 for AdamW, 0 for the others.",
            min=0,
        ),
    ] = None,
    prm: Prm = None,
    minutes: Annotated[
        float | None, typer.Option(help="End after so many minutes; the same command goes on.", min=0)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the grid is, what is done of it, and what is missing for it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train networks with every loss and optimizer, and score them on the validation split; a row a training."""
    config = read_config(given_settings(options={**options, "prm": hyperparameters(prm) or None}))
    chosen = [tuple(given or ()) for given in (dataset, loss, optimizer)]
    order = GridOrder(chosen[0] or ("digits",), chosen[1], chosen[2], seeds, arm, rates, ngl_scale, decay)
    if dry_run:
        grid_of(("network",), order, config.seed)
        show_rehearsal(_rehearsal(config, order, out), as_json)
    require_lines(out)
    parts = grid_parts(config, order)
    for line in parts.said():
        say(line)
    with open_grid(parts, out) as opened:
        whole = _followed(opened, out, None if minutes is None else 60 * minutes)
        rows = [opened.rows[key] for key in keys_of(parts.grid) if key in opened.rows]
        left = opened.run.left()
    if not whole:
        say(f"the time is over, {counted(left, 'row is', 'rows are')} left: the same command goes on")
    _print(out, rows, left, as_json)


def _followed(opened: OpenGrid, out: Path, seconds: float | None) -> bool:
    with _Bar(opened) as bar:
        opened.tell.append(bar.wrote)
        try:
            return opened.run.run(float("inf") if seconds is None else seconds)
        except KeyboardInterrupt:
            hint = f"the same command goes on, with --out {quote(str(out))}"
            raise DeltanasError("interrupted; all rows that were written are kept", hint) from None


class _Bar:
    """Rows of the grid, failures, and the time left; a line now and then where stderr is no terminal."""

    def __init__(self, opened: OpenGrid) -> None:
        grid, rows = opened.parts.grid, opened.rows
        keys = keys_of(grid)
        self._clock = Clock([key for key in keys if key not in rows], rows.values())
        self._total, self._done = len(keys), len(rows)
        self._failed = sum(row["failure"] is not None for row in rows.values())
        self._seeds = {seed: number for name in grid.networks for number, seed in enumerate(grid.score_seeds(name), 1)}
        self._most = grid.seeds
        self._console = Console(stderr=True, highlight=False)
        self._spoke = monotonic()
        self._progress = progress_bar(self._console, "{task.fields[counts]}", TextColumn("{task.fields[left]}"))
        self._task = self._progress.add_task("checking", total=self._total, completed=self._done, counts="", left="")
        if rows:
            say(f"going on: the table holds {self._done:,} of {counted(self._total, 'row')}")

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def wrote(self, row: Row) -> None:
        self._done += 1
        self._failed += row["failure"] is not None
        self._clock.wrote(row)
        doing = "choosing rates"
        if row["phase"] == "score":
            doing = f"{row['arm']} arm, seed {self._seeds[row['seed']]} of {self._most}"
        seconds = self._clock.left()
        left = "" if seconds is None else f"about {told_time(seconds)} left"
        counts = f"{self._failed:,} failed"
        self._progress.update(
            self._task, completed=self._done, description=f"{doing}, {row['dataset']}", counts=counts, left=left
        )
        if not self._console.is_terminal and monotonic() > self._spoke + _SILENCE:
            self._spoke = monotonic()
            told = ", ".join(filter(None, (f"{doing}, {row['dataset']}", counts, left)))
            say(f"  {self._done:,} of {counted(self._total, 'row')}: {told}")


def told_time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _rehearsal(config: SearchConfig, order: GridOrder, out: Path) -> Rehearsal:
    """What the grid would do, without training anything or writing a file."""
    try:
        require_device(config)
        parts = grid_parts(config, order)
    except DeltanasError as error:
        return Rehearsal((), {}, (Lack(error.message, error.hint),))
    counts = {f"trainings {what}": count for what, count in parts.grid.counts().items()}
    try:
        done = len(known_rows(out, parts.description, keys_of(parts.grid))[0])
    except DeltanasError as error:
        return Rehearsal(tuple(parts.said()), counts, (Lack(error.message, error.hint),))
    return Rehearsal(tuple(parts.said()), {**counts, "rows that the table holds": done}, ())


def _print(out: Path, rows: Sequence[Row], left: int, as_json: bool) -> None:
    found = _summary(rows)
    failed = sum(row["failure"] is not None for row in rows)
    if as_json:
        print_json({"table": str(out), "rows": len(rows), "failed": failed, "left": left, "recipes": found})
        return
    if found:
        columns = ("arm", "loss", "optimizer", "scale", "decay", "trainings", "failed", "rate at an end", "mean score")
        print_table(columns, (_shown(one) for one in found))
    print_text(f"table: {out}, {counted(len(rows), 'row')}, {failed:,} of them failures, {left:,} to come")


def _summary(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What was scored, by arm and recipe.

    decay: weight decay, None where it differs or is not known. score: mean over the trainings that did not fail, of all
    networks and data sets. edge: number of networks, on a data
    set each, for which the best rate is the lowest or the highest that was tried; None in the fixed arm.
    """
    groups: dict[tuple[str, str, str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["arm"], row["loss"], row["optimizer"], row["scale"]), []).append(row)
    found = []
    for (arm, loss, optimizer, scale), group in groups.items():
        scored = [row for row in group if row["phase"] == "score"]
        scores = [row["score"] for row in scored if row["score"] is not None]
        tried = {row["rate"] for row in group if row["phase"] == "tune"}
        decays = {row.get("decay") for row in group if row["program"]}
        won = {(row["network"], row["dataset"]): row["rate"] for row in scored}
        found.append(
            {
                "arm": arm,
                "loss": loss,
                "optimizer": optimizer,
                "scale": scale,
                "decay": decays.pop() if len(decays) == 1 else None,
                "trainings": len(scored),
                "failed": len(scored) - len(scores),
                "edge": sum(rate in (min(tried), max(tried)) for rate in won.values()) if tried else None,
                "score": round(fmean(scores), 4) if scores else None,
            }
        )
    return found


def _shown(one: dict[str, Any]) -> list[object]:
    score = "" if one["score"] is None else f"{100 * one['score']:.1f} %"
    return [*list(one.values())[:-1], score]
