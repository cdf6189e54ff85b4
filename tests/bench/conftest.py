from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support import Command

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark() -> Command:
    """Runs `python -m benchmarks` with these arguments."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)

    return run
