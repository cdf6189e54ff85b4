"""A warmed interpreter that fork servers are forked from, for a process that opens one pool after another.

`python -m deltanas.sandbox.keeper CONTROL_FD MODULE`: MODULE as for `deltanas.sandbox.zygote`. Each message has two
descriptors, the control socket and the log of a new server, and is answered with one of its process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
import traceback

from deltanas.sandbox.layers import Layers
from deltanas.sandbox.zygote import Entry, die_with_the_tool, serve, warmed


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    die_with_the_tool(control)
    entry = warmed(sys.argv[2])
    fcntl.fcntl(control, fcntl.F_SETFL, 0)
    control.send(b"{}")
    while True:
        message, fds, _, _ = socket.recv_fds(control, 64, 2)
        if not message:
            os._exit(0)
        control_fd, log_fd = fds
        _reap()
        pid = os.fork()
        if not pid:
            control.close()
            _become_server(control_fd, log_fd, entry)
        socket.send_fds(control, [b"{}"], [opened := os.pidfd_open(pid)])
        for fd in (*fds, opened):
            os.close(fd)


def _become_server(control_fd: int, log_fd: int, entry: Entry) -> None:
    """Never returns."""
    try:
        os.setsid()
        os.dup2(log_fd, 1)
        os.dup2(log_fd, 2)
        os.close(log_fd)
        control = socket.socket(fileno=control_fd)
        die_with_the_tool(control)
        serve(control, Layers(), entry)
    except BaseException:  # noqa: BLE001  nothing may get past the fork, or there would be two keepers
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(1)


def _reap() -> None:
    """Clear away the servers that ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    main()
