"""What tests of the command line share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support import Command

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background of a shell


@pytest.fixture
def deltanas(tmp_path: Path) -> Command:
    """Run the installed command in `tmp_path`, as a user would."""

    def run(
        *arguments: object, env: Mapping[str, str] | None = None, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("deltanas")), *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
            input=text,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    return run
