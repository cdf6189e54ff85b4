"""Commands that ask whether results can be believed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from deltanas.archive import read_folder
from deltanas.cli.output import Json, print_json, print_text, say
from deltanas.errors import UsageError
from deltanas.lemur import METRIC, TASK, csv_rows, curves
from deltanas.pages import write_recipes
from deltanas.program.trial import Trial
from deltanas.trainings import read_grid

study = typer.Typer(help="Can the results be believed?", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(study, name="study")


@study.callback()
def _study() -> None:
    """Can the results be believed?"""


@study.command("convergence")
def convergence(
    source: Annotated[
        Path, typer.Argument(help="A run, imported trials, or a table of trainings.", metavar="RUN|LEMUR|FILE.csv")
    ],
    dataset: Annotated[str | None, typer.Option(help="With imported trials: LEMUR's name of the data set.")] = None,
    repeats: Annotated[int, typer.Option(help="Number of trainings whose mean is the score.", metavar="R", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """Diagnose a search with 95 % intervals: does it converge, and can its ranking be trusted?"""
    from deltanas.study import as_json as plain  # SciPy takes a second to load
    from deltanas.study import convergence as diagnosed
    from deltanas.study import convergence_of, convergence_of_imported, described, read_trials

    if dataset is not None and not source.is_dir():
        raise UsageError("--dataset is for imported trials", f"{source} is a table: keep one data set's rows")
    if source.is_dir():
        with read_folder(source).open() as run:
            view = run.view()
            trials = [] if view.candidates else run.trials.trials(task=TASK, dataset=dataset)
            sources = run.trials.sources(sorted({trial.experiment.program for trial in trials})) if trials else {}
        if dataset is not None and not trials:
            raise UsageError(f"{source} holds no trials of {dataset}", f"`deltanas lemur trials {source}` lists them")
        if trials:
            found = convergence_of_imported(_of_one(source, trials), sources, repeats=repeats)
        else:
            found = convergence_of(view, repeats=repeats)
    else:
        table = read_trials(source)
        if table.ignored:
            sys.stderr.write(f"columns that are not read: {', '.join(table.ignored)}\n")
        found = diagnosed(table, repeats=repeats)
    if as_json:
        print_json(plain(found))
    else:
        print_text(described(found))


@study.command("recipes")
def recipes(
    table: Annotated[
        Path, typer.Argument(help="Table of trainings: JSON lines or CSV, one row a training.", metavar="TABLE")
    ],
    arm: Annotated[Literal["fixed", "tuned"] | None, typer.Option(help="Only this arm.")] = None,
    loss: Annotated[list[str] | None, typer.Option(help="Only this loss; may be repeated.", metavar="LOSS")] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Only this data set; may be repeated.", metavar="NAME")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Page with plots to write.", metavar="FILE.html")] = None,
    as_json: Json = False,
) -> None:
    """Compare losses and optimizers over networks: rank tests, effects, and a verdict on each published claim."""
    from deltanas.study import recipe_study, recipes_as_json, recipes_described  # SciPy takes a second

    held = read_grid(table).only([arm] if arm else (), loss or (), dataset or ())
    if held.ignored:
        say(f"columns that are not read: {', '.join(held.ignored)}")
    found = recipe_study(held)
    if html is not None:
        say(f"wrote {write_recipes(html, table, found)}")
    if as_json:
        print_json(recipes_as_json(found))
    else:
        print_text(recipes_described(found))


def _of_one(source: Path, trials: list[Trial]) -> list[tuple[str, int, float | None, float | None]]:
    """A row a training: one epoch against the longest. Scores on several data sets are not compared."""
    rows = [row for row in csv_rows(curves(trials)) if row[6] == METRIC]
    known = sorted({row[5] for row in rows})
    if len(known) != 1:
        raise UsageError(
            f"{source} holds trials of {len(known)} data sets: scores on one are not compared with those on another",
            f"name one with --dataset: {', '.join(known)}",
        )
    return [row[:4] for row in rows]
