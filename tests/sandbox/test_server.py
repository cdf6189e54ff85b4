"""The fork server: deaths, restarts, and what is done where the kernel offers less."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from deltanas.errors import SandboxError
from deltanas.program import Trained
from deltanas.sandbox import LocalPool
from deltanas.sandbox.layers import Layer, tier_of
from deltanas.train.data import load

sys.path.append(str(Path(__file__).parents[1] / "contracts"))
from runner_contract import HONEST, below, cmdline, learning, train_one

SLOW = learning("import time; time.sleep(1.5)")
RUN = f"""
import sys
sys.path.append({sys.path[-1]!r})
from runner_contract import HONEST, learning, train_one
from deltanas.sandbox import LocalPool
from deltanas.train.data import load
"""
# A filter that answers ENOSYS to Landlock, or to seccomp itself, as an older kernel would.
WITHOUT = """
import ctypes, struct
libc = ctypes.CDLL(None)
code = [(0x20, 0, 0, 0), (0x15, 0, 1, {number}), (6, 0, 0, 0x50026), (6, 0, 0, 0x7FFF0000)]
held = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *op) for op in code))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.syscall(317, 1, 0, struct.pack("<HxxxxxxQ", len(code), ctypes.addressof(held))) == 0
"""
x86_64_only = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the simulation knows the numbers of x86-64")


def servers() -> set[int]:
    return {pid for pid in below(os.getpid()) if b"deltanas.sandbox.zygote" in cmdline(pid)}


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def run(script: str, *prefix: str) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_a_killed_server_costs_no_result() -> None:
    with LocalPool(load("digits"), workers=2) as pool:
        before = train_one(pool, HONEST)
        [server] = servers()
        killer = threading.Timer(0.7, os.kill, (server, signal.SIGKILL))
        killer.start()
        outcomes = dict(pool.train([SLOW, HONEST, SLOW], seed=0))
        killer.join()
        assert servers() != {server}
    assert isinstance(before, Trained)
    assert {outcome.accuracy for outcome in outcomes.values() if isinstance(outcome, Trained)} == {before.accuracy}
    assert len(outcomes) == 3
    assert not servers()


def test_a_killed_candidate_is_a_crash_of_its_own() -> None:
    with LocalPool(load("digits"), workers=2) as pool:
        [server] = servers()

        def kill_one() -> None:
            while not below(server):
                time.sleep(0.01)
            os.kill(min(below(server)), signal.SIGKILL)

        killer = threading.Thread(target=kill_one)
        killer.start()
        [(_, first)] = pool.train([SLOW], seed=0)
        killer.join()
        assert "SIGKILL" in getattr(first, "reason", "")
        assert isinstance(train_one(pool, HONEST), Trained)


def test_nothing_outlives_the_tool() -> None:
    script = RUN + (
        "with LocalPool(load('digits'), workers=2) as pool:\n"
        "    loops = pool.train([HONEST, *[learning('while True: pass')] * 3], seed=0)\n"
        "    next(loops)\n"
        "    print('trained', flush=True)\n"
        "    next(loops)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == b"trained\n"
        family = below(tool.pid)
        assert len(family) >= 2
        tool.kill()
    deadline = time.monotonic() + 5
    while not all(gone(pid) for pid in family):
        assert time.monotonic() < deadline, family
        time.sleep(0.02)


def test_interrupting_ends_the_children() -> None:
    script = RUN + (
        "import os\nfrom runner_contract import descendants\n"
        "with LocalPool(load('digits'), workers=2, timeout=60) as pool:\n"
        "    outcomes = pool.train([HONEST, *[learning('while True: pass')] * 3], seed=0)\n"
        "    next(outcomes)\n"
        "    print('trained', flush=True)\n"
        "    try:\n"
        "        next(outcomes)\n"
        "    except KeyboardInterrupt:\n"
        "        print(sorted(descendants()), flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == b"trained\n"
        time.sleep(0.2)
        start = time.monotonic()
        tool.send_signal(signal.SIGINT)
        assert tool.stdout.readline() == b"[]\n"
        assert tool.wait(5) == 0
    assert time.monotonic() - start < 5


@x86_64_only
def test_without_landlock_the_tier_is_b() -> None:
    done = run(
        WITHOUT.format(number=444)
        + RUN
        + "with LocalPool(load('digits')) as pool: print(pool.tier, type(train_one(pool, HONEST)).__name__)"
    )
    assert done.stdout == "B Trained\n", done.stderr


@x86_64_only
def test_without_seccomp_and_landlock_it_refuses_to_run() -> None:
    # Both at once: a second filter, laid before the first makes the call of its own impossible.
    blocked = WITHOUT.format(number=444) + WITHOUT.format(number=317)
    script = RUN + (
        "from deltanas.errors import SandboxError\n"
        "try:\n    LocalPool(load('digits')).__enter__()\n"
        "except SandboxError as error: print(error.hint)\n"
        "with LocalPool(load('digits'), unsafe=True) as pool:\n"
        "    outcome = train_one(pool, learning(\"os.fork() or __import__('time').sleep(100)\"))\n"
        "    from runner_contract import descendants\n"
        "    print(outcome.tier, type(outcome).__name__, descendants())\n"
    )
    done = run(blocked + script)
    assert "--unsafe" in done.stdout, done.stderr
    assert done.stdout.endswith("C Trained set()\n"), done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts are root's")
def test_without_proc_it_says_so() -> None:
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("needs unshare (Debian's util-linux)")
    script = RUN + (
        "import ctypes\nassert ctypes.CDLL(None).umount2(b'/proc', 2) == 0\n"
        "from deltanas.errors import SandboxError\n"
        "try:\n    LocalPool(load('digits')).__enter__()\n"
        "except SandboxError as error: print(error)\n"
    )
    done = run(script, unshare, "--mount", "--propagation", "private")
    assert "/proc" in done.stdout, done.stdout + done.stderr


def test_an_interpreter_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(SandboxError, match="/nowhere/python"):
        LocalPool(load("digits")).__enter__()


@pytest.mark.parametrize(
    ("layers", "holes", "tier"),
    [
        (["user", "namespaces", "landlock", "seccomp"], [], "A"),
        (["user", "landlock", "seccomp"], [], "A"),
        (["namespaces", "landlock", "seccomp"], [], "A"),
        (["landlock", "seccomp"], [], "B"),
        (["user", "seccomp"], [], "B"),
        (["user", "namespaces"], [], "C"),
        (["user", "landlock", "seccomp"], ["socket"], "C"),
        ([], [], "C"),
    ],
)
def test_the_tier_follows_what_holds(layers: list[Layer], holes: list[str], tier: str) -> None:
    assert tier_of(layers, holes) == tier
