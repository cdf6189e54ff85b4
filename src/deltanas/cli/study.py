"""Commands that ask whether results can be believed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from deltanas.archive import read_folder
from deltanas.cli.output import Json, print_json, print_text

study = typer.Typer(help="Can the results be believed?", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(study, name="study")


@study.callback()
def _study() -> None:
    """Can the results be believed?"""


@study.command("convergence")
def convergence(
    source: Annotated[Path, typer.Argument(help="Folder of a run, or a table of trainings.", metavar="RUN|FILE.csv")],
    repeats: Annotated[
        int, typer.Option(help="Ask about the mean of so many trainings as the score.", metavar="R", min=1)
    ] = 1,
    as_json: Json = False,
) -> None:
    """Six diagnostics of a search: does it converge, and can its ranking be trusted? With 95 % intervals."""
    from deltanas.study import as_json as plain  # SciPy takes a second to load
    from deltanas.study import convergence as diagnosed
    from deltanas.study import convergence_of, described, read_trials

    if source.is_dir():
        with read_folder(source).open() as run:
            view = run.view()
        found = convergence_of(view, repeats=repeats)
        if not view.candidates:
            sys.stderr.write(
                f"{source} holds no candidates; imported trials: `deltanas lemur trials {source} --csv > FILE.csv`\n"
            )
    else:
        trials = read_trials(source)
        if trials.ignored:
            sys.stderr.write(f"columns that are not read: {', '.join(trials.ignored)}\n")
        found = diagnosed(trials, repeats=repeats)
    if as_json:
        print_json(plain(found))
    else:
        print_text(described(found))
