"""`deltanas evaluate`, whole, on programs that mean harm and on disks that take nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "contracts"))
from runner_contract import learning
from support import Command

pytestmark = pytest.mark.alone

TIMEOUT = 5
BUILD = 4
"""Images that the build check trains on; a training has more, so what follows waits for it."""
HOSTILE = {
    "loop": "while True: pass",
    "stop": "os.kill(os.getpid(), 19)",
    "forge": "os.write(5, b'{}\\n' + bytes(4 * 360 * 10 + 4))",
    "memory": "held = [bytearray(b'x') * (1 << 29) for _ in range(99)]",
    "kill": "os.kill(os.getppid(), 9)",
    "crash": "__import__('ctypes').string_at(1)",
}


def net(code: str) -> str:
    """The honest program, whose `learn` runs one line first."""
    return learning(code).net.replace('prm["lr"]', "prm.get('lr', 0.01)")


def test_each_hostile_program_ends_in_time_and_the_honest_one_scores_as_alone(
    installed: Command, tmp_path: Path
) -> None:
    (tmp_path / "honest.py").write_text(net("pass"))
    for name, code in HOSTILE.items():
        (tmp_path / f"{name}.py").write_text(net(f"if len(train_data) > {BUILD}: exec({code!r})"))
    (tmp_path / "stall.py").write_text(net("pass") + "\nwhile True: pass\n")
    files = [f"{name}.py" for name in (*HOSTILE, "stall")]
    done = installed("evaluate", "honest.py", *files, "honest.py", "--timeout", TIMEOUT, "--json")
    assert done.returncode == 1, done.stderr
    before, *hostile, stalled, after = map(json.loads, done.stdout.splitlines())
    assert (stalled["status"], stalled["reason"]) == ("refused", f"took longer than {TIMEOUT} s")
    assert [line["status"] for line in hostile] == ["failed"] * len(HOSTILE), hostile
    assert all(line["seconds"] < TIMEOUT + 2 for line in hostile), hostile
    assert before["accuracy"] == after["accuracy"] > 0.6
    assert not list(tmp_path.glob("*attack*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts are root's")
def test_full_and_read_only_disks_are_met_without_harm(tmp_path: Path) -> None:
    """The working folder's disk is full, every other one is read-only: a score is measured as ever."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("needs unshare (Debian's util-linux)")
    full = tmp_path / "full"
    full.mkdir()
    script = """
mount -t tmpfs -o size=64k none "$1" && cd "$1" && cat > honest.py || exit 9
mount -o remount,bind,ro / || exit 9
dd if=/dev/zero of=filling bs=1k 2>/dev/null && exit 9
touch /tmp/deltanas-attack 2>/dev/null && exit 9
shift; exec "$@"
"""
    tool = str(Path(sys.executable).with_name("deltanas"))
    command = ["sh", "-c", script, "sh", str(full), tool, "evaluate", "honest.py", "--train-size", "200", "--json"]
    places = {name: str(full) for name in ("HOME", "TMPDIR", "DELTANAS_STATE", "DELTANAS_CACHE")}
    done = subprocess.run(
        [unshare, "--mount", "--propagation", "private", *command],
        env={**os.environ, **places},
        input=net("pass"),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["status"] == "trained"
