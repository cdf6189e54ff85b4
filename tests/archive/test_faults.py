"""What goes wrong with files and servers: each is told, and nothing is lost by it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deltanas.archive import create_run, list_runs, open_run, sqlite_url
from deltanas.archive.place import place_of
from deltanas.errors import ArchiveError
from deltanas.program import Program, Refused, Trained
from deltanas.records import Attempt, Call, Candidate, Draft

TRAINED = Trained(0.5, 1000, 1, 1.0, 1.0, "A")


def candidate(index: int) -> Candidate:
    reply = f"{index}:" + "x" * 3000
    attempt = Attempt(reply, None, "widen", Refused("apply", "no"), (Call("m", "p" * 3000, reply, 1, 2, 0.5),) * 2)
    return Candidate(0, index, "delta", None, Draft(Program.of(f"x = {index}\n")), (attempt,))


def fill(url: str, name: str, n: int) -> None:
    with create_run(url, name, {}) as run:
        run.open([candidate(index) for index in range(n)])
        run.record(0, 0, TRAINED, TRAINED)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "archive.db"
    fill(sqlite_url(path), "first", 12)
    return path


USES: list[Callable[[str], object]] = [
    list_runs,
    lambda url: open_run(url, "first"),
    lambda url: open_run(url, "first", writer=True),
    lambda url: create_run(url, "second", {}),
]


def refused_and_untouched(path: Path, message: str) -> None:
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    for use in USES:
        with pytest.raises(ArchiveError, match=message) as told:
            use(sqlite_url(path))
        assert str(path) in told.value.message
        assert told.value.hint
    after = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    # SQLite may map its shared memory and an empty log beside a database that it only reads.
    new = {path.name + "-shm", path.name + "-wal"} - set(before)
    assert {name: content for name, content in after.items() if name not in new} == before
    assert not after.get(path.name + "-wal")


@pytest.mark.parametrize("content", ["net: resnet\n", "x" * 5000, "\x00" * 8192])
def test_a_file_that_is_no_database(tmp_path: Path, content: str) -> None:
    path = tmp_path / "archive.db"
    path.write_text(content)
    refused_and_untouched(path, "not an archive|not a SQLite database|no archive of deltanas")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "archive.db").touch()
    refused_and_untouched(tmp_path / "archive.db", "is empty")


def test_a_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    make = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('CREATE TABLE runs (x)')"
    subprocess.run([sys.executable, "-c", make, path], check=True)
    refused_and_untouched(path, "is no archive of deltanas")


@pytest.mark.parametrize("keep", [1, 50, 100, 511, 512, 4095, 4096, 8192, 20000, -4096, -1])
def test_a_truncated_file(file: Path, keep: int) -> None:
    whole = file.read_bytes()
    assert len(whole) > 40_000
    file.write_bytes(whole[:keep])
    refused_and_untouched(file, "damaged|not an archive")


def test_a_scribbled_page(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[3 * 4096 : 3 * 4096 + 200] = b"\xff" * 200
    file.write_bytes(content)
    refused_and_untouched(file, "damaged")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for use in USES[:3]:
        with pytest.raises(ArchiveError, match="it is missing"):
            use(sqlite_url(tmp_path / "archive.db"))
        with pytest.raises(ArchiveError, match="it is a folder"):
            use(sqlite_url(tmp_path))
    with pytest.raises(ArchiveError, match="it is a folder"):
        create_run(sqlite_url(tmp_path), "first", {})
    (tmp_path / "file").touch()
    with pytest.raises(ArchiveError, match=r"archive\.db"):
        create_run(sqlite_url(tmp_path / "file" / "archive.db"), "first", {})
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_another_writer_that_does_not_end(file: Path) -> None:
    url = sqlite_url(file) + "?timeout=0.2"
    with open_run(url, "first", writer=True) as run:
        with (
            place_of(url).engine(write=True).begin(),
            pytest.raises(ArchiveError, match="another process is writing it"),
        ):
            run.record(0, 1, TRAINED, TRAINED)
        run.record(0, 1, TRAINED, TRAINED)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"may not mount a small file system here: {mount.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_loses_nothing_and_the_run_goes_on(disk: Path) -> None:
    url = sqlite_url(disk / "archive.db")
    opened = 0
    with create_run(url, "first", {}) as run:
        with pytest.raises(ArchiveError, match="no room left") as told:  # noqa: PT012
            for index in range(1000):
                run.open([candidate(index)])
                opened += 1
        assert "Free some space" in told.value.hint
        assert opened > 5
        assert run.candidates() == [candidate(index) for index in range(opened)]
    with open_run(url, "first") as reader:
        assert reader.candidates() == [candidate(index) for index in range(opened)]
    subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
    with open_run(url, "first", writer=True) as again:
        again.open([candidate(opened)])
        assert len(again.candidates()) == opened + 1


def test_a_disk_too_full_for_an_archive(disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (disk / "ballast").write_bytes(b"x" * 2**21)
    with pytest.raises(ArchiveError, match="no room left"):
        create_run(sqlite_url(disk / "archive.db"), "first", {})
    assert [each.name for each in disk.iterdir()] == ["ballast"]


LIMITED = """
import resource, sys
from deltanas.archive import create_run
from deltanas.errors import ArchiveError
from deltanas.program import Program
from deltanas.records import Candidate, Draft
run = create_run(sys.argv[1], "first", {})
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    for index in range(1000):
        run.open([Candidate(0, index, "x" * 9000, None, Draft(Program.of(f"x = {index}\\n")))])
