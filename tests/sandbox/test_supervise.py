"""A child that the machine fails, with scripted ends: what is tried again, and what is told as the sandbox's."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import replace
from typing import Any, cast

import pytest

from deltanas.errors import SandboxError
from deltanas.sandbox import supervise
from deltanas.sandbox.host import ForkServer
from deltanas.sandbox.judge import failed_as
from deltanas.sandbox.layers import Bounds
from deltanas.sandbox.supervise import Ended, Limits, run_alone, run_child
from deltanas.sandbox.zygote import SETUP_FAILED
from deltanas.train.job import Job

NET = "import torch"
JOB = Job("build", NET, "", "{}", (1, 1, 8, 8), "classify", (2,), 0, 1, 1)
LIMITS = Limits(1.0, Bounds(cpu=1, memory=1 << 30))
DONE = Ended("exit", 0, 0.1, 0.1, b"{}", "")
NO_LAYERS = Ended("exit", SETUP_FAILED, 0.1, 0.0, b"", "sandbox: Traceback\nBlockingIOError: [Errno 11] fork")
KILLED = Ended("exit", -signal.SIGKILL, 0.1, 0.1, b"", "")


class Machine:
    """Ends children as the script says. kills: at how many of them the kernel kills for memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *script: Ended | None, kills: int = 0) -> None:
        self.left = list(script)
        self.nets: list[str] = []
        self.killed, self.kills = 0, kills
        monkeypatch.setattr(supervise, "_run_once", self.run_once)
        monkeypatch.setattr(supervise, "_kills_for_memory", lambda: self.killed)

    def run_once(self, server: ForkServer, sources: tuple[int, int], *_: object, **__: object) -> Ended | None:
        self.nets.append(Job.from_bytes(os.pread(sources[0], 1 << 16, 0)).net)
        self.killed = min(self.killed + 1, self.kills)
        return self.left.pop(0)

    def ended(self) -> Ended:
        return run_child(cast("Any", None), JOB, 0, LIMITS, due=9, slot=0, stop_fd=0)


@pytest.mark.parametrize(
    "script",
    [
        (DONE,),
        (None, DONE),
        (None, None, DONE),
        (NO_LAYERS, DONE),
        (NO_LAYERS, NO_LAYERS, DONE),
        (None, NO_LAYERS, DONE),
    ],
    ids=["well", "server killed", "killed twice", "no layers", "no layers twice", "both"],
)
def test_what_the_machine_cut_off_is_run_again(
    monkeypatch: pytest.MonkeyPatch, script: tuple[Ended | None, ...]
) -> None:
    machine = Machine(monkeypatch, *script)
    assert machine.ended() == DONE
    assert machine.nets == [NET] * len(script)


def test_a_machine_that_sets_up_no_child_is_an_error_of_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, *[NO_LAYERS] * 4)
    with pytest.raises(SandboxError, match="BlockingIOError") as caught:
        machine.ended()
    assert "memory and processes" in caught.value.hint
    assert machine.nets == [NET, NET, NET, ""]
    with pytest.raises(SandboxError, match=r"put around a program\n"):
        Machine(monkeypatch, *[replace(NO_LAYERS, tail="")] * 4).ended()


def test_a_program_that_feigns_it_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Machine(monkeypatch, NO_LAYERS, NO_LAYERS, NO_LAYERS, DONE).ended() == NO_LAYERS


def test_a_server_that_is_killed_time_and_again_is_an_error_of_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SandboxError, match="killed 3 times"):
        Machine(monkeypatch, None, None, None).ended()


def test_a_child_that_the_kernel_kills_for_memory_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Machine(monkeypatch, KILLED, KILLED, DONE, kills=2).ended() == DONE
    ended = Machine(monkeypatch, KILLED, KILLED, KILLED, kills=3).ended()
    assert "no memory left, 3 times" in str(failed_as(ended, None, LIMITS))


def test_a_child_that_somebody_kills_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, KILLED)
    assert machine.ended() == KILLED
    assert len(machine.nets) == 1


def test_the_kernel_tells_how_often_it_killed() -> None:
    assert supervise._kills_for_memory() >= 0


class SlowServer:
    """Takes an hour to start before it gives a child, by a clock of its own."""

    now = 0.0

    def launch(self, fds: list[int], *_: object) -> int:
        self.now += 3600.0
        os.write(fds[-1], b'{"code": 0, "cpu_seconds": 0.5}')
        self.child = subprocess.Popen(["sleep", "600"])
        return os.pidfd_open(self.child.pid)


def test_the_start_of_the_server_is_none_of_the_childs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    server: Any = SlowServer()
    deadlines: list[float] = []
    watch = supervise._watch

    def watched(*given: Any) -> Any:
        deadlines.append(given[-1])
        return watch(*given)

    monkeypatch.setattr(supervise, "_watch", watched)
    monkeypatch.setattr(time, "monotonic", lambda: server.now)
    ended = run_alone(server, JOB, [b"data"], LIMITS, due=9)
    monkeypatch.undo()
    server.child.wait()
    assert (ended.how, ended.seconds, deadlines) == ("exit", 0.0, [3600.0 + LIMITS.timeout])
