"""Trainings in processes of their own, as a GPU needs them: on the CPU anywhere, and on CUDA where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from deltanas.config import TrainConfig, read_config
from deltanas.errors import SandboxError, UsageError
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.sandbox import DevicePool, LocalPool, device_server
from deltanas.seams import Runner
from deltanas.train.data import load
from deltanas.wiring import open_dataset_pool
from deltanas.wiring.resuming import resumed_config

sys.path.append(str(Path(__file__).parents[1] / "contracts"))
from runner_contract import HONEST, RunnerContract, descendants, learning, train_one

ATTACKS = {
    "a file in /tmp": "open('/tmp/deltanas-attack', 'w')",
    "another's file": "open({victim!r}, 'a')",
    "another's file cut": "os.truncate({victim!r}, 0)",
    "another's file gone": "os.unlink({victim!r})",
    "another's permissions": "os.chmod({victim!r}, 0o777)",
    "another's times": "os.utime({victim!r}, (0, 0))",
    "a line more in torch": "open(torch.__file__, 'a')",
    "the data": "os.pwrite(4, b'x', 0)",
    "fork": "os.fork()",
    "a program": "subprocess.run(['/bin/true'])",
    "another program": "os.execv('/bin/true', ['true'])",
    "UDP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "an abstract socket": "socket.socket(socket.AF_UNIX).bind('\\0attack')",
    "to kill the server": "os.kill(os.getppid(), 9)",
    "to kill the tool": "os.kill({tool}, 9)",
    "to hold the tool": "os.pidfd_open({tool})",
    "the tool's environment": "open('/proc/{tool}/environ').read()",
    "the tool's memory": "open('/proc/{tool}/mem', 'rb').read()",
    "the server's memory": "open(f'/proc/{{os.getppid()}}/mem', 'r+b')",
    "to trace": "checked(LIBC.ptrace(16, os.getppid(), 0, 0))",
    "to outlive the server": "checked(LIBC.prctl(1, 0, 0, 0, 0))",
    "namespaces": "checked(LIBC.unshare(0x10000000))",
    "more memory": "resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY,) * 2)",
    "signals by ownership": "fcntl.fcntl(5, fcntl.F_SETOWN, os.getppid())",
    "the numbers of x32": "checked(LIBC.syscall(ctypes.c_long(0x40000000 + 39)))",
}
HELPERS = """

import ctypes, fcntl, gc, resource, socket, subprocess, threading

LIBC = ctypes.CDLL(None, use_errno=True)


def name_a_thread():  # as CUDA's library does at its start: it goes no further where it can't
    done = []

    def named():
        with open(f'/proc/self/task/{threading.get_native_id()}/comm', 'r+') as file:
            file.write('named')
        done.append(open(f'/proc/self/task/{threading.get_native_id()}/comm').read().strip())

    thread = threading.Thread(target=named)
    thread.start()
    thread.join()
    if done != ['named']:
        raise RuntimeError("a thread can't be named")


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def attack():
    open('/dev/shm/deltanas-attack', 'w').close()  # a folder of its own, that ends with it
    name_a_thread()
    reached = []
    for code in ATTACKS:
        try:
            exec(code)
            reached.append(code)
        except (OSError, ImportError, ValueError):
            pass
    held = [o for o in gc.get_objects() if type(o) is torch.Tensor and o.dtype == torch.int64]
    reached += ["labels" for o in held if len(o) == 360]
    if reached:
        raise RuntimeError("reached: " + ", ".join(reached))
