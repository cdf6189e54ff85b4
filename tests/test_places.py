"""A run goes on where what it needs lies elsewhere; what lies there must be the same."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from typer.testing import CliRunner

from deltanas import wiring
from deltanas.archive import read_folder
from deltanas.cli import app
from deltanas.errors import ArchiveError, DataError, DeltanasError, UsageError
from deltanas.nets import baseline
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.sandbox import LocalPool
from deltanas.seams import Built, silent
from deltanas.wiring import open_search
from faulty_server import Server, says

pytest_plugins = ["tiny_model"]

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.integers(0, 256, (90, 8, 8), np.uint8), np.arange(90) % 3
FAST = {"strategy": "random", "baselines": ["mlp"], "cycles": 1, "candidates": 1, "finals": 0}
TRAIN = {"epochs": 1, "workers": 1}


class Quick(LocalPool):
    """Starts no process: what is asked here is whether a run goes on, not how it trains."""

    tier = "A"

    def __enter__(self) -> Self:
        return self

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        return [Built(1, 1, program.id, (None,) * 4) for program in programs]

    def train(self, programs: Sequence[Program], **_: object) -> Iterator[tuple[int, Trained | Failed]]:
        yield from ((place, Trained(0.5, 18, 0, 0.1, 0.1, "A")) for place, _ in enumerate(programs))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "open_pool", lambda dataset, *_: Quick(dataset))
    monkeypatch.setattr(wiring, "kept_builds", lambda runner: runner)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with data in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    np.savez(folder / "data.npz", x=X, y=Y)
    monkeypatch.chdir(folder)
    return folder


def searched(path: Path | str, **given: Any) -> int:
    """Number of candidates in the run after the search, baselines too."""
    with open_search({"train": TRAIN, **given}, Path(path), silent) as opened:
        if opened.search:
            opened.search.run()
        return len(opened.run.candidates())


@contextmanager
def answering() -> Iterator[Server]:
    with Server() as server:
        server.otherwise = says("no edit")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.over.set()
        server.shutdown()


def begun(**given: Any) -> None:
    assert searched("runs/r", **{**FAST, "dataset": "npz:data.npz", **given}) == 2


def stored(path: Path | str, key: str) -> object:
    with read_folder(Path(path)).open() as run:
        config = run.manifest["config"]
        assert isinstance(config, dict)
        return config[key]


@pytest.mark.usefixtures("quick")
def test_data_that_moved_is_given_anew(project: Path) -> None:
    begun()
    shutil.move("data.npz", "images.npz")
    with pytest.raises(DataError, match=r"not at .*data\.npz any more") as caught:
        searched("runs/r", cycles=2)
    assert caught.value.hint.endswith("--dataset npz:PLACE")
    assert searched("runs/r", cycles=2, dataset="npz:images.npz") == 3
    assert stored("runs/r", "dataset") == "npz:images.npz"
    assert searched("runs/r", cycles=3) == 4, "the new place is kept"


@pytest.mark.usefixtures("quick")
def test_data_that_is_given_anew_from_another_directory_is_found_from_there(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun()
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    shutil.move("data.npz", elsewhere / "data.npz")
    monkeypatch.chdir(elsewhere)
    assert searched("../runs/r", cycles=2, dataset="npz:data.npz") == 3
    assert searched("../runs/r", cycles=3, dataset="npz:../elsewhere/data.npz") == 4
    monkeypatch.chdir(project.parent)
    assert searched("project/runs/r", cycles=4) == 5


@pytest.mark.parametrize("way", ["from another directory", "project moved", "data and run moved", "project copied"])
@pytest.mark.usefixtures("quick")
def test_relative_data_is_found_again(project: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    begun()
    elsewhere = project.parent / "elsewhere"
    match way:
        case "from another directory":
            elsewhere.mkdir()
            monkeypatch.chdir(elsewhere)
            run = project / "runs" / "r"
        case "project moved" | "project copied":
            (shutil.move if way == "project moved" else shutil.copytree)(project, elsewhere)
            monkeypatch.chdir(project.parent)
            run = elsewhere / "runs" / "r"
        case _:
            elsewhere.mkdir()
            shutil.move(project / "runs" / "r", elsewhere / "r")
            shutil.move(project / "data.npz", elsewhere / "data.npz")
            monkeypatch.chdir(elsewhere)
            run = elsewhere / "r"
    assert searched(run, cycles=2) == 3


@pytest.mark.usefixtures("quick")
def test_an_absolute_path_is_found_where_the_project_moved(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(dataset=f"npz:{project / 'data.npz'}")
    moved = project.parent / "moved"
    shutil.move(project, moved)
    monkeypatch.chdir(moved)
    assert searched("runs/r", cycles=2) == 3


@pytest.mark.usefixtures("quick")
def test_other_data_is_refused_at_any_place(project: Path) -> None:
    begun()
    np.savez("other.npz", x=X[::-1], y=Y)
    with pytest.raises(DataError, match="`sha256` was"):
        searched("runs/r", cycles=2, dataset="npz:other.npz")
    with pytest.raises(DataError, match="is not what the run was begun with"):
        searched("runs/r", dataset="digits")
    assert stored("runs/r", "dataset") == "npz:data.npz"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("version", [metadata.version("deltanas"), "0.1.0"])
def test_data_that_another_version_may_have_read_otherwise_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    known = metadata.version
    with monkeypatch.context() as then:
        then.setattr(metadata, "version", lambda name: version if name == "deltanas" else known(name))
        begun()
    np.savez(project / "data.npz", x=X[::-1], y=Y)
    with pytest.raises(DataError, match="`sha256` was") as told:
        searched("runs/r", cycles=2)
    assert ("deltanas 0.1.0, which began it," in told.value.hint) == (version == "0.1.0")


def test_a_finished_run_learns_where_its_data_is_and_exports(project: Path) -> None:
    begun()
    shutil.move("data.npz", "images.npz")
    arguments = ["runs", "export", "runs/r", "--out", "e", "--top", "1", "--json"]
    assert isinstance(CliRunner().invoke(app, arguments).exception, DataError)
    given = CliRunner().invoke(app, [*arguments, "--dataset", "npz:images.npz"])
    assert given.exit_code == 0
    assert json.loads(given.stdout)[0]["test"]
    searched("runs/r", dataset="npz:images.npz")
    assert CliRunner().invoke(app, arguments).exit_code == 0


@pytest.mark.usefixtures("quick")
def test_a_model_answers_at_another_address(project: Path) -> None:
    given = {**FAST, "strategy": "delta", "retries": 0, "model": {"decoding": "free", "retries": 0}}
    with answering() as one, answering() as two:
        model = {"decoding": "free", "retries": 0}
        searched("runs/r", **{**given, "dataset": "npz:data.npz", "model": {**model, "spec": one.spec}})
        assert searched("runs/r", cycles=2, model={"spec": two.spec}) == 3
        other = two.spec.replace("#", "#another-")
        with pytest.raises(UsageError, match=r"was begun with `model.spec` ="):
            searched("runs/r", cycles=3, model={"spec": other})
        with pytest.raises(UsageError, match=r"was begun with `model.spec` ="):
            searched("runs/r", cycles=3, model={"spec": "smollm2"})


@pytest.mark.usefixtures("quick")
def test_a_model_on_this_machine_is_known_by_its_weights(project: Path) -> None:
    from tiny_model import save_tiny_model  # once pytest has registered it

    save_tiny_model(project / "model")
    given = {**FAST, "strategy": "delta", "retries": 0, "dataset": "npz:data.npz"}
    model = {"spec": "path:model", "max_tokens": 16}
    searched("runs/r", **given, model=model)
    shutil.move("model", "weights")
    assert searched("runs/r", cycles=2, model={"spec": "path:weights"}) == 3
    shutil.rmtree("weights")
    save_tiny_model(project / "weights", seed=1)
    with pytest.raises(UsageError, match="is not what it was at the start"):
        searched("runs/r", cycles=3)
    save_tiny_model(project / "strange", seed=2)
    with pytest.raises(UsageError, match=r"was begun with `model.spec` = 'path:weights', not 'path:strange'"):
        searched("runs/r", cycles=3, model={"spec": "path:strange"})


@pytest.mark.usefixtures("quick")
def test_the_run_holds_its_baselines(project: Path) -> None:
    Path("mine.py").write_text(baseline("mlp"))
    begun(baselines=["mine.py"])
    shutil.move("mine.py", "net.py")
    assert searched("runs/r", cycles=2) == 3, "its file is not needed"
    Path("mine.py").write_text(baseline("mlp").replace("128", "64"))
    assert searched("runs/r", cycles=3) == 4, "a file that changed since makes no difference"
    Path("there").mkdir()
    shutil.move("net.py", "there/mine.py")
    assert searched("runs/r", cycles=4, baselines=["there/mine.py"]) == 5
    with pytest.raises(UsageError, match="begun with other baselines: mine"):
        searched("runs/r", cycles=5, baselines=["mine.py"])
    with pytest.raises(UsageError, match="begun with other baselines: mine"):
        searched("runs/r", cycles=5, baselines=["nin"])
    with pytest.raises(UsageError, match="begun with other baselines: mine"):
        searched("runs/r", cycles=4, baselines=["nin"])  # it is finished
    assert searched("runs/r", cycles=4) == 5


@pytest.mark.usefixtures("quick")
def test_an_archive_moves(project: Path) -> None:
    place = f"sqlite:///{project}/one.db"
    begun(archive=place)
    shutil.move("one.db", "two.db")
    with pytest.raises(ArchiveError, match=r"one\.db"):
        searched("runs/r", cycles=2)
    moved = f"sqlite:///{project}/two.db"
    assert searched("runs/r", cycles=2, archive=moved) == 3
    assert searched("runs/r", cycles=3) == 4
    searched("other/r", **FAST, dataset="npz:data.npz", archive=place)
    with pytest.raises(DeltanasError, match=r"was begun at"):
        searched("runs/r", cycles=4, archive=place)
    assert searched("runs/r", cycles=4) == 5, "the folder still names its own"


@pytest.mark.usefixtures("quick")
def test_another_run_of_the_name_is_not_taken_for_one_of_an_earlier_version(project: Path) -> None:
    """Its `run.json` does not say when the run was begun; its archive does."""
    begun(archive=f"sqlite:///{project}/one.db")
    pointer = project / "runs/r/run.json"
    old = json.dumps({name: value for name, value in json.loads(pointer.read_text()).items() if name != "created"})
    pointer.write_text(old)
    other = f"sqlite:///{project}/two.db"
    searched("other/r", **FAST, dataset="npz:data.npz", archive=other)
    with pytest.raises(DeltanasError, match=r"was begun at"):
        searched("runs/r", cycles=4, archive=other)
    assert pointer.read_text() == old
    shutil.copy("one.db", "three.db")
    assert searched("runs/r", cycles=2, archive=f"sqlite:///{project}/three.db") == 3


@pytest.mark.usefixtures("quick")
def test_a_table_of_recipes_is_known_by_what_it_says(project: Path) -> None:
    row: dict[str, Any] = {"network": "mlp", "dataset": "d", "loss": "ce", "optimizer": "sgd", "arm": "fixed"}
    row |= {"phase": "score", "rate": 0.01, "seed": 1}
    table = project / "table.jsonl"
    table.write_text(json.dumps({**row, "score": 0.5, "chance": 0.1}) + "\n")
    given: dict[str, Any] = {"edits": "recipe", "recipes": {"prior": "table.jsonl"}}
    begun(**given)
    table.rename(project / "moved.jsonl")
    (project / "other.jsonl").write_text(json.dumps({**row, "score": 0.6, "chance": 0.1}) + "\n")
    with pytest.raises(UsageError, match="prior"):
        begun(**{**given, "recipes": {"prior": "other.jsonl"}, "cycles": 2})
    assert searched("runs/r", recipes={"prior": "moved.jsonl"}, cycles=2) == 3
    with pytest.raises(UsageError, match="`edits` has none") as caught:
        searched("second", dataset="npz:data.npz", recipes={"prior": "moved.jsonl"})
    assert "--edits net,recipe" in caught.value.hint
    other = {**given, "recipes": {"prior": "moved.jsonl"}}
    with pytest.raises(UsageError, match="does nothing with strategy full") as caught:
        searched("third", dataset="npz:data.npz", strategy="full", **other)
    assert "random" in caught.value.hint
