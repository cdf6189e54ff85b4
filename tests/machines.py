"""Machines of a network: namespaces of this one, joined by a bridge, each with processes of its own. Needs root."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pytest

_NAMESPACES = ("--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
# A machine waits for its cable. Its shared memory and Ray's folder are its own; the other files are this machine's.
_BOOT = """
hostname $1; mount -t tmpfs -o size=400m tmpfs /dev/shm; mkdir -p /tmp/ray; mount -t tmpfs -o size=$3 tmpfs /tmp/ray
until ip link set eth0 up 2>/dev/null; do sleep .05; done
ip link set lo up; ip addr add $2/24 dev eth0; ip route add default via 10.9.0.254
shift 3; exec "$@"
"""


class Network:
    """Machines 10.9.0.1, 10.9.0.2 ... by number; each is a process that the others of it end with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._machines: dict[int, subprocess.Popen[bytes]] = {}
        self._logs: list[IO[bytes]] = []
        self._switch = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        while os.readlink(f"/proc/{self._switch.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        self._on_switch("link", "add", "br0", "type", "bridge")
        self._on_switch("link", "set", "br0", "up")

    @staticmethod
    def address(number: int) -> str:
        return f"10.9.0.{number}"

    def start(self, number: int, *command: str | Path, disk: str = "2g") -> None:
        """A machine that runs a command, and ends with it. disk: room in Ray's folder."""
        log = (self._folder / f"machine{number}.log").open("wb")
        self._logs.append(log)
        shell = ("sh", "-ec", _BOOT, "sh", f"node{number}", self.address(number), disk)
        environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
        process = subprocess.Popen(["unshare", *_NAMESPACES, *shell, *command], stdout=log, stderr=log, env=environment)
        self._machines[number] = process
        cable = f"v{number}"
        while cable in self._on_switch("link"):
            time.sleep(0.05)  # of a machine that ended just now
        self._on_switch(
            "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", str(self._inside(number))
        )
        self._on_switch("link", "set", cable, "master", "br0", "up")

    def kill(self, number: int) -> None:
        """All of its processes at once, without a word to the others."""
        machine = self._machines.pop(number)
        machine.kill()
        machine.wait()

    def ended(self, number: int) -> bool:
        return self._machines[number].poll() is not None

    @contextmanager
    def held(self, number: int, name: str) -> Iterator[None]:
        """Its processes whose command line begins so are stopped meanwhile."""
        space = os.readlink(f"/proc/{self._inside(number)}/ns/pid")
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended just now
                if os.readlink(process / "ns/pid") == space and (process / "cmdline").read_text().startswith(name):
                    found.append(int(process.name))
        assert found, f"no {name} on machine {number}"
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in found:
                os.kill(pid, signal.SIGCONT)

    def cut(self, number: int) -> None:
        """Pull its cable: it runs on, and nobody hears of it."""
        self._on_switch("link", "set", f"v{number}", "down")

    def received(self, number: int) -> int:
        """Bytes that came to it over the network since it was started."""
        shown = self.within(number, "ip", "-s", "-j", "link", "show", "eth0", stdout=subprocess.PIPE).communicate()[0]
        received: int = json.loads(shown)[0]["stats64"]["rx"]["bytes"]
        return received

    def within(self, number: int, *command: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        """A process on a machine; it ends with it."""
        enter = ["nsenter", "--target", str(self._inside(number)), "--net", "--mount", "--uts", "--pid"]
        process: subprocess.Popen[bytes] = subprocess.Popen([*enter, f"--wd={self._folder}", *command], **options)
        return process

    def close(self) -> None:
        for number in list(self._machines):
            self.kill(number)
        self._switch.kill()
        self._switch.wait()
        for log in self._logs:
            log.close()

    def log(self, number: int) -> str:
        return (self._folder / f"machine{number}.log").read_text(errors="replace")

    def _inside(self, number: int) -> int:
        """The first process in the namespaces."""
        outside = self._machines[number]
        while outside.poll() is None:
            if children := Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split():
                return int(children[0])
            time.sleep(0.02)
        raise AssertionError(f"machine {number} ended: {self.log(number)[-2000:]}")

    def _on_switch(self, *arguments: str) -> str:
        command = ["nsenter", "--target", str(self._switch.pid), "--net", "ip", *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


@contextmanager
def network() -> Iterator[Network]:
    """Skips the test, with the reason, where namespaces can't be made."""
    if missing := [name for name in ("ip", "unshare", "nsenter") if not shutil.which(name)]:
        pytest.skip(f"no {', '.join(missing)} here (Debian: apt install iproute2 util-linux)")
    tried = subprocess.run(
        ["unshare", *_NAMESPACES, "ip", "link", "add", "br0", "type", "bridge"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        pytest.skip(f"no network namespaces can be made here: {tried.stderr.strip()}")
    with tempfile.TemporaryDirectory(prefix="deltanas-net-") as folder:
        made = Network(Path(folder))
        try:
            yield made
        finally:
            made.close()
