"""Hostile candidates. Each tries one thing, must be refused it, and then learns as the honest network does: the same
score to the last digit shows that the sandbox stood and that the attack left nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from deltanas.program import Failed, Program, Trained
from deltanas.sandbox import LocalPool
from deltanas.seams import Runner
from deltanas.train.data import load

sys.path.append(str(Path(__file__).parents[1] / "contracts"))
from runner_contract import FORWARD, HONEST, descendants, honest_score, learning, program, train_one

pytestmark = pytest.mark.alone

LIMIT = 5
"""Seconds that a training may take."""
HELPERS = """

import ctypes, fcntl, gc, mmap, multiprocessing, pathlib, resource, signal, socket, subprocess, threading, time

LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def syscall(number, *arguments):
    return checked(LIBC.syscall(ctypes.c_long(number), *[ctypes.c_long(value) for value in arguments]))


def attempt():
    try:
        attack()
    except (OSError, ImportError, ValueError):
        return
    raise RuntimeError("the attack reached its aim")


def attack():
"""

WRITING = {
    "a file in /tmp": "open('/tmp/deltanas-attack', 'w')",
    "a file in shared memory": "open('/dev/shm/deltanas-attack', 'w')",
    "a file in the working folder": "open('deltanas-attack', 'w')",
    "a file at home": "open(os.path.expanduser('~/deltanas-attack'), 'w')",
    "a line more in torch": "open(torch.__file__, 'a')",
    "a file without a name": "os.open('/tmp', os.O_TMPFILE | os.O_RDWR)",
    "a folder": "os.mkdir('/tmp/deltanas-attack')",
    "a link": "os.symlink('/etc', '/tmp/deltanas-attack')",
    "a pipe with a name": "os.mkfifo('/tmp/deltanas-attack')",
    "another's file gone": "os.unlink({victim!r})",
    "another's file moved": "os.rename({victim!r}, {victim!r} + '2')",
    "another's file cut": "os.truncate({victim!r}, 0)",
    "another's permissions": "os.chmod({victim!r}, 0o777)",
    "another's times": "os.utime({victim!r}, (0, 0))",
    "another's owner": "os.chown({victim!r}, os.getuid(), os.getgid())",
    "an attribute": "os.setxattr({victim!r}, 'user.a', b'1')",
    "memory files": "os.memfd_create('attack')",
    "the data": "os.pwrite(4, b'x', 0)",
    "the data's size": "os.ftruncate(4, 0)",
    "the job": "os.write(3, b'x')",
    "the data for all, mapped": "mmap.mmap(4, 0, access=mmap.ACCESS_WRITE)",
    "the data's blocks": "syscall(285, 4, 0, 0, 1 << 30)",
    "the data's seals": "fcntl.fcntl(4, 1033, 1)",
    "a lock on the data": "fcntl.flock(4, fcntl.LOCK_EX)",
    "a wider pipe": "fcntl.fcntl(1, 1031, 1 << 24)",
    "a second name": "os.link({victim!r}, {victim!r} + '2')",
    "a device": "os.mknod('/tmp/deltanas-attack', 0o060600, os.makedev(8, 0))",
    "a terminal": "os.open('/dev/ptmx', os.O_RDWR)",
    "the kernel's log": "open('/dev/kmsg', 'w')",
    "its own memory": "open('/proc/self/mem', 'r+b')",
    "who is killed first": "open('/proc/self/oom_score_adj', 'w')",
}
READING = {
    "a secret file": "open({victim!r}).read()",
    "the users": "open('/etc/passwd').read()",
    "the root folder": "os.listdir('/')",
    "the labels of Fashion-MNIST": "open('/usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz').read()",
    "the labels of digits": "import sklearn.datasets; sklearn.datasets.load_digits()",
    "the labels of digits by path": "open({digits!r}, 'rb').read()",
    "the machine's secret": "open({secret!r}, 'rb').read()",
    "the server's environment": "open(f'/proc/{{os.getppid()}}/environ').read()",
    "the server's memory": "open(f'/proc/{{os.getppid()}}/mem', 'rb').read()",
    "the tool's environment": "open('/proc/{tool}/environ').read()",
    "the tool's memory by call": "syscall(310, {tool}, 0, 0, 0, 0, 0)",
    "the list of processes": "os.listdir('/proc')",
    "whether a file is there": "os.stat({victim!r})",
    "whether a user has keys": "os.stat('/root/.ssh' if os.path.isdir('/root') else '/root')",
    "its own map": "open('/proc/self/maps').read()",
    "another's command line": "open('/proc/1/cmdline').read()",
    "the server's files": "os.listdir(f'/proc/{{os.getppid()}}/fd')",
    "the mounts": "open('/proc/mounts').read()",
    "the kernel's log": "syscall(103, 3, 0, 0)",
    "a file by its handle": "syscall(304, -100, 0, 0)",
    "what others do to files": "syscall(294, 0)",
    "what all do to files": "syscall(300, 0, 0)",
}
PROCESSES = {
    "fork": "os.fork()",
    "fork by the C library": "checked(LIBC.fork())",
    "vfork by number": "syscall(58)",
    "clone by number": "syscall(56, 17, 0, 0, 0, 0)",
    "clone3 by number": "syscall(435, 0, 0)",
    "a daemon": "os.fork() or os.setsid() or os.fork()",
    "a session": "os.setsid()",
    "a subprocess": "subprocess.run(['/bin/true'])",
    "a spawned process": "os.posix_spawn('/bin/true', ['true'], {{}})",
    "a shell": "os.system('true') and checked(-1)",
    "another program": "os.execv('/bin/sleep', ['sleep', '100'])",
    "a worker": "multiprocessing.get_context('fork').Process(target=print).start()",
    "to kill the server": "os.kill(os.getppid(), signal.SIGKILL)",
    "to kill the tool": "os.kill({tool}, signal.SIGKILL)",
    "to kill all": "os.kill(-1, signal.SIGKILL)",
    "to kill the group": "os.killpg(0, signal.SIGKILL)",
    "to kill by thread": "syscall(234, os.getppid(), os.getppid(), 9)",
    "to signal by number": "syscall(129, os.getppid(), 9, 0)",
    "to hold the server": "os.pidfd_open(os.getppid())",
    "signals by ownership": "fcntl.fcntl(5, fcntl.F_SETOWN, os.getppid())",
    "to trace the server": "syscall(101, 16, os.getppid(), 0, 0)",
    "to trace itself": "syscall(101, 0, 0, 0, 0)",
    "to outlive the server": "checked(LIBC.prctl(1, 0, 0, 0, 0))",
    "to be seen by others": "checked(LIBC.prctl(4, 1, 0, 0, 0))",
    "to stop the server": "os.kill(os.getppid(), signal.SIGSTOP)",
    "to write the tool's memory": "syscall(311, {tool}, 0, 0, 0, 0, 0)",
    "to take the server's files": "syscall(438, 0, 0, 0)",
    "to compare with the server": "syscall(312, os.getpid(), os.getppid(), 0, 0, 0)",
    "to queue a signal": "syscall(129, {tool}, 34, 0)",
    "to hold the tool to one core": "os.sched_setaffinity({tool}, {{0}})",
    "to run before all others": "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
    "a thread in a network of its own": "syscall(56, 0x10000 | 0x800 | 0x100 | 0x40000000, 0, 0, 0, 0)",
}
NETWORK = {
    "TCP": "socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect(('127.0.0.1', {port}))",
    "TCP over IPv6": "socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
    "UDP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))",
    "a socket by path": "socket.socket(socket.AF_UNIX).connect('/run/dbus/system_bus_socket')",
    "an abstract socket": "socket.socket(socket.AF_UNIX).bind('\\0attack')",
    "a pair of sockets": "socket.socketpair()",
    "netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "raw packets": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "virtual sockets": "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
    "the kernel's ciphers": "socket.socket(38, socket.SOCK_SEQPACKET)",
    "a tunnel": "os.open('/dev/net/tun', os.O_RDWR)",
}
KERNEL = {
    "to be root": "os.setuid(0) or checked(-(os.getuid() != 0))" if os.getuid() else "os.setuid(0)",
    "another group": "os.setgid(0)",
    "capabilities": "syscall(126, 0, 0)",
    "another root": "os.chroot('/')",
    "mounts": "syscall(165, 0, 0, 0, 0, 0)",
    "namespaces": "checked(LIBC.unshare(0x10000000))",
    "other namespaces": "syscall(308, 4, 0)",
    "bpf": "syscall(321, 0, 0, 0)",
    "io_uring": "syscall(425, 1, 0)",
    "userfaultfd": "syscall(323, 0)",
    "performance events": "syscall(298, 0, 0, 0, 0, 0)",
    "keys": "syscall(250, 0, 0, 0)",
    "shared memory": "syscall(29, 0, 4096, 0o1600)",
    "a message queue": "syscall(68, 0, 0o1600)",
    "the clock": "time.clock_settime(time.CLOCK_REALTIME, 0)",
    "the host's name": "socket.sethostname('attack')",
    "more memory": "resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)",
    "more memory by another call": "resource.prlimit(0, resource.RLIMIT_AS, (1 << 40, 1 << 40))",
    "the tool's limits": "resource.prlimit({tool}, resource.RLIMIT_CPU, (1, 1))",
    "priority": "os.setpriority(os.PRIO_PROCESS, 0, -20)",
    "device control": "fcntl.ioctl(1, 0x5412, b'x')",
    "500 files": "[os.open('/dev/null', os.O_RDONLY) for _ in range(500)]",
    "a filter of its own": "syscall(317, 1, 0, 0)",
    "the numbers of x32": "syscall(0x40000000 + 39)",
    "a module": "syscall(175, 0, 0, 0)",
    "another kernel": "syscall(246, 0, 0, 0, 0)",
    "swap": "syscall(167, 0, 0)",
    "ports": "syscall(172, 3)",
    "fixed addresses": "syscall(135, 0x40000)",
    "a file system": "syscall(430, 0, 0)",
    "a tree of mounts": "syscall(428, -100, 0, 0)",
    "another root by mount": "syscall(155, 0, 0)",
    "semaphores": "syscall(64, 0, 1, 0o1600)",
    "a queue with a name": "syscall(240, 0, 0o102, 0o600, 0)",
    "secret memory": "syscall(447, 0)",
    "locked memory": "syscall(149, 0, 4096)",
    "timers": "syscall(222, 0, 0, 0)",
}
ATTACKS = {
    f"{kind}: {name}": code
    for kind, attacks in {
        "write": WRITING, "read": READING, "process": PROCESSES, "network": NETWORK, "kernel": KERNEL,
    }.items()
    for name, code in attacks.items()
}  # fmt: skip


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DELTANAS_STATE", str(state))
        patch.setenv("API_TOKEN", "sesame")
        with LocalPool(load("digits"), timeout=LIMIT, build_timeout=LIMIT, memory_bytes=1 << 30) as pool:
            yield pool


@pytest.fixture
def score(runner: Runner) -> float:
    return honest_score(runner)  # type: ignore[arg-type]  # any object is hashed by its identity


def hostile(attack: str) -> Program:
    candidate = learning("attempt()")
    return Program.of(candidate.net + HELPERS + textwrap.indent(attack, "    ") + "\n", prm=candidate.prm)


@pytest.fixture(scope="module")
def refused(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Trained | Failed, bool]]:
    """How each attack ended, two at a time, and whether the file that it went for is as it was."""
    import sklearn

    honest_score(runner)  # type: ignore[arg-type]  # before any attack, for `score` to give again
    folder = tmp_path_factory.mktemp("victims")
    digits = str(Path(sklearn.__file__).parent / "datasets" / "data" / "digits.csv.gz")
    secret = str(Path(os.environ.get("DELTANAS_STATE", "/")) / "secret")
    victims = [folder / str(place) for place in range(len(ATTACKS))]
    for victim in victims:
        victim.write_text("unharmed")
    before = [traits(victim) for victim in victims]
    candidates = [
        hostile(code.format(victim=str(victim), digits=digits, secret=secret, tool=os.getpid(), port=22))
        for code, victim in zip(ATTACKS.values(), victims, strict=True)
    ]
    outcomes = dict(runner.train(candidates, seed=0))
    assert sorted(folder.iterdir()) == sorted(victims)
    assert not descendants()
    return {
        name: (outcomes[place], victim.exists() and traits(victim) == before[place])
        for place, (name, victim) in enumerate(zip(ATTACKS, victims, strict=True))
    }


def traits(path: Path) -> tuple[int, float, int, int, int]:
    found = path.stat()
    return found.st_mode, found.st_mtime, found.st_uid, found.st_size, found.st_nlink


@pytest.mark.parametrize("name", ATTACKS)
def test_refused(name: str, score: float, refused: dict[str, tuple[Trained | Failed, bool]]) -> None:
    outcome, unharmed = refused[name]
    assert isinstance(outcome, Trained), outcome
    assert outcome.score == score
    assert outcome.seconds < LIMIT + 2
    assert unharmed


def test_the_environment_holds_no_secret(runner: Runner) -> None:
    candidate = learning("raise RuntimeError(' '.join(sorted(os.environ)))")
    outcome = train_one(runner, candidate)
    assert isinstance(outcome, Failed)
    seen = set(outcome.reason.partition("RuntimeError: ")[2].split())
    assert seen <= {
        "CUDA_VISIBLE_DEVICES", "GOMP_SPINCOUNT", "HOME", "LC_ALL", "LD_LIBRARY_PATH", "MALLOC_MMAP_MAX_",
        "MALLOC_TRIM_THRESHOLD_", "OMP_NUM_THREADS", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED",
        "KMP_INIT_AT_FORK", "KMP_DUPLICATE_LIB_OK", "TORCHINDUCTOR_CACHE_DIR",
    }, seen  # fmt: skip


def test_evaluation_labels_are_nowhere_in_memory(runner: Runner) -> None:
    """No array or tensor of the process has one integer for each evaluation image, in whatever order."""
    code = """
