"""The commands, as a user gives them; and searches that start from imported programs."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deltanas.archive import read_folder
from deltanas.cli import app
from deltanas.errors import DeltanasError, UsageError
from lemur_wheels import CLASSIFICATION, PROGRAMS, files, net, rows, trial, write_wheel
from lemur_wheels import read_folder as contents
from support import SMALL, invoked

Command = Callable[..., str]
"""Runs `deltanas` with these arguments in this process: what it says on stdout."""


@pytest.fixture
def deltanas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    return invoked


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return write_wheel(tmp_path / "nn_dataset-9.9.9-py3-none-any.whl", files())


def test_import_is_read_by_the_other_commands(deltanas: Command, wheel: Path, tmp_path: Path) -> None:
    first = deltanas("lemur", "import", wheel)
    assert first == "3 programs and 8 trials added to runs/lemur-9.9.9; 0 files are broken\n"
    write_wheel(wheel, {**files(), f"ab/nn/stat/train/{CLASSIFICATION}_Small/3.json": b"["})
    again = json.loads(deltanas("lemur", "import", wheel, "--json").splitlines()[-1])
    assert (again["programs"], again["trials"]) == (0, 0)
    assert [file["path"] for file in again["broken"]] == [f"stat/train/{CLASSIFICATION}_Small/3.json"]
    run = "runs/lemur-9.9.9"
    for command in (("runs", "list"), ("runs", "show", run), ("programs", "list", "--run", run), ("report", run)):
        assert deltanas(*command)
    table = json.loads(deltanas("lemur", "trials", run, "--json"))
    assert [(row["name"], row["dataset"], row["trials"], row["longest"], row["best"]) for row in table] == [
        ("Small", "mnist", 4, 10, 0.875),
        ("Wide-1f", "mnist", 3, 1, 0.9),
        ("Same", "coco", 1, 50, 0.125),
    ]
    assert "64" in deltanas("programs", "show", table[1]["program"], "--run", run)
    lines = list(csv.DictReader(deltanas("lemur", "trials", run, "--csv", "--dataset", "mnist").splitlines()))
    assert [(line["program"], line["seed"], line["proxy"]) for line in lines] == [
        ("Small", "0", "0.5"),
        ("Small", "1", "0.25"),
        ("Small", "2", ""),
        ("Small", "3", ""),
        ("Wide-1f", "0", "0.9"),
        ("Wide-1f", "1", "0.4"),
        ("Wide-1f", "2", "0.4"),
    ]
    out = deltanas("lemur", "export", run, "--out", "out", "--json")
    assert json.loads(out) == {"folder": "out", "programs": 3, "transforms": 0, "trials": 8}
    assert (tmp_path / "out/ab/nn/nn/Wide-1f.py").read_bytes() == PROGRAMS["Wide-1f"].encode()


def test_what_can_not_be_done_is_told_and_leaves_nothing(deltanas: Command, wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "text.whl").write_text("no wheel")
    with pytest.raises(DeltanasError, match="is no wheel that can be read"):
        deltanas("lemur", "import", "text.whl", "--run", "new")
    assert not (tmp_path / "new").exists()
    deltanas("lemur", "import", wheel)
    run = "runs/lemur-9.9.9"
    with pytest.raises(UsageError, match="is no search, its programs were imported"):
        deltanas("search", *SMALL, "--run", run)
    with pytest.raises(UsageError, match="holds no trials of svhn") as caught:
        deltanas("lemur", "trials", run, "--dataset", "svhn")
    for name in caught.value.hint.removeprefix("it holds those of ").split(", "):
        assert deltanas("lemur", "trials", run, "--dataset", name)
    with pytest.raises(UsageError, match="is not an empty folder"):
        deltanas("lemur", "export", run, "--out", ".")


def test_a_search_starts_from_programs_drawn_by_rank(deltanas: Command, tmp_path: Path) -> None:
    unfit = "class Net:\n    pass\n"
    programs = {"Aaa": unfit, **{f"N{width}": net(width) for width in (8, 16, 24)}}
    trials = {
        f"ab/nn/stat/{CLASSIFICATION}_{name}/1.json": rows(trial(0.5, lr=0.02, batch=16), trial(0.1)).encode()
        for name in programs
    }
    source = {f"ab/nn/nn/{name}.py": text.encode() for name, text in programs.items()}
    write_wheel(tmp_path / "lemur.whl", {**source, **trials})
    deltanas("lemur", "import", "lemur.whl", "--run", "runs/lemur-1")
    (tmp_path / "config.toml").write_text(
        "lemur_programs = 4\nstrategy = 'random'\ncycles = 1\ncandidates = 1\nfinals = 0\n"
        "train.size = 200\ntrain.epochs = 1\n"
    )
    result = CliRunner().invoke(app, ["search", "config.toml", "--baselines", "lemur", "--run", "search"])
    assert "Aaa: refused (contract)" in result.stderr
    with read_folder(tmp_path / "search").open() as run:
        view = run.view()
    baselines = {c.name: c for c in view.candidates if c.cycle == 0}
    assert set(baselines) == set(programs)
    assert {name for name, c in baselines.items() if c.score is None} == {"Aaa"}
    prm = {"batch": 16, "lr": 0.02, "momentum": 0.5}
    assert all(c.program and c.program.hyperparameters == prm for c in baselines.values())
    trained = [c for c in view.candidates if c.score is not None]
    written = json.loads(deltanas("lemur", "export", "search", "--json"))
    assert written["trials"] == len(trained)
    again = json.loads(deltanas("lemur", "import", "search/lemur", "--run", "again", "--json"))
    assert (again["programs"], again["trials"], again["broken"]) == (written["programs"], written["trials"], [])
    with read_folder(tmp_path / "again").open() as run:
        found = sorted((t.accuracy, t.experiment.dataset, t.epoch) for t in run.trials.trials())
    assert found == sorted((c.score, "digits", 1) for c in trained)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("lemur", "there are 0"), ("lemur:none", "none is not a run"), ("lemur:runs/empty", "holds no classifier")],
)
def test_baselines_that_are_not_there(name: str, reason: str, deltanas: Command, tmp_path: Path) -> None:
    write_wheel(tmp_path / "lemur.whl", {"ab/nn/nn/A.py": net(4).encode()})
    deltanas("lemur", "import", "lemur.whl", "--run", "runs/empty")
    with pytest.raises(UsageError, match=reason):
        deltanas("search", *SMALL, "--baseline", name)


IMPORT = """
import sys
from pathlib import Path
from deltanas.archive import read_folder
from deltanas.lemur import import_tree, open_tree
with read_folder(Path("run")).open(writer=True) as run, open_tree(Path("many.whl")) as tree:
    import_tree(tree, run.trials, lambda what, done, total: print(what, done, flush=True))