except ArchiveError as error:
    print(index, error.message)
"""


def test_a_file_size_limit(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "archive.db")
    out = subprocess.run([sys.executable, "-c", LIMITED, url], capture_output=True, text=True, check=True).stdout
    opened, message = out.strip().split(" ", 1)
    assert "can't be read or written" in message or "no room left" in message
    assert int(opened) > 3
    with open_run(url, "first", writer=True) as run:
        assert [each.index for each in run.candidates()] == list(range(int(opened)))


@pytest.fixture
def read_only(request: pytest.FixtureRequest, file: Path) -> Iterator[Path]:
    """A copy of the archive where nothing can be written: by permissions, for root (they don't bind it) by mount."""
    if os.getuid() == 0:
        folder: Path = request.getfixturevalue("disk")
        shutil.copy(file, folder)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        yield folder / file.name
    else:
        file.parent.chmod(0o555)
        yield file
        file.parent.chmod(0o755)


def test_a_read_only_folder_is_read_and_not_written(read_only: Path) -> None:
    url = sqlite_url(read_only)
    with open_run(url, "first") as reader:
        assert len(reader.view().candidates) == 12
    assert list_runs(url)[0].counts["trained"] == 1
    for use in USES[2:]:
        with pytest.raises(ArchiveError, match="can't be written"):
            use(url)
    with pytest.raises(ArchiveError, match="can't be written"):
        create_run(sqlite_url(read_only.with_name("other.db")), "first", {})


WRITER = """
import sys
from deltanas.archive import create_run
from deltanas.program import Program, Trained
from deltanas.records import Attempt, Call, Candidate, Draft
run = create_run(sys.argv[1], "first", {})
for index in range(100000):
    attempt = Attempt("e" * 3000, "exact", "g", None, (Call("m", "p" * 5000, str(index), 1, 2, 0.5),) * 3)
    drafts = [Draft(Program.of(f"x = {index}, {slot}\\n")) for slot in (0, 1)]
    run.open([Candidate(index, slot, "x", None, drafts[slot], (attempt,)) for slot in (0, 1)])
    run.record(index, 0, Trained(0.5, 10, index, 1.0, 1.0, "A"), Trained(0.5, 10, index, 1.0, 1.0, "A"))
    print(index, flush=True)
"""


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.11, 0.23, 0.4])
def test_a_writer_killed_at_any_moment_loses_no_settled_row(tmp_path: Path, seconds: float) -> None:
    url = sqlite_url(tmp_path / "archive.db")
    command = [sys.executable, "-c", WRITER, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "0\n"
        time.sleep(seconds)
        writer.kill()
        told = [0, *map(int, writer.stdout.read().split())]
    assert writer.returncode == -signal.SIGKILL
    with open_run(url, "first") as reader:
        before = reader.candidates()
    with open_run(url, "first", writer=True) as run:  # the dead writer's lock is gone
        assert run.candidates() == before
        settled = [each.cycle for each in before if each.outcome is not None]
        assert settled[: len(told)] == told
        assert len(settled) - len(told) in {0, 1}  # the last one may have been settled and not told
        assert settled == list(range(len(settled)))
        for each in before:
            assert [len(attempt.calls) for attempt in each.attempts] == [3]
            assert each.draft is not None
            assert each.draft.program == Program.of(f"x = {each.cycle}, {each.index}\n")
        assert [each.index for each in before] == [0, 1] * (len(before) // 2)  # a batch is whole or not there
        run.finish()


def test_a_path_that_is_not_utf8() -> None:
    with pytest.raises(ArchiveError, match="not UTF-8"):
        sqlite_url(Path(os.fsdecode(b"runs/\xff/archive.db")))


def test_urls_that_name_no_archive() -> None:
    for url in (
        "",
        "archive.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://me:secret@host/db",
        "x://me:secret@h:port/",
    ):
        with pytest.raises(ArchiveError) as told:
            list_runs(url)
        assert "secret" not in str(told.value)
        assert "sqlite:///" in told.value.hint
    with pytest.raises(ArchiveError, match="can't use mode in the URL"):
        list_runs("sqlite:///archive.db?mode=rw")
    with pytest.raises(ArchiveError, match="can't use timeout"):
        list_runs("sqlite:///archive.db?timeout=soon")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_server_that_is_not_there(scheme: str) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"{scheme}://me:secret@127.0.0.1:{taken.getsockname()[1]}/db"
        for use in USES:
            with pytest.raises(ArchiveError, match=re.escape("me:***@127.0.0.1")) as told:
                use(url)
            assert "PostgreSQL can't be reached" in told.value.message
            assert "secret" not in str(told.value)


def test_the_driver_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ArchiveError) as told:
        list_runs("postgresql://me:secret@127.0.0.1:9/db")
    assert "pip install 'deltanas[postgres]'" in told.value.hint
    assert "secret" not in str(told.value)


def test_a_password_among_the_options_is_not_shown() -> None:
    assert place_of("postgresql://me@host/db?password=secret").name == "postgresql://me@host/db"
