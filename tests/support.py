"""Types and small helpers that tests share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from typer.testing import CliRunner

from deltanas.archive import read_folder
from deltanas.errors import DeltanasError
from deltanas.program import Program
from deltanas.records import Draft, RunView
from deltanas.settings import Section
from deltanas.train.job import Job

Settings = TypeVar("Settings", bound=Section)

Command = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs `deltanas` with these arguments."""

_SIZE = ("--cycles", "2", "--candidates", "4", "--train-size", "200", "--epochs", "1")
SMALL = ("--strategy", "random", *_SIZE, "--seed", "3")
ARGUMENTS = ("search", *SMALL, "--baseline", "mlp", "--baseline", "nin", "--run")
"""A search of seconds, without a model; the run's folder comes last."""


def but(settings: Settings, **changes: Any) -> Settings:
    """Settings with some of them changed. Raises as `Section.read`."""
    return settings.read({**settings.model_dump(), **changes})


def invoked(*arguments: object) -> str:
    """Run `deltanas` with these arguments in this process: what it says on stdout. Raises what the command raised."""
    from deltanas.cli import app  # scripts that take something from here have no use for it

    done = CliRunner().invoke(app, [*map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def block(old: str, new: str) -> str:
    """An edit as text that is sought and its replacement."""
    return f"<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


def told(view: RunView) -> list[tuple[object, ...]]:
    """What must not depend on how often a run was killed: programs, order, status, and the score itself."""
    return [
        (c.cycle, c.index, c.program and c.program.id, c.parent, type(c.outcome).__name__, c.score)
        for c in view.candidates
    ]


def draft(source: str, trace: str, parent: str | None = None, prm: str = "{}") -> Draft:
    """A program with what its build check found."""
    return Draft(Program.of(net=source, prm=prm, parents=(parent,) if parent else ()), 1, 1, trace)


def journalled(run: Path) -> int:
    """Number of candidates that the run holds by now."""
    try:
        with read_folder(run).open() as opened:
            return len(opened.candidates())
    except DeltanasError:
        return 0


def build_job(net: str, prm: str, in_shape: tuple[int, int, int, int], classes: int) -> Job:
    """A build check of a network that tells classes apart."""
    return Job(
        mode="build",
        net=net,
        transform="",
        prm=prm,
        in_shape=in_shape,
        task="classify",
        out_shape=(classes,),
        seed=0,
        epochs=1,
        threads=1,
    )