"""


def test_an_import_that_is_killed_loses_nothing(deltanas: Command, tmp_path: Path) -> None:
    """Killed right after a batch, and some moments later: somewhere in the next."""
    many = {
        f"ab/nn/stat/train/img-classification_d{number}_acc_Small/1.json": text
        for text in [rows(*(trial(0.5, lr=1 / n) for n in range(1, 301)))]
        for number in range(100)
    }
    write_wheel(tmp_path / "few.whl", files())
    deltanas("lemur", "import", "few.whl", "--run", "run")
    write_wheel(tmp_path / "many.whl", {**files(), **{name: text.encode() for name, text in many.items()}})
    seen = [_held(tmp_path / "run")]
    for moments in (0, 0.1):
        importing = subprocess.Popen([sys.executable, "-c", IMPORT], cwd=tmp_path, stdout=subprocess.PIPE)
        assert importing.stdout is not None
        for line in importing.stdout:
            if line.startswith(b"trials"):
                break
        time.sleep(moments)
        importing.kill()
        importing.communicate()
        seen.append(_held(tmp_path / "run"))
    assert seen[0] < seen[1] <= seen[2] < 100 * 300
    done = json.loads(deltanas("lemur", "import", "many.whl", "--run", "run", "--json"))
    assert (done["programs"], done["trials"]) == (0, _held(tmp_path / "run") - seen[2])
    assert _held(tmp_path / "run") == 100 * 300 + 8


def _held(path: Path) -> int:
    with read_folder(path).open() as run:
        return len(run.trials.trials())


REAL = Path(os.environ.get("DELTANAS_LEMUR", "/nowhere"))
"""Folder for real wheels; pip fetches 1.2.6 into a folder of the test's own where it is not given."""


