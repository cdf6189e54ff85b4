"""The command that serves a run's page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deltanas.archive import POINTER, read_folder
from deltanas.cli.output import Against, print_text, say
from deltanas.cli.read import view_of
from deltanas.errors import DeltanasError, UsageError
from deltanas.pages import Followed, FollowedFolder, holds_runs
from deltanas.records import RunView
from deltanas.wiring import open_referee

RUNS = Path("runs")
"""Where searches put their runs unless --run says another place."""


def add_to(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of runs.", metavar="[RUN|RUNS]")] = RUNS,
    host: Annotated[
        str, typer.Option(help="Address to listen on; readers on other machines need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0: a free one.", min=0, max=65535)] = 8642,
    against: Against = None,
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Serve a run of strategy outside to agents (MCP), over stdin and stdout.")
    ] = False,
    http: Annotated[
        bool, typer.Option("--http", help="With --mcp: over HTTP on this machine; the address has its token.")
    ] = False,
    asker: Annotated[str, typer.Option("--as", help="With --mcp: name that the agent's budget is kept by.")] = "mcp",
) -> None:
    """Serve the report of a run as a page that follows the search; print its address. Ctrl-C ends it.

    Of a folder of runs: a list that compares them, from which each opens. With --mcp: a run, to agents that ask and
    tell.
    """
    if mcp or http:
        _serve_referee(run, host, port, asker, http)
        return
    try:
        from deltanas.serve import serve as served
    except ModuleNotFoundError as error:
        raise DeltanasError(f"{error.name} is not installed", "pip install 'deltanas[serve]'") from None
    followed: Followed | FollowedFolder
    if holds_runs(run) or (run == RUNS and not any(run.glob("*"))):
        followed = FollowedFolder(run, _views(against))
        opens = followed.run
    else:
        _expected(run)
        followed, opens = Followed(run, _views(against)), None
    try:
        served(followed, host, port, print_text, opens)
    except KeyboardInterrupt:
        say("ended; what was served is as it was")


def _serve_referee(run: Path, host: str, port: int, asker: str, http: bool) -> None:
    try:
        from deltanas.referee.mcp import serve_http, serve_stdio
    except ModuleNotFoundError as error:
        raise DeltanasError(f"{error.name} is not installed", "pip install 'deltanas[mcp]'") from None
    with open_referee(run) as referee:
        try:
            if http:
                serve_http(referee, asker, host, port, print_text)
            else:
                serve_stdio(referee, asker)
        except KeyboardInterrupt:
            say("ended; what was told is kept")


def _views(against: list[Path] | None) -> list[RunView]:
    return [view_of(other) for other in against or ()]


def _expected(run: Path) -> None:
    """What is wrong with a run is said at once. One that is yet to begin is waited for."""
    if (run / POINTER).exists():
        read_folder(run).open().close()
    elif run.exists() and not (run.is_dir() and all(each.name.startswith("archive.db") for each in run.iterdir())):
        raise UsageError(f"{run} is not a run: it has no {POINTER}", "`deltanas runs list` shows the runs")
    else:
        say(f"there is no run at {run} yet; the page waits for it (Ctrl-C ends it)")
