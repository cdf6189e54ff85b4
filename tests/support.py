"""Types that tests share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from deltanas.archive import read_folder
from deltanas.errors import DeltanasError
from deltanas.train.job import Job

Command = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs `deltanas` with these arguments."""

_SIZE = ("--cycles", "2", "--candidates", "4", "--train-size", "200", "--epochs", "1")
SMALL = ("--strategy", "random", *_SIZE, "--seed", "3")
ARGUMENTS = ("search", *SMALL, "--baseline", "mlp", "--baseline", "nin", "--run")
"""A search of seconds, without a model; the run's folder comes last."""


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
