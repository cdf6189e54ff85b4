"""PostgreSQL goes away and comes back under a writer: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from deltanas import open_run as view_of
from deltanas.archive import RunArchive, create_run, list_runs, open_run
from deltanas.errors import ArchiveError
from deltanas.program import Program, Trained
from deltanas.records import Candidate, Draft, Final, Measurement
from deltanas.testing.listener import ADAPTER
from postgres import Server
from support import ARGUMENTS, Command

TRAINED = Trained(0.5, 1000, 1, 1.0, 1.0, "A")
PROGRAM = Program.of("x = 1\n")
FIRST = Candidate(0, 0, "baseline", None, Draft(PROGRAM))
STEPS: dict[str, Callable[[RunArchive], object]] = {
    "open": lambda run: run.open([replace(FIRST, index=1), replace(FIRST, index=2)]),
    "training": lambda run: run.record(0, 0, TRAINED, None),
    "outcome": lambda run: run.record(0, 0, TRAINED, TRAINED),
    "measure": lambda run: run.measure(0, 0, Measurement("latency", 1.0, 0.9, 1.1, 20, "")),
    "final": lambda run: run.add_final(Final(PROGRAM.id, TRAINED)),
    "adapter": lambda run: run.add_adapter(ADAPTER),
    "finish": lambda run: run.finish(),
    "amend": lambda run: run.amend({"seed": 2}, reopen=True),
    "read": lambda run: run.finals(),
}


class Line:
    """A socket in front of a server's, whose connections can be broken as an answer comes."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._open: list[socket.socket] = [self._listener]
        self.lose: bytes | None = None
        """The answer to the next of these requests gets lost, and the connection with it."""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(self._server.folder / ".s.PGSQL.5432"))
                self._open += [near, far]
                threading.Thread(target=self._talk, args=(near, far), daemon=True).start()

    def _talk(self, near: socket.socket, far: socket.socket) -> None:
        answers = threading.Thread(target=_pass_on, args=(far, near), daemon=True)
        answers.start()
        with contextlib.suppress(OSError):
            while request := near.recv(1 << 16):
                if self.lose and self.lose in request:
                    self.lose = None
                    near.shutdown(socket.SHUT_RDWR)  # before the request is passed on: the answer has nowhere to go
                    far.sendall(request)
                    time.sleep(0.3)
                    break
                far.sendall(request)
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while answer := source.recv(1 << 16):
            target.sendall(answer)
        target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    folder = Path(tempfile.mkdtemp(prefix="deltanas-line-", dir="/tmp"))
    made = Line(server, folder)
    yield made
    made.close()
    shutil.rmtree(folder)


def through(line: Line, url: str) -> str:
    return url.partition("?host=")[0] + f"?host={Path(str(line._listener.getsockname())).parent}"


