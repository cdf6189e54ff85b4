"""PostgreSQL for the tests of archives."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from postgres import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="deltanas-pg-", dir="/tmp"))  # short: it holds a socket
    try:
        server = Server(folder)
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres(server: Server) -> str:
    """The URL of an empty database."""
    return server.new()
