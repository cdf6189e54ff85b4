"""The server of candidates that train on a GPU: each gets a new interpreter, as what CUDA holds survives no fork.

`python -m deltanas.sandbox.device_server CONTROL_FD DEVICES`: DEVICES as in CUDA_VISIBLE_DEVICES; with none of them
candidates train on the CPU, as tests do. Else as `zygote`, but that each child imports torch anew, and puts on fewer
layers: CUDA's own library must be able to work in them (docs/security.md).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import resource
import socket
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

from deltanas.errors import SandboxError
from deltanas.sandbox import kernel
from deltanas.sandbox.layers import Bounds, Layer, Layers, count_threads, drop_user, give_up_privileges, limit
from deltanas.sandbox.zygote import INHERITED, SETUP_FAILED, die_with_the_tool, require_one_thread, serve

_DRIVER_BYTES = 4 << 30
"""Of memory of its own that CUDA's library may take, on top of the candidate's."""
_SHARED = Path("/dev/shm")  # noqa: S108  each child has one of its own
_SHARED_BYTES = 64 << 20
_FILES = 1024
_DEVICES = ("null", "zero", "nvidia*", "dri", "kfd", "dxg")
"""What may be opened to write, and controlled, of /dev."""
_OWN_THREADS = Path("/proc/self/task")
"""CUDA's library names its threads there, and takes it for a fault of the machine where it may not."""
_WORK = "import sys; from deltanas.sandbox.device_server import work; work(*sys.argv[1:])"


class DeviceLayers(Layers):
    """User, namespaces, limits; Landlock against writing alone; seccomp by a list of what is refused."""

    def __init__(self) -> None:  # not the parent's: nothing is made before the children
        self.wanted: list[Layer] = ["namespaces"]
        self.wanted += ["user"] if os.geteuid() == 0 else []
        self.wanted += ["landlock", "seccomp"] if kernel.landlock_abi() else ["seccomp"]
        self._own_shared = False

    def _limit(self, bounds: Bounds) -> None:
        # Not the address space: CUDA reserves more of it than any machine has memory.
        with open("/proc/self/statm") as statm:
            held = int(statm.read().split()[5]) * resource.getpagesize()
        files = min(_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        room = {resource.RLIMIT_DATA: held + bounds.memory + _DRIVER_BYTES, resource.RLIMIT_NOFILE: files}
        limit(bounds.cpu, {**room, resource.RLIMIT_FSIZE: _SHARED_BYTES})

    def _put_on(self, layer: Layer, slot: int) -> None:
        match layer:
            case "namespaces":
                kernel.prctl(kernel.DUMPABLE, 1)  # else an ordinary user could not write to its own /proc
                kernel.leave_namespaces()
                kernel.lay_memory_over(_SHARED, _SHARED_BYTES)
                self._own_shared = True
                count_threads()
            case "user":
                drop_user(slot)
                require_reach()
            case "landlock":
                give_up_privileges()
                kernel.landlock_writing_ruleset(self._writable(), self.ruleset)
                kernel.landlock_restrict(self.ruleset)
                os.close(self.ruleset)
            case "seccomp":
                give_up_privileges()
                kernel.seccomp(device=True)
            case "view":
                raise AssertionError("CUDA's libraries and devices may lie anywhere")

    def _writable(self) -> Iterator[Path]:
        for name in _DEVICES:
            yield from Path("/dev").glob(name)
        if self._own_shared:
            yield _SHARED
        yield _OWN_THREADS


def require_reach(devices: Path = Path("/dev")) -> None:
    """Raises OSError where this user can't read the interpreter, or not use a GPU.

    The one may lie in a folder of root's; the other Debian keeps for a group.
    """
    torch = importlib.util.find_spec("torch")
    for path in (sys.executable, os.__file__, __file__, torch and torch.origin):
        os.close(os.open(path or "", os.O_RDONLY))
    for gpu in (*devices.glob("nvidia[0-9]*"), *devices.glob("nvidiactl")):
        if not os.access(gpu, os.R_OK | os.W_OK):
            raise PermissionError(f"{gpu} is not for user {os.getuid()}")


def _start(layers: Layers, bounds: Bounds, slot: int) -> None:
    """Become a new interpreter that does the job, and sees one device only."""
    devices = sys.argv[2].split(",")
    environment = os.environ | {
        "CUDA_VISIBLE_DEVICES": devices[slot % len(devices)],
        "CUDA_CACHE_DISABLE": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # cuBLAS gives equal digits with it
    }
    arguments = [str(bounds.cpu), str(bounds.memory), str(slot), *layers.wanted]
    os.execve(sys.executable, [sys.executable, "-s", "-P", "-c", _WORK, *arguments], environment)  # noqa: S606


def work(cpu: str, memory: str, slot: str, *wanted: Layer) -> None:
    """The new interpreter: import torch, which wants to fork and to write, and only then put on the layers."""
    tempfile.tempdir = "/tmp"  # noqa: S108  as in `zygote`
    try:
        child = importlib.import_module("deltanas.train.child")
        child.warm()
        require_one_thread()  # a layer holds the thread that puts it on, and those that it starts
        layers = DeviceLayers()
        layers.wanted = list(wanted)
        layers.put_on(Bounds(int(cpu), int(memory)), int(slot), strict=True)
        if os.environ["CUDA_VISIBLE_DEVICES"]:
            open_gpu()
    except BaseException:  # noqa: BLE001  no candidate has begun: none is to blame
        os.write(2, f"sandbox: {traceback.format_exc(limit=-2)}".encode())
        os._exit(SETUP_FAILED)
    child.main(*INHERITED)
    os._exit(0)  # a candidate's threads and exit hooks end here too


def open_gpu() -> None:
    """Raises SandboxError where CUDA does not work within the layers, with what it says."""
    cuda = importlib.import_module("torch.cuda")
    with warnings.catch_warnings(record=True, action="always") as told:
        try:
            cuda.init()
        except (RuntimeError, AssertionError) as error:
            said = " ".join(str(each.message) for each in told) or str(error)
            raise SandboxError(f"CUDA does not start within the layers: {' '.join(said.split())}") from None


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    die_with_the_tool(control)
    serve(control, DeviceLayers(), _start)


if __name__ == "__main__":
    main()
