"""The standard streams under other encodings, closed, or with a reader that goes: data is UTF-8 and whole."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from deltanas import nets
from deltanas.records import RunView
from support import Command

ENCODINGS: tuple[dict[str, str], ...] = (
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "cp1252"},
    {"PYTHONIOENCODING": "ascii:strict"},
    {"PYTHONIOENCODING": "utf-16"},
    {"LC_ALL": "C"},
    {"PYTHONIOENCODING": "koi8-r", "PYTHONUTF8": "0"},
)
FOREIGN = b"\xff.py"
"""Name of a file that is no UTF-8."""
EDIT = "--- a\n+++ b\n@@ -1,1 +1,1 @@\n-# café\n+# naïve\n"
pytestmark = pytest.mark.timeout(300)
DRIVER = """
import base64, json, os, sys, tempfile, traceback
from deltanas.cli import main
done = []
for line in json.load(sys.stdin.buffer):
    files = [tempfile.TemporaryFile() for _ in range(2)]
    if not (child := os.fork()):
        for number, file in zip((1, 2), files):
            os.dup2(file.fileno(), number)
        sys.argv = ["deltanas", *(os.fsdecode(base64.b64decode(each)) for each in line)]
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
        except BaseException:
            traceback.print_exc()
            status = 99
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    done.append([status, *(base64.b64encode(file.seek(0) or file.read()).decode() for file in files)])
with open(sys.argv[1], "w") as file:
    json.dump(done, file)
