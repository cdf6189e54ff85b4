"""The command that serves a run's page."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from deltanas.archive import POINTER, read_folder
from deltanas.cli.output import Against, RunArgument, print_text
from deltanas.cli.read import view_of
from deltanas.errors import DeltanasError, UsageError
from deltanas.pages import Followed


def add_to(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    run: RunArgument,
    host: Annotated[
        str, typer.Option(help="Address to listen on; readers on other machines need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0: a free one.", min=0, max=65535)] = 8642,
    against: Against = None,
) -> None:
    """Serve the report of a run as a page that follows the search; print its address. Ctrl-C ends it."""
    try:
        from deltanas.serve import serve as served
    except ModuleNotFoundError as error:
        raise DeltanasError(f"{error.name} is not installed", "pip install 'deltanas[serve]'") from None
    if (run / POINTER).exists():
        read_folder(run).open().close()  # what is wrong with a run is said at once
    elif run.exists() and not (run.is_dir() and all(each.name.startswith("archive.db") for each in run.iterdir())):
        raise UsageError(f"{run} is not a run: it has no {POINTER}", "`deltanas runs list` shows the runs")
    else:
        sys.stderr.write(f"there is no run at {run} yet; the page waits for it\n")
    others = [view_of(other) for other in against or ()]
    try:
        served(Followed(run, others), host, port, print_text)
    except KeyboardInterrupt:
        sys.stderr.write("ended; the run is as it was\n")
