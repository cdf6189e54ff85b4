"""The one line that every loader ends with, and the commands that show it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from deltanas.cli import app
from deltanas.nets import baselines
from deltanas.train.data import Dataset, Images, LeftOut, Provenance, dataset_of, load, told
from own_data import classes_in, laid_out, pixels


def test_images_by_split_and_class(tmp_path: Path) -> None:
    laid_out(tmp_path, **{"train/cat": 30, "train/dog": 12, "val/cat": 5, "val/dog": 4, "test/cat": 6, "test/dog": 7})
    assert told(load(f"folder:{tmp_path}")) == (
        f"folder:{tmp_path}: 64 images of 1 x 4 x 4: 42 to train (cat 30, dog 12), 9 to validate (cat 5, dog 4), "
        "13 to test (cat 6, dog 7)"
    )


@pytest.mark.parametrize(("classes", "words"), [(3, "36 to train (0 12, 1 12, 2 12)"), (12, "12 classes of 5 images")])
def test_many_classes_are_told_by_their_range(classes: int, words: str) -> None:
    each = 60 // classes
    assert words in told(dataset_of("mine", x=pixels(60, 4, 4), y=np.repeat(np.arange(classes), each)))


def test_what_was_left_out_and_why(tmp_path: Path) -> None:
    folder = classes_in(tmp_path)
    (folder / "cat" / "again.png").write_bytes((folder / "cat" / "000.png").read_bytes())
    (folder / "dog" / "other.png").write_bytes((folder / "cat" / "001.png").read_bytes())
    (folder / "notes.txt").write_text("taken in June")
    line = told(load(f"folder:{folder}"))
    assert "3 left out as repeats of other images, 2 of them under another label" in line
    assert line.endswith(f"1 left out: no image ({folder / 'notes.txt'})")
    assert "\n" not in line


def test_images_without_classes() -> None:
    images = Images(pixels(3, 1, 4, 4), np.zeros((3, 2)))
    source = Provenance(notes=("a note",), left_out=(LeftOut("no image", 2),))
    line = told(Dataset("boxes", images, images, images, 0, source=source))
    assert line == ("boxes: 9 images of 1 x 4 x 4: 3 to train, 3 to validate, 3 to test; a note; 2 left out: no image")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    laid_out(tmp_path / "[my] data", **{"cat": 40, "dog": 40, "cat/.hidden": 2})
    return tmp_path / "[my] data"


def test_commands_show_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = told(load(f"folder:{folder}"))
    (tmp_path / "mlp.py").write_text(baselines()["mlp"])
    common = ["--dataset", f"folder:{folder}"]
    for command in (
        ["check", "mlp.py", *common],
        ["evaluate", "mlp.py", *common, "--epochs", "1"],
    ):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        assert done.stderr.count(line) == 1
        assert line not in done.stdout
    shown = CliRunner().invoke(app, ["datasets", "show", f"folder:{folder}"])
    assert shown.stdout.strip() == line
    again = CliRunner().invoke(app, ["datasets", "show", f"folder:{folder}", "--json", "--grey", "--resize", "3"])
    record = json.loads(again.stdout)
    assert (record["shape"], record["names"], record["resize"]) == ([1, 3, 3], ["cat", "dog"], 3)
    assert record == {"name": f"folder:{folder}", **load(f"folder:{folder}", colour=False, resize=3).record}


def test_colour_is_pinned_in_the_run_and_reaches_the_export(folder: Path, tmp_path: Path) -> None:
    options = [
        "--dataset",
        f"folder:{folder}",
        "--strategy",
        "random",
        "--cycles",
        "1",
        "--candidates",
        "1",
        "--colour",
    ]
    run = ["--baseline", "mlp", "--workers", "1", "--epochs", "1", "--run", str(tmp_path / "run")]
    done = CliRunner().invoke(app, ["search", *options, *run])
    assert done.exit_code == 0, done.output
    assert done.stderr.count(told(load(f"folder:{folder}", colour=True))) == 1
    manifest = json.loads(CliRunner().invoke(app, ["runs", "show", str(tmp_path / "run"), "--json"]).stdout)["manifest"]
    assert manifest["config"]["train"]["colour"] is True
    assert manifest["data"]["shape"] == [3, 4, 4]
    export = ["runs", "export", str(tmp_path / "run"), "--top", "1", "--out", str(tmp_path / "out")]
    out = CliRunner().invoke(app, export)
    assert out.exit_code == 0, out.output