"""
"""Runs command lines with the streams as this process got them; imports once what they all import."""
Done = tuple[int, bytes, bytes]


def driven(folder: Path, env: Mapping[str, str], lines: Sequence[Sequence[str | bytes]]) -> Iterator[Done]:
    """Status, stdout and stderr of each command line."""
    coded = [[base64.b64encode(os.fsencode(each)).decode() for each in line] for line in lines]
    answer, given = folder / "answer.json", json.dumps(coded)
    command = [sys.executable, "-c", DRIVER, str(answer)]
    subprocess.run(command, cwd=folder, env={**os.environ, **env}, input=given.encode(), check=True, timeout=110)
    for status, *texts in json.loads(answer.read_text()):
        out, err = map(base64.b64decode, texts)
        yield status, out, err


@pytest.fixture
def place(tmp_path: Path, undisturbed: tuple[RunView, str, float]) -> Path:
    """A folder with programs, and with a run under a name that ASCII lacks."""
    source = f"# café\n{nets.baseline('mlp')}"
    for name in (b"\xc3\xa9.py", FOREIGN):
        (tmp_path / os.fsdecode(name)).write_text(source, "utf-8")
    (tmp_path / "naïve.py").write_text(source.replace("café", "naïve"), "utf-8")
    (tmp_path / "edit.diff").write_text(EDIT, "utf-8")
    (tmp_path / "läufe").mkdir()
    (tmp_path / "läufe" / "ein läuf").symlink_to(json.loads(undisturbed[1].splitlines()[-1])["run"])
    return tmp_path


def by_line(
    folder: Path, env: Mapping[str, str], lines: Sequence[tuple[Sequence[str | bytes], int]]
) -> dict[str, bytes]:
    """What each command line puts on stdout; none ends in another status than is given, or in a traceback."""
    told: dict[str, bytes] = {}
    done = driven(folder, env, [line for line, _ in lines])
    for (line, wanted), (status, out, err) in zip(lines, done, strict=True):
        assert status == wanted, (line, err)
        assert b"Traceback" not in err, (line, err)
        if all(isinstance(each, str) for each in line):
            out.decode("utf-8")
        if "--json" in line:
            assert [json.loads(each) for each in out.decode("utf-8").splitlines()]
        told[" ".join(map(str, line))] = out
    return told


RUN = "läufe/ein läuf"


@pytest.mark.parametrize("env", ENCODINGS, ids=lambda env: ",".join(f"{key}={value}" for key, value in env.items()))
def test_data_is_utf8_and_whole(place: Path, env: dict[str, str], undisturbed: tuple[RunView, str, float]) -> None:
    program = next(c.program for c in undisturbed[0].candidates if c.cycle and c.program)
    told = by_line(
        place,
        env,
        [
            (["check", "é.py", FOREIGN, "--json"], 0),
            (["edit", "é.py", "edit.diff"], 0),
            (["edit", "é.py", "edit.diff", "--json"], 0),
            (["edit", FOREIGN, "naïve.py", "--diff"], 0),
            (["runs", "list", "--runs", "läufe"], 0),
            (["runs", "show", RUN, "--json"], 0),
            (["programs", "show", program.id, "--run", RUN], 0),
            (["learn", "corpus", RUN], 0),
            (["learn", "corpus", RUN, "--out", b"\xff.jsonl", "--json"], 0),
            (["runs", "show", b"\xff"], 2),
            (["gibt-es-nicht-é"], 2),
        ],
    )
    names = [json.loads(each)["file"] for each in told[f"check é.py {FOREIGN!r} --json"].splitlines()]
    assert [os.fsencode(name) for name in names] == ["é.py".encode(), FOREIGN]
    edited = told["edit é.py edit.diff"].decode("utf-8")
    assert edited == (place / "naïve.py").read_text("utf-8")
    assert json.loads(told["edit é.py edit.diff --json"])["source"] == edited
    diff = told[f"edit {FOREIGN!r} naïve.py --diff"]
    assert diff.startswith(b"--- a/\xff.py\n")
    assert b"-# caf\xc3\xa9\n+# na\xc3\xafve\n" in diff
    assert told[f"programs show {program.id} --run {RUN}"].decode("utf-8") == program.net.rstrip("\n") + "\n"
    rows = told[f"learn corpus {RUN}"]
    assert rows == (place / os.fsdecode(b"\xff.jsonl")).read_bytes()
    assert json.loads(rows.splitlines()[0])["origin"].startswith("run ")
    assert "läufe/ein läuf".encode() in told["runs list --runs läufe"]


def test_no_command_fails_for_the_encoding(place: Path, undisturbed: tuple[RunView, str, float]) -> None:
    program = next(c.program.id for c in undisturbed[0].candidates if c.cycle and c.program)
    told = by_line(
        place,
        ENCODINGS[0],
        [
            (["check", FOREIGN], 0),
            (["check", b"nowhere-\xff.py"], 2),
            (["check", "é.py", "--shape", "é"], 2),
            (["runs", "show", RUN], 0),
            (["programs", "list", "--run", RUN], 0),
            (["programs", "show", "é", "--run", RUN], 2),
            (["programs", "diff", program, "--run", RUN], 0),
            (["study", "convergence", RUN], 0),
            (["study", "convergence", FOREIGN], 1),
            (["report", RUN, "--out", "bericht-é.html"], 0),
            (["report", RUN, "--out", b"\xff.html"], 0),
            (["runs", "export", RUN, "--out", b"\xff", "--epochs", "0", "--json"], 0),
            (["lemur", "export", RUN, "--out", "ausgeführt"], 0),
            (["lemur", "trials", RUN, "--csv"], 2),
            (["lemur", "import", b"nowhere-\xff"], 2),
            (["learn", "export", RUN, "é"], 2),
            (["datasets", "list", "--json"], 0),
            (["search", "--strategy", "zufällig"], 2),
            (["search", "--strategy", "random", "--dataset", "folder:ü", "--run", "neu"], 1),
            (["search", "--strategy", "random", "--baseline", b"nowhere-\xff.py", "--dry-run"], 1),
            (["serve", FOREIGN], 2),
            (["search", "--help"], 0),
        ],
    )
    assert told[f"check {FOREIGN!r}"].startswith(FOREIGN + b": ok")
    assert told["report läufe/ein läuf --out b'\\xff.html'"] == b"\xff.html\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-16-le", "koi8-r"])
def test_an_edit_is_read_from_stdin_as_utf8(place: Path, encoding: str) -> None:
    command = [str(Path(sys.executable).with_name("deltanas")), "edit", "é.py", "-"]
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, cwd=place, env=env, input=EDIT.encode(), capture_output=True, check=True)
    assert done.stdout == (place / "naïve.py").read_bytes()
    done = subprocess.run(command, cwd=place, env=env, input=b"caf\xe9\n", capture_output=True, check=False)
    assert done.returncode == 2
    assert "error: -: not UTF-8: byte 0xe9 at offset 3\n" in done.stderr.decode(encoding)


@pytest.mark.slow
def test_names_are_what_their_bytes_say_where_the_system_knows_ascii_alone(installed: Command, place: Path) -> None:
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    (row,) = json.loads(installed("runs", "list", "--runs", "läufe", "--json", env=env).stdout)
    assert row["run"] == "läufe/ein läuf"
    search = ("search", "--strategy", "random", "--cycles", "1", "--candidates", "1", "--train-size", "100")
    done = installed(*search, "--epochs", "1", "--baseline", "é.py", "--run", "eigene läufe", "--json", env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == "eigene läufe"
    assert installed("runs", "show", "eigene läufe").stdout.startswith("eigene läufe: finished")


@pytest.mark.parametrize(
    "line",
    [
        ("runs", "show", "läufe/ein läuf"),
        ("learn", "corpus", "läufe/ein läuf"),
        ("edit", "é.py", "edit.diff"),
        ("datasets", "list"),
        ("search", "--help"),
    ],
)
def test_a_reader_that_goes_is_no_error_to_tell(place: Path, line: tuple[str, ...]) -> None:
    command = [str(Path(sys.executable).with_name("deltanas")), *line]
    reader, writer = os.pipe()
    os.close(reader)
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(command, cwd=place, env=env, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert ended.returncode == 1
    assert b"rror" not in ended.stderr


def test_streams_that_are_closed(place: Path) -> None:
    command = f"{Path(sys.executable).with_name('deltanas')} edit é.py"
    for line, status in (
        ("edit.diff >&-", 0),
        ("edit.diff 2>&-", 0),
        ("- <&-", 1),
        ("nowhere.diff >&- 2>&- <&-", 2),
        ("edit.diff > /dev/full", 1),
    ):
        done = subprocess.run(f"{command} {line}", cwd=place, shell=True, capture_output=True, check=False)
        assert done.returncode == status
        assert b"Traceback" not in done.stderr


def test_a_text_with_a_lone_surrogate_is_written_as_its_escape(tmp_path: Path) -> None:
    from deltanas.whole import write_whole

    write_whole(tmp_path / "rows.jsonl", json.dumps({"name": "\udcff é"}, ensure_ascii=False))
    assert json.loads((tmp_path / "rows.jsonl").read_bytes()) == {"name": "\udcff é"}
