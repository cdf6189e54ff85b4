"""The fork server of candidates that train on a GPU. It never asks for one itself: what CUDA holds survives no fork.

`python -m deltanas.sandbox.device_server CONTROL_FD DEVICES`: DEVICES as in CUDA_VISIBLE_DEVICES; with none of them
candidates train on the CPU, as tests do. Else as `zygote`, but that each child puts on fewer layers, in which CUDA's
own library must be able to work (docs/security.md), and starts CUDA within them before the program.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import resource
import socket
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from deltanas.errors import SandboxError
from deltanas.sandbox import kernel
from deltanas.sandbox.layers import Bounds, Layer, Layers, count_threads, drop_user, give_up_privileges, limit
from deltanas.sandbox.zygote import die_with_the_tool, serve, warmed

_DRIVER_BYTES = 4 << 30
"""Of memory of its own that CUDA's library may take, on top of the candidate's."""
_SHARED = Path("/dev/shm")  # noqa: S108  each child has one of its own
_SHARED_BYTES = 64 << 20
_FILES = 1024
_DEVICES = ("null", "zero", "nvidia*", "dri", "kfd", "dxg")
"""What may be opened to write, and controlled, of /dev."""
_OWN_THREADS = Path("/proc/self/task")
"""CUDA's library names its threads there, and takes it for a fault of the machine where it may not."""
_SETTINGS = {
    "CUDA_CACHE_DISABLE": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # cuBLAS gives equal digits with it
}


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


def open_gpu(device: str) -> None:
    """See that device alone. Raises SandboxError where CUDA does not work within the layers, with what it says."""
    os.environ["CUDA_VISIBLE_DEVICES"] = device
    cuda = importlib.import_module("torch.cuda")
    with warnings.catch_warnings(record=True, action="always") as told:
        try:
            cuda.init()
        except (RuntimeError, AssertionError) as error:
            said = " ".join(str(each.message) for each in told) or str(error)
            raise SandboxError(f"CUDA does not start within the layers: {' '.join(said.split())}") from None


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    devices = sys.argv[2].split(",") if sys.argv[2] else []
    die_with_the_tool(control)
    os.environ.update(_SETTINGS)

    def ready(slot: int) -> None:
        if devices:
            open_gpu(devices[slot % len(devices)])

    serve(control, DeviceLayers(), warmed("deltanas.train.child", ready))


if __name__ == "__main__":
    main()
