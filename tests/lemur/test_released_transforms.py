"""Released transforms out of wheels and folders: read, imported, written."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deltanas.archive import read_folder
from deltanas.errors import DataError, DeltanasError, UsageError
from deltanas.lemur.layout import FaultError
from deltanas.lemur.transforms import Call, Literal, read_released
from hinted import code_in
from lemur_transforms import BLUR, INSIDE, JITTER, RESULTS, TEXTS, files, result, text
from lemur_wheels import files as networks
from lemur_wheels import read_folder as contents
from lemur_wheels import write_folder, write_wheel
from support import invoked

Command = Callable[..., str]


@pytest.fixture
def deltanas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    return invoked


def imported(deltanas: Command, source: Path, run: str = "run") -> dict[str, object]:
    said: dict[str, object] = json.loads(deltanas("transforms", "import", source, "--run", run, "--json"))
    return said


def test_a_text_is_read_into_calls_and_what_is_fixed() -> None:
    released = read_released(text(JITTER, "Pad(padding=1, fill=(1, 2, 3), padding_mode='edge')", resize=256))
    jitter: dict[str, Literal] = {"brightness": 1.04, "contrast": 0.87, "saturation": 0.95, "hue": 0.06}
    pad: dict[str, Literal] = {"padding": 1, "fill": (1, 2, 3), "padding_mode": "edge"}
    assert (released.calls, released.resize) == ((Call("ColorJitter", jitter), Call("Pad", pad)), 256)
    assert read_released(text(resize=None)).calls == ()
    assert read_released("\ufeff" + text(JITTER).replace("\n", "\r\n")) == read_released(text(JITTER))
    assert read_released(text("RandomCrop(28)", resize=None)).calls == (Call("RandomCrop", {"size": 28}),)


OFF_THE_MENU = {
    "another function": ("def other(norm):\n    return 1\n", "it is not one function `transform`"),
    "no Python": ("def transform(norm:\n", "it is no Python"),
    "long number": (text(f"RandomSolarize(threshold=0x{'f' * 3600})"), "it is no Python"),
    "more than a return": (text(BLUR).replace("    return", "    print(1)\n    return"), "line 5: the function does"),
    "another operation": (text("RandomErasing(p=0.5)"), "line 6: `transforms.RandomErasing(p=0.5)` is none of"),
    "an expression": (text("RandomCrop(size=4*8)"), "line 6: `transforms.RandomCrop(size=4 * 8)`: `size` has no"),
    "a call in it": (text("RandomCrop(size=open('x'))"), "line 6: `transforms.RandomCrop(size=open('x'))`: `size`"),
    "not a number": (text("RandomRotation(degrees=float('nan'))"), "line 6"),
    "out of bounds": (text("RandomInvert(p=1.5)"), "line 6: `transforms.RandomInvert(p=1.5)`: `p` has no value"),
    "an unknown argument": (text("RandomInvert(q=0.5)"), "line 6: `RandomInvert` takes p, each once"),
    "an operation after": (text(BLUR).replace("    transforms.ToT", f"    transforms.{BLUR},\n    transforms.ToT"),
                           "line 7: `transforms.Resize((64, 64))` is none of"),
    "without its first": (text("RandomCrop(padding=4)"), "line 6: `transforms.RandomCrop(padding=4)` has no `size`"),
    "nested": (text("a" + ".b" * 700), "it is nested too deep"),
    "a lambda": (text("Lambda(lambda x: x)"), "line 6: `transforms.Lambda(lambda x: x)` is none of"),
}  # fmt: skip


@pytest.mark.parametrize("fault", OFF_THE_MENU)
def test_what_is_off_the_menu_is_refused_with_its_line(fault: str) -> None:
    source, reason = OFF_THE_MENU[fault]
    with pytest.raises(FaultError) as error:
        read_released(source)
    assert str(error.value).startswith(reason)


@pytest.mark.parametrize("write", [write_wheel, write_folder])
def test_transforms_and_trials_are_imported_once(write: Callable[..., Path], deltanas: Command, tmp_path: Path) -> None:
    source = write(tmp_path / "nn_gpt-9.9-py3-none-any.whl", files())
    first = imported(deltanas, source)
    held = {"transforms": 6, "trials": 5, "failed": 1, "refused": 0, "unmeasured": 2, "broken": []}
    assert first == {"run": "run", **held, "added": {"transforms": 6, "trials": 5}}
    assert imported(deltanas, source) == {"run": "run", **held, "added": {"transforms": 0, "trials": 0}}
    with read_folder(tmp_path / "run").open() as run:
        assert run.trials.sources() == {name.partition("/")[2]: source for name, source in TEXTS.items()}
        trials = {(one.experiment.program, one.epoch): one for one in run.trials.trials()}
    assert {key: one.accuracy for key, one in trials.items() if one.failure is None} == {
        ("Pad", 1): 0.5654,
        ("Pad", 5): 0.735,
        ("Pad_2", 1): 0.57,
        ("ColorJitter", 1): 0.39,
    }
    assert trials["CenterCrop_RandomCrop", 1].failure == "ValueError: Required crop size (28, 28) is larger"
    assert trials["Pad", 1].prm == {"batch": 64, "dropout": 0.2, "lr": 0.01, "momentum": 0.9, "time metric": 2.5}
    assert json.loads(trials["Pad", 1].settings)["nn"] == "ResNet"


def test_other_commands_read_the_run(deltanas: Command, tmp_path: Path) -> None:
    source = write_wheel(tmp_path / "nn_gpt-9.9-py3-none-any.whl", files())
    assert "6 transforms and 5 trials added to runs/transforms-9.9" in deltanas("transforms", "import", source)
    run = "runs/transforms-9.9"
    rows = json.loads(deltanas("lemur", "trials", run, "--json"))
    assert {row["name"]: row["best"] for row in rows} == {"ColorJitter": 0.39, "Pad": 0.735, "Pad_2": 0.57}
    assert deltanas("lemur", "export", run, "--out", "out") == "6 transforms, 5 trials written to out\n"
    assert "RandomCrop(size=28)" in "".join(data.decode() for data in contents(tmp_path / "out").values())
    assert {"ab/nn/transform/Pad.py", "ab/nn/stat/train/img-classification_cifar-10_acc_ResNet/5.json"} <= set(
        contents(tmp_path / "out")
    )
    for command in (("runs", "show", run), ("report", run), ("programs", "list", "--run", run)):
        assert deltanas(*command)
    with pytest.raises(UsageError, match="holds transforms and no networks"):
        deltanas("search", "--dataset", "digits", "--baseline", f"lemur:{run}", "--run", "search")
    write_wheel(tmp_path / "net.whl", networks())
    with pytest.raises(UsageError, match="holds transforms, no networks"):
        deltanas("lemur", "import", "net.whl", "--run", run)
    with pytest.raises(DataError, match="holds no transforms"):
        deltanas("transforms", "import", "net.whl", "--run", "new")
    assert not (tmp_path / "new").exists()


FAULTS = {
    "cut short": ("result_gen/Pad.json", result("Pad", 0.5)[:-9], "not JSON: "),
    "empty": ("result_gen/Pad.json", "\n", "the file is empty"),
    "a list": ("result_gen/Pad.json", "[]", "not an object"),
    "no accuracy": ("result_gen/Pad.json", '{"transform": "Pad"}', "the file has no accuracy"),
    "not a number": ("result_gen/Pad.json", result("Pad", float("nan")), "the file has no accuracy"),
    "no share": ("result_gen/Pad.json", result("Pad", 56.5), "its accuracy is 56.5, no share"),
    "an endless rate": ("result_gen/Pad.json", result("Pad", 0.5, lr=10**400), "its lr is '1000000"),
    "no rate": ("result_gen/Pad.json", result("Pad", 0.5, lr=float("nan")), "its lr is 'nan', no number"),
    "no epoch": ("result_epoch1/Pad.json", result("Pad", 0.7, epoch="five"), "its epoch is 'five'"),
    "a path": ("result_gen/Pad.json", result("Pad", 0.5, nn="/../../../x"), "it tells of the network '/../../../x'"),
    "of another": ("result_gen/Pad.json", result("Pad_7", 0.5), "it tells of the transform 'Pad_7'"),
    "no transform": ("result_gen/Lost.json", result("Lost", 0.5), "no program Lost.py"),
    "another text": ("dataset_epoch1/Pad_2.py", text(BLUR), "another text"),
    "endless": ("out_gen/Pad_2.py", text("CenterCrop(size=1" + "0" * 400 + ")"), "line 6: "),
    "off the menu": ("out_gen/Pad_2.py", text("RandomErasing(p=1)"), "line 6: "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_file_is_named_and_nothing_else_is_lost(fault: str, deltanas: Command, tmp_path: Path) -> None:
    name, data, reason = FAULTS[fault]
    content = {**files(), f"{INSIDE}/{name}": data.encode()}
    said = imported(deltanas, write_folder(tmp_path / "source", content))
    broken = {row["path"]: row["reason"] for row in said["broken"]}  # type: ignore[attr-defined]
    ours = name if fault != "another text" else "out_gen/Pad_2.py"
    assert reason in broken.pop(ours)
    # A transform that is refused, or has two texts, takes its score along, which is named too.
    assert set(broken) == ({"result_gen/Pad_2.json"} if name.endswith("Pad_2.py") else set())
    assert said["trials"] == 5 - (name != "result_gen/Lost.json")
    if fault == "another text":
        return  # the run keeps the first
    assert imported(deltanas, write_folder(tmp_path / "mended", files()))["refused"] == 0
    with read_folder(tmp_path / "run").open() as run:
        assert len(run.trials.trials()) == 5  # a mended file is read the next time


def test_what_is_no_wheel_says_how_to_get_one(deltanas: Command, tmp_path: Path) -> None:
    whole = write_wheel(tmp_path / "whole.whl", files()).read_bytes()
    (tmp_path / "cut.whl").write_bytes(whole[: len(whole) // 2])
    write_folder(tmp_path / "bare", {"ab/gpt/brute/trans/README.md": b"", "result_gen/Pad.json": b"{}"})
    for name in ("cut.whl", "bare", "none.whl"):
        with pytest.raises(DeltanasError, match=r"nn-gpt==1\.0\.6") as error:
            deltanas("transforms", "import", name, "--run", "new")
        hint = shlex.split((error.value.hint or "").rpartition(": ")[2])
        assert hint == ["pip", "download", "--no-deps", "nn-gpt==1.0.6"]
    assert not (tmp_path / "new").exists()


def test_a_wheel_of_the_other_kind_names_the_command_that_reads_it(deltanas: Command, tmp_path: Path) -> None:
    write_wheel(tmp_path / "a gpt.whl", files())
    network = {"ab/nn/nn/Small.py": b"class Net: ...", "ab/nn/nn/__init__.py": b""}
    write_folder(tmp_path / "networks", network)
    for mine, other, source in (("lemur", "transforms", "a gpt.whl"), ("transforms", "lemur", "networks")):
        with pytest.raises(DeltanasError, match="holds no ") as error:
            deltanas(mine, "import", source, "--run", "new")
        (code,) = code_in(error.value.hint or "")
        assert code.startswith(f"deltanas {other} import ")
        assert not (tmp_path / "new").exists()
        said = json.loads(deltanas(*shlex.split(code)[1:], "--run", f"run-{other}", "--json"))
        assert (said["transforms"] if other == "transforms" else said["programs"]) > 0


def test_folders_of_two_versions_have_a_run_each(deltanas: Command, tmp_path: Path) -> None:
    for version in ("1.0", "1.1"):
        write_folder(tmp_path / f"gpt-{version}", files())
        deltanas("transforms", "import", f"gpt-{version}")
    assert sorted(run.name for run in (tmp_path / "runs").iterdir()) == ["transforms-gpt-1.0", "transforms-gpt-1.1"]


def test_a_killed_import_goes_on_to_the_same_rows(deltanas: Command, tmp_path: Path) -> None:
    names = [f"Pad_{number}" for number in range(600)]
    texts = {f"out_gen/{name}": TEXTS["out_gen/Pad"] for name in names}
    results = {f"result_gen/{name}": result(name, 0.5 + number / 10_000) for number, name in enumerate(names)}
    source = write_wheel(tmp_path / "many.whl", files({**TEXTS, **texts}, {**RESULTS, **results}))
    code = (
        f"from deltanas.cli import main; import sys; sys.argv = ['deltanas', 'transforms', 'import', {str(source)!r},"
    )
    for _ in range(2):
        running = subprocess.Popen([sys.executable, "-c", f"{code} '--run', 'killed']; main()"], cwd=tmp_path)
        while running.poll() is None and not _programs(tmp_path / "killed"):
            time.sleep(0.01)
        running.kill()
        running.wait()
    assert imported(deltanas, source, "killed") | {"run": "", "added": {}} == imported(deltanas, source, "whole") | {
        "run": "",
        "added": {},
    }
    held = []
    for folder in ("killed", "whole"):
        with read_folder(tmp_path / folder).open() as run:
            held.append((run.trials.sources(), run.trials.trials()))
    assert held[0] == held[1]


def _programs(path: Path) -> int:
    try:
        with read_folder(path).open() as run:
            return len(run.trials.identities())
    except DeltanasError:
        return 0
