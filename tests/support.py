"""Types that tests share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

Command = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs `deltanas` with these arguments."""

_SIZE = ("--cycles", "2", "--candidates", "4", "--train-size", "200", "--epochs", "1")
SMALL = ("--strategy", "random", *_SIZE, "--seed", "3")
ARGUMENTS = ("search", *SMALL, "--baseline", "mlp", "--baseline", "nin", "--run")
"""A search of seconds, without a model; the run's folder comes last."""
