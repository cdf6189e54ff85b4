"""A PostgreSQL server for the tests of the archive."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest


@pytest.fixture(scope="session")
def server() -> Iterator[Path]:
    """A PostgreSQL server of Debian's package, on a socket in a folder of its own. It won't run as root."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not programs:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    account = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="deltanas-pg-", dir="/tmp"))
    try:
        if account:
            shutil.chown(folder, "postgres", "postgres")
        data = folder / "data"
        common: dict[str, Any] = {"cwd": folder, **account}
        initdb = [
            str(programs[-1].with_name("initdb")),
            "-D",
            str(data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **common)
        with (folder / "log").open("wb") as log:
            started = subprocess.Popen(
                [programs[-1], "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"],
                stdout=log,
                stderr=log,
                **common,
            )
        try:
            deadline = time.monotonic() + 60
            while not (folder / ".s.PGSQL.5432").exists() or not _answers(folder):
                assert started.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
            yield folder
        finally:
            started.send_signal(signal.SIGINT)  # ends the sessions and shuts down
            started.wait(60)
    finally:
        shutil.rmtree(folder)


def _answers(folder: Path) -> bool:
    try:
        psycopg.connect(host=str(folder), user="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


_NUMBERS = count()


@pytest.fixture
def postgres(server: Path) -> str:
    """The URL of an empty database."""
    name = f"archive{next(_NUMBERS)}"
    with psycopg.connect(host=str(server), user="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"postgresql://postgres:secret@/{name}?host={server}"
