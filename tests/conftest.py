"""What tests of the command line share."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from deltanas.cli import main
from deltanas.sandbox import kept_warm
from support import Command

if TYPE_CHECKING:
    from browser import Browser
    from postgres import Server

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background of a shell
# Each process that a test starts would else compile the package anew, which takes as long as to import it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

LONG = (
    "sandbox/test_ray_machines.py",
    "cli/test_search_command.py",
    "cli/test_encodings.py",
    "llm/test_weights.py",
    "archive/test_restart.py",
    "serve/test_folder_page.py",
    "serve/test_live_page.py",
    "test_search.py",
)
"""Files of half a minute and more: of two workers one would wait for the other's, were they begun at the end."""


def pytest_configure(config: pytest.Config) -> None:
    """A worker takes the next file in the order of collection. Of itself xdist begins files of few tests last."""
    config.option.loadscopereorder = False


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What the tests import stays: to look through these 800,000 objects takes half a second each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    first = {Path(__file__).parent / name for name in LONG}
    items.sort(key=lambda item: item.path not in first)


@pytest.fixture(scope="session", autouse=True)
def _warm() -> Iterator[None]:
    """Torch is imported once for the pools of all tests. Tests of the sandbox open theirs as a single search does."""
    with kept_warm():
        yield


class _Unsynced(sqlite3.Connection):
    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return super().execute("PRAGMA synchronous = OFF" if sql == "PRAGMA synchronous = FULL" else sql, *values)


@pytest.fixture(scope="session", autouse=True)
def _unsynced() -> Iterator[None]:
    """A commit of this process does not wait for the disk. It outlives the process all the same, not a power cut."""
    with mock.patch.object(sqlite3, "connect", partial(sqlite3.connect, factory=_Unsynced)):
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


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    from postgres import Server  # its driver is an extra

    folder = Path(tempfile.mkdtemp(prefix="deltanas-pg-", dir="/tmp"))  # short: it holds a socket
    try:
        server = Server(folder)
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    from browser import chromium  # few tests look for one

    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def postgres(server: Server) -> str:
    """The URL of an empty database."""
    return server.new()
