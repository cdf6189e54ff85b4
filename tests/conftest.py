"""What tests of the command line share."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

import pytest

from deltanas.cli import main
from deltanas.sandbox import kept_warm
from support import Command

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background of a shell


@pytest.fixture(scope="session", autouse=True)
def _warm() -> Iterator[None]:
    """Torch is imported once for the pools of all tests. Tests of the sandbox open theirs as a single search does."""
    with kept_warm():
        yield


@pytest.fixture
def installed(tmp_path: Path) -> Command:
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


@pytest.fixture
def deltanas(tmp_path: Path) -> Command:
    """Run the command in `tmp_path`, in this process: what it imports and its fork server need no second start."""

    def run(*arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
        command = ["deltanas", *map(str, arguments)]
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.chdir(tmp_path))
            names = ("stdin", "stdout", "stderr")
            streams = {name: stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for name in names}
            streams["stdin"].write(text)
            streams["stdin"].seek(0)
            for name, value in {"argv": command, **streams}.items():
                stack.enter_context(mock.patch.object(sys, name, value))
            stack.enter_context(mock.patch.object(logging.root, "handlers", []))
            code: int | str | None = 0
            try:
                main()
            except SystemExit as end:
                code = end.code
            said = {}
            for name in names[1:]:
                streams[name].seek(0)
                said[name] = streams[name].read()
        assert isinstance(code, int | None), code
        return subprocess.CompletedProcess(command, code or 0, **said)

    return run
