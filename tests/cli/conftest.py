"""One small search to its end, which the tests of the commands share."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from deltanas import open_run
from deltanas.records import RunView
from support import ARGUMENTS


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunView, str, float]:
    """A run to its end: what it holds, what it printed as JSON, and how long it took, in seconds."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    begun = time.monotonic()
    command = [str(Path(sys.executable).with_name("deltanas")), *ARGUMENTS, str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True)
    return open_run(folder), done.stdout, time.monotonic() - begun
