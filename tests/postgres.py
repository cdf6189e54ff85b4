"""A PostgreSQL server of Debian's package, in a folder of its own, that can be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest


class Server:
    """On a socket in a folder. It won't run as root, so root starts it as the user `postgres`."""

    def __init__(self, folder: Path) -> None:
        """Skips the test where the package is not installed."""
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        if not programs:
            pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
        self.folder = folder
        self._program = programs[-1]
        self._numbers = count()
        account = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        self._common: dict[str, Any] = {"cwd": folder, **account}
        if account:
            shutil.chown(folder, "postgres", "postgres")
        made = ["-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        command = [str(programs[-1].with_name("initdb")), *made]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **self._common)
        self.start()

    def start(self) -> None:
        """Comes back when it answers. After a kill the first tries may meet what the dead server left."""
        deadline = time.monotonic() + 240
        self._process = self._started()
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            if self._process.poll() is not None:
                self._process = self._started()
            time.sleep(0.1)

    def _started(self) -> subprocess.Popen[bytes]:
        command = [
            str(self._program),
            "-D",
            str(self.folder / "data"),
            "-k",
            str(self.folder),
            "-c",
            "listen_addresses=",
        ]
        with (self.folder / "log").open("ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [*command, "-c", "fsync=off"], stdout=log, stderr=log, **self._common
            )
            return process

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends the sessions and shuts down, SIGQUIT does so without tidying up, SIGKILL is a crash."""
        self._process.send_signal(how)
        self._process.wait(240)

    def new(self) -> str:
        """The URL of an empty database."""
        name = f"archive{next(self._numbers)}"
        self.do(f"CREATE DATABASE {name}")
        return f"postgresql://postgres:secret@/{name}?host={self.folder}"

    def do(self, statement: str) -> None:
        with psycopg.connect(host=str(self.folder), user="postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def _answers(self) -> bool:
        try:
            psycopg.connect(host=str(self.folder), user="postgres").close()
        except psycopg.OperationalError:
            return False
        return True
