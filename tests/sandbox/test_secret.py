from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deltanas.sandbox.secret import machine_secret, shuffled


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder that is not there yet."""
    folder = tmp_path / "state" / "deltanas"
    monkeypatch.setenv("DELTANAS_STATE", str(folder))
    machine_secret.cache_clear()
    yield folder
    machine_secret.cache_clear()


def test_it_is_made_once_and_kept(state: Path) -> None:
    first = machine_secret()
    machine_secret.cache_clear()
    assert machine_secret() == first
    assert len(first) == 32
    assert [path.name for path in state.iterdir()] == ["secret"]
    assert (state / "secret").stat().st_mode & 0o777 == 0o600


def test_processes_that_start_together_agree(state: Path) -> None:
    script = "from deltanas.sandbox.secret import machine_secret; print(machine_secret().hex())"
    started = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(3)]
    assert len({process.communicate()[0] for process in started}) == 1


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_spoilt_file_is_not_used(state: Path, content: bytes) -> None:
    state.mkdir(parents=True)
    (state / "secret").write_bytes(content)
    assert len(machine_secret()) == 32
    assert machine_secret() != content
    assert (state / "secret").read_bytes() == content


def test_a_folder_that_cannot_be_made_is_done_without(state: Path) -> None:
    state.parent.mkdir()
    state.write_text("a file in its place")
    assert machine_secret() == machine_secret()


def test_orders_are_fixed_and_differ_by_purpose() -> None:
    assert (shuffled(100, "digits:test") == shuffled(100, "digits:test")).all()
    assert (shuffled(100, "digits:test") != shuffled(100, "digits:validation")).any()
    assert sorted(shuffled(100, "digits:test")) == list(range(100))


def test_another_machine_has_another_order(state: Path) -> None:
    first = shuffled(100, "digits:test")
    (state / "secret").unlink()
    machine_secret.cache_clear()
    assert (shuffled(100, "digits:test") != first).any()
    assert os.environ["DELTANAS_STATE"] == str(state)