def content(url: str) -> object:
    with open_run(url, "first") as run:
        view = run.view()
        return view.candidates, view.finals, view.adapters, view.finished, run.manifest


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("lost", [b"COMMIT", b"BEGIN", None])
def test_a_step_is_done_once_where_a_connection_breaks(
    server: Server, line: Line, step: str, lost: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer to the commit is lost, so it was done; or an earlier one; or the connection broke before."""
    whole, broken = server.new(), server.new()
    for url in (whole, through(line, broken)):
        with create_run(url, "first", {}) as run:
            run.open([FIRST])
            if url != whole:
                line.lose = lost
                if lost is None:
                    terminate(server)
            STEPS[step](run)
            run.open([replace(FIRST, cycle=1)])
    assert "nothing is lost" in caplog.text
    assert content(broken) == content(whole)


def terminate(server: Server) -> None:
    server.do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'deltanas %'")
    time.sleep(0.2)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGQUIT, signal.SIGINT])
def test_a_server_that_restarts_costs_time_alone(server: Server, how: signal.Signals) -> None:
    """At any moment, several times, under two writers of two runs."""
    url, rng = server.new(), Random(int(how))
    names, both = ("first", "second"), threading.Barrier(3)
    for name in names:
        create_run(url, name, {}).close()

    def write(name: str) -> None:
        with open_run(url, name, writer=True) as run:
            both.wait()
            for index in range(300):
                run.open([replace(FIRST, index=index)])
                run.record(0, index, TRAINED, None)
                run.record(0, index, TRAINED, TRAINED)
                time.sleep(0.005)
            run.finish()

    writers = [threading.Thread(target=write, args=(name,)) for name in names]
    for writer in writers:
        writer.start()
    both.wait()
    try:
        for _ in range(3):
            time.sleep(0.3 + rng.random())
            server.stop(how)
            time.sleep(0.5 * rng.random())
            server.start()
    finally:
        for writer in writers:
            writer.join(120)
    for name in names:
        with open_run(url, name) as run:
            rows = run.candidates()
            assert run.finished
        assert rows == [replace(FIRST, index=i, outcome=TRAINED, trainings=(TRAINED,) * 2) for i in range(300)]


def test_a_server_that_stays_away_is_told_and_the_run_goes_on_later(server: Server) -> None:
    url = server.new()
    with create_run(f"{url}&timeout=1", "first", {}) as run:
        run.open([FIRST])
        server.stop()
        try:
            with pytest.raises(ArchiveError, match="PostgreSQL can't be reached") as told:
                run.record(0, 0, TRAINED, TRAINED)
            assert "then run it again" in told.value.hint
            assert "secret" not in str(told.value)
            with pytest.raises(ArchiveError, match="connection to run 'first' is closed"):
                run.record(0, 0, TRAINED, TRAINED)
        finally:
            server.start()
    with open_run(url, "first", writer=True) as again:
        assert again.candidates() == [FIRST]
        again.record(0, 0, TRAINED, TRAINED)


ANOTHER = """
import sys, time
from deltanas.archive import open_run
from deltanas.program import Trained
run = open_run(sys.argv[1], "first", writer=True)
if sys.argv[2] == "writes":
    run.record(0, 0, Trained(0.5, 1000, 1, 1.0, 1.0, "A"), None)
if sys.argv[2] != "stays":
    run.close()
print("done", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("another", "told"),
    [
        ("stays", "'first' is being written by"),
        ("writes", "'first' is not as this process left it"),
        ("looks", None),
    ],
)
def test_a_run_that_another_process_took_meanwhile_is_left_to_it(
    server: Server, another: str, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.new()
    with create_run(url, "first", {}) as run:
        run.open([FIRST])
        terminate(server)
        command = [sys.executable, "-c", ANOTHER, url, another]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
            try:
                assert other.stdout is not None
                assert other.stdout.readline() == b"done\n"
                if told:
                    with pytest.raises(ArchiveError, match=told) as caught:
                        run.record(0, 0, TRAINED, TRAINED)
                    assert "run the command again" in caught.value.hint.lower()
                else:
                    run.record(0, 0, TRAINED, TRAINED)
            finally:
                other.kill()
    expected = () if another == "stays" else (TRAINED,)
    with open_run(url, "first", writer=True) as again:
        assert again.candidates()[0].trainings == expected


def test_one_name_for_two_runs_at_once(server: Server) -> None:
    """Of many that begin a run of one name at the same time one has it, and the others are told."""
    url = server.new()
    with create_run(url, "other", {}):
        pass
    start, ends = threading.Barrier(6), list[str]()

    def begin() -> None:
        start.wait()
        try:
            with create_run(url, "first", {}):
                ends.append("begun")
                time.sleep(1)
        except ArchiveError as error:
            ends.append(str(error))

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ends.sort(key=lambda end: end != "begun")
    assert ends[0] == "begun"
    for end in ends[1:]:
        assert "holds a run 'first' already" in end
        assert "Give another name" in end
    assert [run.name for run in list_runs(url)] == ["other", "first"]


@pytest.mark.timeout(600)
def test_a_search_whose_server_is_killed_ends_as_the_undisturbed_one(
    server: Server, tmp_path: Path, deltanas: Command
) -> None:
    command = [str(Path(sys.executable).with_name("deltanas")), *ARGUMENTS]
    assert deltanas(*ARGUMENTS, "whole").returncode == 0
    url = server.new()
    begun = subprocess.Popen([*command, "run", "--archive", url], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    with begun as search:
        assert search.stderr is not None
        said = ""
        for line in search.stderr:
            said += line
            if "training (" in line:
                server.stop(signal.SIGKILL)
                time.sleep(1)
                server.start()
    assert search.returncode == 0, said
    assert said.count("nothing is lost") >= 2
    held, whole = view_of(tmp_path / "run"), view_of(tmp_path / "whole")
    assert [told(c) for c in held.candidates] == [told(c) for c in whole.candidates]
    assert {f.program: scored(f) for f in held.finals} == {f.program: scored(f) for f in whole.finals}


def told(c: Candidate) -> tuple[object, ...]:
    return c.cycle, c.index, c.program and c.program.id, c.parent, type(c.outcome).__name__, c.score, len(c.trainings)


def scored(final: Final) -> float | None:
    return final.outcome.score if isinstance(final.outcome, Trained) else None
