"""The fork server: a warmed interpreter that forks a child for each candidate and never runs one itself.

`python -m deltanas.sandbox.zygote CONTROL_FD MODULE`: MODULE gives `warm()` and `main(job_fd, data_fd, answer_fd)`.
It ends when the other end of its control socket is closed, and its children with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deltanas.sandbox import kernel
from deltanas.sandbox.layers import Bounds, Layer, Layers

_DESCRIPTORS = 5
_PROBE_BOUNDS = Bounds(cpu=10, memory=1 << 30)
SETUP_FAILED = 97
"""The exit code of a child that ended before its program began."""
INHERITED = (3, 4, 5)
"""A child's descriptors: job, data, answer."""
Entry = Callable[[Layers, Bounds, int], None]
"""What a child does, given the layers to put on, its limits and its slot."""


@dataclass(frozen=True)
class _Child:
    pid: int
    status_fd: int


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    die_with_the_tool(control)
    entry = warmed(sys.argv[2])  # first: layers take away what an import may need
    serve(control, Layers(), entry)


def warmed(name: str, ready: Callable[[int], None] = lambda _: None) -> Entry:
    """Import the module and warm it up; what a child then does. Raises SystemExit where a thread was left running.

    ready: called with the child's slot once the layers are on, before the module has the program.
    """
    tempfile.tempdir = "/tmp"  # noqa: S108  torch asks for one as it is imported, and must not try the disk: it may be full
    gc.disable()  # what is imported stays: to look through it again and again takes a seventh of the start
    module = importlib.import_module(name)
    module.warm()
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise SystemExit(f"{threads} threads run after warming up: neither a fork nor a layer would be safe")
    gc.collect()
    gc.freeze()
    gc.enable()

    def candidate(layers: Layers, bounds: Bounds, slot: int) -> None:
        layers.put_on(bounds, slot, strict=True)
        ready(slot)
        module.main(*INHERITED)

    return candidate


def serve(control: socket.socket, layers: Layers, entry: Entry) -> None:
    """Test the layers, say what holds, and start a child for each request that comes in."""
    kernel.prctl(kernel.SUBREAPER, 1)
    kernel.prctl(kernel.DUMPABLE, 0)
    held, holes = _self_test(layers)
    layers.wanted = held
    fcntl.fcntl(control, fcntl.F_SETFL, 0)
    control.send(json.dumps({"layers": held, "holes": holes}).encode())
    _serve(control, layers, entry)


def die_with_the_tool(control: socket.socket) -> None:
    """While torch is imported nobody listens: let the kernel send SIGIO, which ends us, once the other end is closed.

    Not PDEATHSIG: that follows the thread which started us, and the pool's threads come and go.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(control, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(control, fcntl.F_SETFL, os.O_ASYNC)
    if select.select([control], [], [], 0)[0]:
        raise SystemExit("the tool is gone")


def _serve(control: socket.socket, layers: Layers, entry: Entry) -> None:
    running: dict[int, _Child] = {}
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd != control.fileno():
                poll.unregister(fd)
                child = running.pop(fd)
                os.close(fd)
                _reap(child, {other.pid for other in running.values()})
                continue
            message, fds, _, _ = socket.recv_fds(control, 4096, _DESCRIPTORS)
            if not message:
                os._exit(0)
            pidfd, child = _start(json.loads(message), fds, layers, entry)
            running[pidfd] = child
            poll.register(pidfd, select.POLLIN)
            socket.send_fds(control, [b"{}"], [pidfd])


def _start(request: dict[str, int], fds: list[int], layers: Layers, entry: Entry) -> tuple[int, _Child]:
    *inherited, status_fd = fds
    bounds = Bounds(cpu=request["cpu"], memory=request["memory"])
    pid = _fork(lambda: _candidate(inherited, bounds, request["slot"], layers, entry))
    for fd in inherited:
        os.close(fd)
    return os.pidfd_open(pid), _Child(pid, status_fd)


def _candidate(fds: list[int], bounds: Bounds, slot: int, layers: Layers, entry: Entry) -> None:
    _own_descriptors(fds, layers.ruleset)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    entry(layers, bounds, slot)


def _own_descriptors(fds: list[int], ruleset: int) -> None:
    """Leave 0 (empty), 1 and 2 (output), 3, 4 and 5 (job, data, answer) open, and the ruleset until it is put on."""
    null = os.open("/dev/null", os.O_RDONLY)
    job, data, answer, output = (fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in fds)
    for target, source in enumerate((null, output, output, job, data, answer)):
        os.dup2(source, target)
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 5 and fd != ruleset:
            with contextlib.suppress(OSError):  # the listing's own is closed already
                os.close(fd)


def _fork(body: Callable[[], None]) -> int:
    """Run `body` in a child that ends with it, and dies with this process. Returns the child's number."""
    server = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = SETUP_FAILED
    try:
        kernel.prctl(kernel.PDEATHSIG, signal.SIGKILL)
        if os.getppid() == server:
            os.setsid()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            body()
            code = 0
    except BaseException:  # noqa: BLE001  nothing may get past the fork, or there would be two servers
        os.write(2, f"sandbox: {traceback.format_exc(limit=-2)}".encode())
    finally:
        os._exit(code)  # a candidate's threads and exit hooks end here too


def _reap(child: _Child, others: set[int]) -> None:
    """Clear away what the child left behind, and tell the pool how it ended."""
    _, status, usage = os.wait4(child.pid, 0)
    _sweep(others)
    end = {"code": os.waitstatus_to_exitcode(status), "cpu_seconds": usage.ru_utime + usage.ru_stime}
    with contextlib.suppress(BrokenPipeError):
        os.write(child.status_fd, json.dumps(end).encode())
    os.close(child.status_fd)


def _sweep(others: set[int]) -> None:
    """Kill processes that fell to this one, their parent being dead. With seccomp there are none: no child can fork."""
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    while True:
        try:
            orphans = {int(pid) for pid in listing.read_text().split()} - others
        except OSError:
            return
        if not orphans:
            return
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
        for pid in orphans:
            os.waitpid(pid, 0)


def _self_test(layers: Layers) -> tuple[list[Layer], list[str]]:
    """What holds on this machine, by trying it: the layers that went on, and the probes that got through them."""
    reader, writer = os.pipe()

    def probe() -> None:
        held = layers.put_on(_PROBE_BOUNDS, 0, strict=False)
        holes = [name for name, attempt in _PROBES.items() if _succeeds(attempt)]
        os.write(writer, json.dumps([held, holes]).encode())

    pid = _fork(probe)
    os.close(writer)
    raw = os.read(reader, 4096)
    os.close(reader)
    os.waitpid(pid, 0)
    if not raw:
        raise SystemExit("the self-test gave no answer")
    held, holes = json.loads(raw)
    return held, holes


def _write_a_file() -> None:
    with tempfile.NamedTemporaryFile():
        pass


def _read_a_file() -> None:
    """One that every machine has, or one of our own."""
    for path in ("/etc/passwd", __file__):
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_RDONLY))
            return
    raise PermissionError


def _open_a_socket() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()


def _fork_once() -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


_PROBES: dict[str, Callable[[], None]] = {
    "write": _write_a_file, "read": _read_a_file, "socket": _open_a_socket, "fork": _fork_once,
}  # fmt: skip


def _succeeds(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