held = [o for o in gc.get_objects() if type(o) is torch.Tensor and not o.is_floating_point() and o.numel() == 360]
raise RuntimeError(f"{len(held)} found")
"""
    outcome = train_one(runner, hostile(code))
    assert isinstance(outcome, Failed)
    assert "RuntimeError: 0 found" in outcome.reason


def test_a_patched_torch_scores_nothing(runner: Runner, score: float) -> None:
    code = """
torch.argmax = torch.Tensor.argmax = lambda *_, **__: torch.zeros(360)
torch.isfinite = lambda x: torch.ones_like(x)
time.time = time.monotonic = time.perf_counter = lambda: 0.0
raise OSError
"""
    outcome = train_one(runner, hostile(code))
    assert isinstance(outcome, Trained)
    assert outcome.score == score
    assert outcome.seconds > 0


def test_constant_logits_score_as_chance(runner: Runner) -> None:
    code = "os.write(5, b'{}\\n' + bytes(4 * 360 * 10)); os._exit(0)"
    outcome = train_one(runner, hostile(code))
    assert isinstance(outcome, Trained)
    assert outcome.score < 0.15


def test_a_long_reason_in_any_script_is_told(runner: Runner) -> None:
    outcome = train_one(runner, hostile(r"raise RuntimeError('\U0001f600' * 5000 + '\ud800')"))
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("line ")
    assert len(outcome.reason) == 600


def test_one_candidate_cannot_change_the_next_ones_data(runner: Runner, score: float) -> None:
    code = "memory = mmap.mmap(4, 0, access=mmap.ACCESS_COPY); memory[:] = bytes(len(memory)); raise OSError"
    train_one(runner, hostile(code))
    outcome = train_one(runner, HONEST)
    assert isinstance(outcome, Trained)
    assert outcome.score == score


def test_one_candidate_leaves_nothing_in_the_offset_of_the_data(runner: Runner) -> None:
    train_one(runner, hostile("os.lseek(4, 123456, 0); raise OSError"))
    held = len(os.listdir("/proc/self/fd"))
    outcome = train_one(runner, hostile("raise RuntimeError(os.lseek(4, 0, 1))"))
    assert isinstance(outcome, Failed)
    assert outcome.reason.endswith("RuntimeError: 0")
    assert len(os.listdir("/proc/self/fd")) == held


def test_threads_are_bounded_and_end_with_the_child(runner: Runner, score: float) -> None:
    code = "[threading.Thread(target=time.sleep, args=(1000,), daemon=True).start() for _ in range(100000)]"
    candidate = hostile(code)
    outcome = train_one(runner, Program.of(candidate.net.replace("ImportError)", "ImportError, RuntimeError)")))
    assert not isinstance(outcome, Trained) or outcome.score == score
    assert not descendants()
    again = train_one(runner, HONEST)
    assert isinstance(again, Trained)
    assert again.score == score


def test_threads_that_burn_are_stopped_by_cpu_time(runner: Runner) -> None:
    """A limit of wall clock alone would let many threads train many times over."""
    code = """