"""


def hostile(victim: Path) -> Program:
    candidate = learning("attack()")
    attacks = [code.format(victim=str(victim), tool=os.getpid()) for code in ATTACKS.values()]
    return Program.of(f"{candidate.net}\n{textwrap.dedent(HELPERS)}\n\nATTACKS = {attacks!r}\n", prm=candidate.prm)


def test_on_the_cpu_it_trains_as_the_fork_server_and_holds_what_the_page_says(tmp_path: Path) -> None:
    digits = load("digits")
    with LocalPool(digits, workers=1, memory_bytes=1 << 30) as local:
        known = train_one(local, HONEST)
    assert isinstance(known, Trained)
    victim = tmp_path / "victim"
    victim.write_text("unharmed")
    with DevicePool(digits, device="cpu", workers=1, timeout=90, memory_bytes=1 << 30) as pool:
        assert pool.tier in {"A (cpu)", "B (cpu)"}
        outcome = train_one(pool, hostile(victim))
        assert isinstance(outcome, Trained), outcome
        assert (outcome.score, outcome.tier) == (known.score, pool.tier)
        assert victim.read_text() == "unharmed"
        assert victim.stat().st_mode & 0o777 == 0o644
        assert not Path("/dev/shm/deltanas-attack").exists()
        [refused] = pool.build([learning("raise ValueError('builds are checked as ever')")])
        assert isinstance(refused, Refused)
        pool.timeout = 2.0
        late = train_one(pool, learning("while True: pass"))
        assert isinstance(late, Failed)
        assert late.kind == "timeout"
        assert late.seconds < 4
        assert not descendants()


def test_to_warm_up_asks_nothing_of_cuda_and_starts_no_thread() -> None:
    """Either leaves threads behind where there is a GPU; a layer would not hold them."""
    code = """if True:
        import os, torch
        def asked(*_, **__): raise AssertionError("asked")
        torch.cuda.is_available = torch.cuda.init = torch._C._cuda_getDeviceCount = torch.Tensor.backward = asked
        from deltanas.train import child
        child.warm()
        print(len(os.listdir("/proc/self/task")))"""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.strip() == "1", done.stderr


def test_a_gpu_that_another_user_may_not_use_is_seen(tmp_path: Path) -> None:
    """Then a candidate keeps its user, and the tier says so."""
    gpu = tmp_path / "nvidia0"
    gpu.touch(0o444)
    (tmp_path / "nvidia-caps").mkdir(0o000)
    code = f"""if True:
        import os
        from pathlib import Path
        from deltanas.sandbox import device_server
        if not os.geteuid():  # a user that may do all is no test
            from deltanas.sandbox import kernel
            kernel.drop_capabilities()
        device_server.require_reach(Path({str(tmp_path)!r}))"""

    def asked() -> str:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr

    assert "PermissionError" in asked()
    assert str(gpu) in asked()
    gpu.chmod(0o666)
    assert asked() == ""


def test_a_gpu_that_does_not_start_is_not_the_candidates_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def refused() -> None:
        warnings.warn("CUDA initialization: Error 304: OS call failed", stacklevel=1)
        raise RuntimeError("No CUDA GPUs are available")

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(torch.cuda, "init", refused)
    with pytest.raises(SandboxError, match=r"does not start within the layers: .*Error 304: OS call failed"):
        device_server.open_gpu("0")


def test_without_cuda_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(SandboxError, match=r"torch .* finds no CUDA device") as caught:
        open_dataset_pool("digits", TrainConfig(device="cuda")).__enter__()
    assert "--device cpu" in caught.value.hint
    assert type(open_dataset_pool("digits", TrainConfig(device="auto"))) is LocalPool


def test_a_cluster_has_no_gpus_for_it() -> None:
    with pytest.raises(UsageError, match="not for a Ray cluster"):
        open_dataset_pool("digits", TrainConfig(device="cuda", executor="ray"))


def test_a_run_keeps_its_device() -> None:
    stored = read_config({"train": {"device": "cuda"}}).model_dump(mode="json")
    assert resumed_config(stored, {"train": {"device": "auto"}}).train.device == "cuda"
    with pytest.raises(UsageError, match=r"begun with `train\.device` = 'cuda', not 'cpu'"):
        resumed_config(stored, {"train": {"device": "cpu"}})


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and torch finds none")
    with DevicePool(load("digits"), timeout=30, build_timeout=5, memory_bytes=1 << 30) as pool:
        assert pool.tier.endswith(" (cuda)")
        yield pool


@pytest.mark.gpu
class TestDevicePool(RunnerContract):
    """All of the contract, on CUDA."""

    def test_it_trains_on_the_gpu(self, runner: Runner) -> None:
        outcome = train_one(runner, learning("raise ValueError(str({weight.device for weight in self.parameters()}))"))
        assert isinstance(outcome, Failed)
        assert "{device(type='cuda', index=0)}" in outcome.reason

    def test_attacks_are_refused_where_cuda_works(self, runner: Runner, score: float, tmp_path: Path) -> None:
        victim = tmp_path / "victim"
        victim.write_text("unharmed")
        outcome = train_one(runner, hostile(victim))
        assert isinstance(outcome, Trained), outcome
        assert outcome.score == score

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            ("torch.zeros(2, device='cuda')[torch.tensor([7], device='cuda')].item()", "error"),
            ("held = [torch.ones(1 << 30, device='cuda') for _ in range(999)]", "memory"),
        ],
    )
    def test_an_error_of_cuda_ends_with_its_process(
        self, runner: Runner, code: str, kind: str, still_fair: None
    ) -> None:
        outcome = train_one(runner, learning(code))
        assert isinstance(outcome, Failed)
        assert outcome.kind == kind
