"""The fork server: deaths, restarts, and what is done where the kernel offers less."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest

from deltanas.errors import SandboxError
from deltanas.program import Failed, Program, Trained
from deltanas.sandbox import LocalPool, kept_warm
from deltanas.sandbox.layers import Layer, tier_of
from deltanas.train.data import load

sys.path.append(str(Path(__file__).parents[1] / "contracts"))
from runner_contract import HONEST, below, descendants, gone, learning, servers, train_one

pytestmark = pytest.mark.alone

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
LANDLOCK, SECCOMP, MOUNT = 444, 317, 165
x86_64_only = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the simulation knows the numbers of x86-64")


def maps(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/maps").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def run(script: str, *prefix: str) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalPool]:
    with LocalPool(load("digits"), workers=2, timeout=3, memory_bytes=1 << 30) as pool:
        yield pool
    assert not servers()


def test_a_killed_server_costs_no_result(pool: LocalPool) -> None:
    before = train_one(pool, HONEST)
    [server] = servers()
    killer = threading.Timer(0.7, os.kill, (server, signal.SIGKILL))
    killer.start()
    outcomes = dict(pool.train([SLOW, HONEST, SLOW], seed=0))
    killer.join()
    assert servers() != {server}
    assert isinstance(before, Trained)
    assert {outcome.score for outcome in outcomes.values() if isinstance(outcome, Trained)} == {before.score}
    assert len(outcomes) == 3


def test_a_server_that_is_killed_as_it_starts_costs_no_result() -> None:
    """Killed as the pool opens, while candidates train, and while the next server still imports."""
    done = threading.Event()
    others = servers()
    killed: list[int] = []

    def kill(times: int) -> None:
        for _ in range(times):
            while not done.is_set() and not servers() - others - set(killed):
                time.sleep(0.01)
            for pid in servers() - others - set(killed):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    first = threading.Thread(target=kill, args=(1,))
    first.start()
    with LocalPool(load("digits"), workers=2) as pool:
        first.join()
        before = train_one(pool, HONEST)
        second = threading.Thread(target=kill, args=(2,))
        second.start()
        outcomes = dict(pool.train([SLOW, HONEST, HONEST], seed=0))
        done.set()
        second.join()
    assert isinstance(before, Trained)
    assert [getattr(outcome, "score", outcome) for outcome in outcomes.values()] == [before.score] * 3
    assert len(killed) >= 3  # one kill may meet a server twice: the one that starts and the one it forks


def test_servers_of_one_kept_interpreter_are_as_those_of_their_own(pool: LocalPool) -> None:
    """Each pool has its own server; neither the death of one nor that of the interpreter costs a result."""
    before, family = train_one(pool, HONEST), below(os.getpid())
    assert isinstance(before, Trained)
    with kept_warm():
        for _ in range(2):
            with LocalPool(load("digits"), workers=1, timeout=30) as forked:
                [keeper] = (pid for pid in below(os.getpid()) - family if below(pid))
                assert forked.tier == pool.tier
                assert getattr(train_one(forked, HONEST), "score", None) == before.score
                [server] = (pid for pid in below(keeper) if not gone(pid))
                os.kill(server, signal.SIGKILL)
                assert getattr(train_one(forked, HONEST), "score", None) == before.score
            assert all(map(gone, below(keeper)))
        os.kill(keeper, signal.SIGKILL)
        with LocalPool(load("digits"), workers=1, timeout=30) as forked:
            assert getattr(train_one(forked, HONEST), "score", None) == before.score
    assert below(os.getpid()) <= family


def test_a_killed_candidate_is_a_crash_of_its_own(pool: LocalPool) -> None:
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


STUBBORN = {
    "a loop that catches all": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "a loop deaf to signals": "for s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n"
    "    except (OSError, ValueError): pass\nwhile True: pass",
    "a stop of itself": "os.kill(os.getpid(), signal.SIGSTOP)\ntime.sleep(1e6)",
    "a storm of alarms": "signal.signal(signal.SIGALRM, lambda *_: None)\n"
    "signal.setitimer(signal.ITIMER_REAL, 1e-6, 1e-6)\nwhile True: pass",
    "output without end": "while True: os.write(2, b'x' * 65536)",
    "all descriptors, without end": "while True:\n    for fd in range(64):\n"
    "        try: os.write(fd, b'x' * 4096)\n        except OSError: pass",
    "an answer that drips": "while True: os.write(5, b' '), time.sleep(0.01)",
    "descriptors closed": "os.closerange(0, 64)\ntime.sleep(1e6)",
    "an exit that hangs": "atexit.register(time.sleep, 1e6)\n"
    "threading.Thread(target=time.sleep, args=(1e6,)).start()\nsys.exit(0)",
    "a finaliser that hangs": "class Hung:\n    def __del__(self): time.sleep(1e6)\nheld = Hung(); held.self = held\n"
    "del held; gc.collect()",
    "memory, again and again": "while True:\n    try: held = [bytearray(b'x') * (1 << 26) for _ in range(99)]\n"
    "    except MemoryError: pass",
    "recursion in C": "x = []\nfor _ in range(10**6): x = [x]\nrepr(x)\nctypes.string_at(1)",
}


def test_stubborn_candidates_end_in_time_and_leave_the_next_score_alone(pool: LocalPool) -> None:
    before = train_one(pool, HONEST)
    assert isinstance(before, Trained)
    candidates = []
    for code in STUBBORN.values():
        body = "import atexit, ctypes, gc, signal, threading, time\n" + code
        candidate = learning("hang()")
        candidates.append(Program.of(f"{candidate.net}\n\ndef hang():\n{indent(body, '    ')}\n", prm=candidate.prm))
    hostile = len(candidates)
    candidates += [HONEST] * 4
    outcomes = dict(pool.train(candidates, seed=0))
    for name, outcome in zip(STUBBORN, (outcomes[place] for place in range(hostile)), strict=True):
        assert isinstance(outcome, Failed), (name, outcome)
        assert outcome.seconds < 3 + 2, (name, outcome)
    honest = [outcomes[place] for place in range(hostile, len(candidates))]
    assert [getattr(outcome, "score", outcome) for outcome in honest] == [before.score] * 4
    assert not descendants()


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


def test_a_server_that_still_imports_ends_with_the_tool() -> None:
    script = RUN + "LocalPool(load('digits')).__enter__()\n"
    with subprocess.Popen([sys.executable, "-c", script]) as tool:
        importing: list[int] = []
        while not importing:
            assert tool.poll() is None
            time.sleep(0.002)
            importing = [pid for pid in below(tool.pid) if b"libtorch" in maps(pid)]
        tool.kill()
    deadline = time.monotonic() + 0.5  # the import of torch takes a second and more from here on
    while not gone(importing[0]):
        assert time.monotonic() < deadline
        time.sleep(0.01)


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
@pytest.mark.parametrize(("lacking", "tier"), [([LANDLOCK], "A"), ([LANDLOCK, MOUNT], "B")])
def test_without_landlock_the_view_hides_files_and_without_either_the_tier_says_so(
    lacking: list[int], tier: str
) -> None:
    script = RUN + (
        "with LocalPool(load('digits'), workers=1) as pool:\n"
        "    reader = learning('raise ValueError(len(open(\"/etc/passwd\").read()))')\n"
        "    print(pool.tier, type(train_one(pool, HONEST)).__name__, train_one(pool, reader).reason)\n"
    )
    done = run("".join(WITHOUT.format(number=number) for number in lacking) + script)
    assert done.stdout.startswith(f"{tier} Trained line "), done.stdout + done.stderr
    read = f"ValueError: {len(Path('/etc/passwd').read_text())}"
    assert ("(FileNotFoundError)" if tier == "A" else read) in done.stdout


@x86_64_only
def test_without_seccomp_and_landlock_it_refuses_to_run() -> None:
    # Both at once: a second filter, laid before the first makes the call of its own impossible.
    blocked = WITHOUT.format(number=LANDLOCK) + WITHOUT.format(number=SECCOMP)
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
        (["user", "view", "seccomp"], [], "A"),
        (["user", "view", "landlock", "seccomp"], ["read"], "B"),
        (["user", "view", "landlock"], [], "B"),
        (["user", "namespaces", "view"], [], "C"),
        (["user", "landlock", "seccomp"], ["socket"], "C"),
        ([], [], "C"),
    ],
)
def test_the_tier_follows_what_holds(layers: list[Layer], holes: list[str], tier: str) -> None:
    assert tier_of(layers, holes) == tier