def _real_wheel(own: Path) -> Path:
    folder = REAL if REAL.is_dir() else own
    if not list(folder.glob("nn_dataset-1.2.6-*.whl")):
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "nn-dataset==1.2.6", "-d", str(folder)],
            check=True,
        )
    (wheel,) = folder.glob("nn_dataset-1.2.6-*.whl")
    return wheel


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_real_wheel_is_imported_whole_and_written_to_the_byte(deltanas: Command, tmp_path: Path) -> None:
    wheel = _real_wheel(tmp_path)
    start = time.monotonic()
    done = json.loads(deltanas("lemur", "import", wheel, "--run", "run", "--json"))
    assert time.monotonic() - start < 60
    assert (done["programs"], done["trials"], done["broken"]) == (116, 135_843, [])
    assert json.loads(deltanas("lemur", "import", wheel, "--run", "run", "--json"))["trials"] == 0
    deltanas("lemur", "export", "run", "--out", "out")
    with read_folder(tmp_path / "run").open() as run:
        before = (run.trials.sources(), run.trials.trials())
    assert json.loads(deltanas("lemur", "import", "out", "--run", "again", "--json"))["trials"] == 135_843
    with read_folder(tmp_path / "again").open() as again:
        assert (again.trials.sources(), again.trials.trials()) == before
    written = contents(tmp_path / "out" / "ab" / "nn")
    with zipfile.ZipFile(wheel) as archive:
        paths = {name: name.removeprefix("ab/nn/").replace("stat/", "stat/train/") for name in archive.namelist()}
        same = [archive.read(name) == written.pop(path) for name, path in paths.items() if path in written]
    assert (written, len(same)) == ({}, 116 + 14_791)
    assert same.count(False) == 25  # not laid out as LEMUR writes files; what they say is the same


def test_imported_trials_are_studied_as_a_table_of_them_is(deltanas: Command, wheel: Path, tmp_path: Path) -> None:
    deltanas("lemur", "import", wheel)
    run = "runs/lemur-9.9.9"
    (tmp_path / "table.csv").write_text(deltanas("lemur", "trials", run, "--csv", "--dataset", "mnist"))
    table = json.loads(deltanas("study", "convergence", "table.csv", "--json"))
    own = json.loads(deltanas("study", "convergence", run, "--dataset", "mnist", "--json"))
    assert own["reliability"] == table["reliability"]
    assert own["reliability"]["pairs"] > 0
    measured = json.loads(deltanas("lemur", "trials", run, "--json"))
    assert own["novelty"]["programs"] == len({row["name"] for row in measured if row["dataset"] == "mnist"})
    with pytest.raises(UsageError, match="no trials of nope"):
        deltanas("study", "convergence", run, "--dataset", "nope")
    with pytest.raises(UsageError, match="--dataset is for imported trials"):
        deltanas("study", "convergence", "table.csv", "--dataset", "mnist")
    other = CLASSIFICATION.replace("mnist", "svhn")
    more = {name.replace(CLASSIFICATION, other): text for name, text in files().items() if CLASSIFICATION in name}
    deltanas("lemur", "import", write_wheel(wheel, {**files(), **more}))
    with pytest.raises(UsageError, match=r"2 data sets") as several:
        deltanas("study", "convergence", run)
    assert several.value.hint == "name one with --dataset: mnist, svhn"


BASES = """
    AirNet AirNext AlexNet BagNet ConvNeXt DPN107 DPN131 DPN68 DarkNet DenseNet Diffuser EfficientNet FractalNet
    GoogLeNet ICNet MNASNet MaxVit MobileNetV2 MobileNetV3 RegNet ResNet ShuffleNet SqueezeNet-1 SqueezeNet-2
    SwinTransformer UNet2D VGG VisionTransformer
"""
"""LEMUR's classification bases that torch and torchvision build for 3x64x64. The others: BayesianNet-1 to -3 and
InceptionV3-1 and -2 want other sizes, ComplexNet complex images; MoE-0707 is a mixture."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_bases_pass_the_check_as_they_are(deltanas: Command, tmp_path: Path) -> None:
    names = BASES.split()
    with zipfile.ZipFile(_real_wheel(tmp_path)) as archive:
        for base in names:
            (tmp_path / f"{base}.py").write_bytes(archive.read(f"ab/nn/nn/{base}.py"))
    verdicts: dict[str, dict[str, object]] = {}
    for base in names:
        result = CliRunner().invoke(app, ["check", f"{base}.py", "--shape", "3x64x64", "--json"])
        verdicts[base] = json.loads(result.stdout)
    failed = {base: verdict["reasons"] for base, verdict in verdicts.items() if not verdict["ok"]}
    # A large network may take longer than the limit on a loaded machine.
    assert len(failed) <= 2
    assert all("took longer than" in str(reasons) for reasons in failed.values()), failed
    assert sum(bool(verdict["assumed"]) for verdict in verdicts.values()) == 17
    assert verdicts["GoogLeNet"]["assumed"] == {"dropout": 0.2, "dropout_aux": 0.7}