import numpy as np
def burn():
    a = np.random.rand(700, 700)
    while True:
        a @ a
[threading.Thread(target=burn, daemon=True).start() for _ in range(4)]
time.sleep(1000)
"""
    outcome = train_one(runner, hostile(code))
    assert isinstance(outcome, Failed)
    assert outcome.kind == "timeout"
    assert outcome.cpu_seconds < 9


def test_machine_code_of_another_architecture_is_killed(runner: Runner) -> None:
    """`int 0x80` reaches the calls of i386, whose numbers differ from those that the filter allows."""
    code = """
memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
memory.write(bytes.fromhex("b814000000cd80c3"))
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()
"""
    outcome = train_one(runner, hostile(code))
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("was ended by SIGSYS")


def test_passes_over_a_copy_of_the_data_show_in_cpu_time_alone(runner: Runner) -> None:
    """What a program computes with its time is its own; the limits bound it, and what it used stands in the outcome."""
    greedy = program(
        FORWARD
        + """
    def learn(self, train_data):
        kept = list(train_data)
        for inputs, labels in kept * 15:
            self.zero_grad()
            self.criteria(self(inputs), labels).backward()
            with torch.no_grad():
                for weight in self.parameters():
                    weight -= 0.1 * weight.grad
"""
    )
    honest, outcome = train_one(runner, HONEST), train_one(runner, greedy)
    assert isinstance(honest, Trained)
    assert isinstance(outcome, Trained)
    assert outcome.cpu_seconds > 2 * honest.cpu_seconds


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user, which root alone can")
def test_the_same_holds_for_an_ordinary_user(tmp_path: Path) -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("needs setpriv (Debian's util-linux)")
    tmp_path.chmod(0o777)
    # The interpreter may lie in a folder of root's: this one capability lets the test start, and the sandbox drops it.
    become = ["--reuid=4242", "--regid=4242", "--clear-groups", "--inh-caps=-all,+dac_read_search"]
    become += ["--ambient-caps=-all,+dac_read_search", "--bounding-set=-all,+dac_read_search"]
    options = ["-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'pytest'}", "-k", "not burn"]
    run = subprocess.run(
        [setpriv, *become, sys.executable, "-m", "pytest", *options, __file__],
        env={**os.environ, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
