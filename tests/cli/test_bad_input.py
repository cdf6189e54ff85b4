"""Bad input: a message that says what, where and what to do; exit 1 or 2; nothing lost, nothing half made."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from deltanas import nets
from deltanas.archive import DATABASE, begin_run
from support import Command

RANDOM = ("search", "--strategy", "random", "--baseline", "mlp", "--cycles", "1", "--candidates", "2", "--rungs", "off")


def complained(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--dataset", "cifar"), ("unknown data set 'cifar'", "digits, fashion-mnist")),
        (("--strategy", "magic"), ("`strategy` = 'magic'", "known: delta, full, feedback,")),
        (("--cycles", "-1"), ("`cycles` = -1", "greater than or equal to 1")),
        (("--candidates", "0"), ("`candidates` = 0", "greater than or equal to 1")),
        (("--candidates", "many"), ("--candidates", "valid integer")),
        (("--train-size", "3"), ("training size of 3", "10 (one image a class)")),
        (("--baseline", "resnet99"), ("no baseline 'resnet99'", "vgg")),
        (("--baseline", "mlp,vgg"), ("no baseline 'mlp,vgg'", "several are given as --baseline mlp --baseline vgg")),
        (("--strategy", "delta", "--llm", "gpt"), ("nknown language model 'gpt'", "hub:OWNER/NAME")),
        (("--objective", "foo"), ("unknown objective 'foo'", "accuracy, params, flops, macs, latency_ms, traffic")),
        (("--objective", "accuracy,params,accuracy"), ("given twice",)),
        (("--objective", "params"), ("without accuracy", "--objective accuracy,params")),
        (("--objective", "accuracy,flops", "--strategy", "evolution"), ("evolution chooses its parents",)),
        (("--objective", "accuracy,latency_ms", "--executor", "ray"), ("measured on this machine", "--executor local")),
        (("--max-params", "0"), ("`max_params` = 0", "greater than or equal to 1")),
        (("--max-flops", "some"), ("max-flops", "valid integer")),
        (("--prm", "batch=inf"), ("--prm batch=inf", "--prm dropout=0.2")),
        (("--prm", "=3"), ("--prm =3: not NAME=VALUE",)),
        (("--set", "prm.lr=nan"), ("`prm.lr` = nan", "finite number")),
        (("--strategy", "..x:Y"), ("'..x' is a relative name", "package.module:NAME")),
        (("--edits", "net,optimizer"), ("for the part 'optimizer'", "known parts: net, recipe, transform, prm")),
        (("absent.toml",), ("no config file absent.toml",)),
        (("--hue", "red"), ("--hue",)),
    ],
)
def test_a_wrong_option_is_a_usage_error_and_makes_no_folder(
    deltanas: Command, tmp_path: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    complained(deltanas(*RANDOM, *options, "--run", "new"), 2, *words)
    assert not (tmp_path / "new").exists()


def test_an_unknown_config_key_is_named_with_the_known_ones(deltanas: Command, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("cycle = 3\n")
    complained(deltanas("search", "c.toml"), 2, "unknown config key `cycle`", "did you mean `cycles`", "candidates")


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("gguf:cut.gguf", b"GGUF\x03\0\0\0" + b"\1" * 100),
        ("path:absent", None),
        pytest.param("gguf:absent.gguf", None, marks=pytest.mark.slow),
        pytest.param("gguf:text.gguf", b"not a model", marks=pytest.mark.slow),
    ],
)
def test_a_model_file_that_is_missing_or_corrupt(
    deltanas: Command, tmp_path: Path, place: str, content: bytes | None
) -> None:
    name = place.partition(":")[2]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    complained(deltanas("search", "--strategy", "delta", "--run", "new", "--llm", place), 1, name)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"\x7fELF\0\0\1", "NUL byte at offset 4"),
        (b"# caf\xe9\nclass Net: pass\n", "not UTF-8: byte 0xe9 at offset 5"),
        (b"x = 1\n" * 200_000, "more than 1,000,000 bytes"),
        (b"x = 1\n" * 100_000, "the limit is 200,000"),
        (b"class Net(", "syntax error"),
    ],
)
def test_a_file_that_is_no_program_is_refused_and_the_others_are_evaluated(
    deltanas: Command, tmp_path: Path, data: bytes, reason: str
) -> None:
    (tmp_path / "bad.py").write_bytes(data)
    (tmp_path / "good.py").write_text(nets.baseline("mlp"))
    done = deltanas("check", "bad.py", "good.py", "--shape", "1x8x8")
    assert done.returncode == 1, done.stderr
    assert "bad.py: " in done.stdout
    assert reason in done.stdout
    assert "good.py: ok" in done.stdout


def test_a_file_that_is_not_there(deltanas: Command) -> None:
    complained(deltanas("check", "absent.py"), 2, "absent.py", "No such file")
    complained(deltanas("evaluate", "."), 2, "directory")


def test_a_check_has_no_option_without_effect(deltanas: Command, tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(nets.baseline("mlp"))
    complained(deltanas("check", "good.py", "--resize", "64"), 2, "--resize and --colour read a data set")
    complained(deltanas("check", "good.py", "--dataset", "digits", "--classes", "5"), 2, "leave them or --dataset out")


def test_a_built_in_network_where_a_file_is_asked_for(deltanas: Command, tmp_path: Path) -> None:
    done = deltanas("check", "half")
    complained(done, 2, "half can't be read", "it is a built-in network")
    (command,) = re.findall(r"`([^`]+)`", done.stderr)
    subprocess.run(["bash", "-c", command.replace("python ", f"{sys.executable} ", 1)], cwd=tmp_path, check=True)
    assert (tmp_path / "half.py").read_text() == nets.baseline("half", "denoise") + "\n"


def test_a_folder_that_is_not_a_run(deltanas: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("the only copy")
    complained(deltanas(*RANDOM, "--run", "mine"), 2, "mine exists and is not a run")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    for command in (("report", "mine"), ("runs", "show", "mine"), ("programs", "list", "--run", "mine")):
        complained(deltanas(*command), 2, "mine is not a run")


def test_a_run_of_another_version_is_left_alone(deltanas: Command, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    pointer = tmp_path / "run" / "run.json"
    pointer.write_text('{"format": 99, "name": "run", "archive": null}')
    for command in (("report", "run"), (*RANDOM, "--run", "run")):
        complained(deltanas(*command), 1, "run format 99", "reads format 1")
    pointer.write_text("{")
    complained(deltanas("report", "run"), 1, "run.json is damaged")
    assert pointer.read_text() == "{"


@pytest.fixture
def small_run(deltanas: Command, tmp_path: Path) -> Path:
    done = deltanas(*RANDOM, "--run", "run", "--train-size", "50")
    assert done.returncode == 0, done.stderr
    return tmp_path / "run"


def test_a_damaged_run_is_told_in_the_list_and_the_others_stand(deltanas: Command, tmp_path: Path) -> None:
    for name in ("whole", "ended", "scored"):
        begin_run(tmp_path / "runs" / name, None, {})[1].close()
    damages = {
        "ended": ("UPDATE runs SET finished = 'x'",),
        "scored": (
            "PRAGMA ignore_check_constraints = 1",
            "INSERT INTO candidates (run, cycle, 'index', strategy, opened, status, score) "
            "VALUES (1, 1, 0, 'random', '', 'trained', 'abc')",
        ),
    }
    for name, statements in damages.items():
        with closing(sqlite3.connect(tmp_path / "runs" / name / DATABASE)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
    done = deltanas("runs", "list")
    complained(done, 0, "runs/ended is broken: table runs, key 1: 'x' is no time", "runs/scored is broken: ")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["run", "runs/whole"]


def test_a_truncated_database_is_named_and_left_as_it_is(deltanas: Command, small_run: Path) -> None:
    database = small_run / "archive.db"
    whole = database.read_bytes()
    for size in (len(whole) // 2, 50, 0):
        database.write_bytes(whole[:size])
        for command in (("report", "run"), (*RANDOM, "--run", "run", "--train-size", "50")):
            complained(deltanas(*command), 1, "archive.db")
        assert database.read_bytes() == whole[:size]
    database.write_bytes(whole)
    assert deltanas("report", "run").returncode == 0


def test_a_finished_run_is_not_run_again_and_keeps_its_settings(deltanas: Command, small_run: Path) -> None:
    before = deltanas("programs", "list", "--run", "run", "--json").stdout
    assert deltanas(*RANDOM, "--run", "run", "--train-size", "50").returncode == 0
    assert deltanas("programs", "list", "--run", "run", "--json").stdout == before
    complained(deltanas(*RANDOM, "--run", "run", "--train-size", "60"), 2, "begun with `train.size` = 50, not 60")


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small file system, which needs root")
def test_a_full_and_a_read_only_disk(deltanas: Command, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=True)
    try:
        complained(deltanas(*RANDOM, "--run", "disk/run"), 1, "disk")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        complained(deltanas(*RANDOM, "--run", "disk/other"), 1, "disk/other", "ead-only")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_an_edit_that_does_not_fit_says_where(deltanas: Command, tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("a = 1\nb = 2\n")
    (tmp_path / "miss.diff").write_text("<<<<<<< SEARCH\nb = 3\n=======\nb = 4\n>>>>>>> REPLACE\n")
    complained(deltanas("edit", "base.py", "miss.diff"), 1, "b = 3", "b = 2")
    hit = "<<<<<<< SEARCH\nb = 2\n=======\nb = 4\n>>>>>>> REPLACE\n"
    assert deltanas("edit", "base.py", "-", text=hit).stdout == "a = 1\nb = 4\n"
    thought = f"<think>\n{hit.replace('b', 'a').replace('2', '1')}</think>\n\n{hit}"
    assert deltanas("edit", "base.py", "-", text=thought).stdout == "a = 1\nb = 4\n"
    choice = f"Option 1:\n{hit}Option 2:\n{hit.replace('b', 'a').replace('2', '1')}"
    complained(deltanas("edit", "base.py", "-", text=choice), 1, "Option 2", "Give one edit")
    (tmp_path / "edited.py").write_text("a = 1\nb = 4\n")
    delta = deltanas("edit", "--diff", "base.py", "edited.py").stdout
    assert delta.startswith("--- ")
    assert deltanas("edit", "base.py", "-", text=delta).stdout == "a = 1\nb = 4\n"


def test_more_rates_than_train_are_refused(deltanas: Command) -> None:
    done = deltanas("recipes", "run", "--out", "t.jsonl", "--rates", "2000", "--dry-run")
    complained(done, 2, "--rates", "less than or equal to 21")
