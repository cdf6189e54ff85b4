"""Every released archive still opens and reads the same; `tests/archives/make.py` writes one a version."""

from __future__ import annotations

import json
import runpy
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from deltanas.archive import list_runs, open_run, sqlite_url
from deltanas.program import EMPTY, Failed, Trained
from deltanas.records import Candidate

ARCHIVES = Path(__file__).parents[1] / "archives"
KEPT = sorted(ARCHIVES.glob("*.db"))


def known_then(now: object, then: object) -> object:
    """What is read now, without the fields that the version that wrote it did not have."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {key: known_then(value, then[key]) for key, value in now.items() if key in then}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [known_then(*pair) for pair in zip(now, then, strict=True)]
    return now


def renamed(wrote: object, kind: bool = False) -> object:
    """What 0.1.0 wrote, under today's names. kind: the goal is the kind of an edit, as no model was asked."""
    if isinstance(wrote, list):
        return [renamed(each, kind) for each in wrote]
    if not isinstance(wrote, dict):
        return wrote
    if "net" in wrote:
        parts = {part: wrote[part] for part, empty in EMPTY.items() if wrote[part] != empty}
        known = {"id": wrote["id"]} if "id" in wrote else {}
        return {"parts": parts, "parents": [wrote["parent"]] if wrote["parent"] else [], **known}
    kind = kind or wrote.get("strategy") == "random"
    names = {"accuracy": "score", "goal": "kind"} if kind else {"accuracy": "score"}
    return {names.get(key, key): renamed(value, kind) for key, value in wrote.items()}


def test_there_are_kept_archives() -> None:
    assert [file.name for file in KEPT][:1] == ["0.1.0.db"]


@pytest.mark.parametrize("kept", KEPT, ids=lambda file: file.name)
def test_a_kept_archive_reads_the_same_and_can_go_on(kept: Path, tmp_path: Path) -> None:
    shutil.copy(kept, tmp_path)
    url = sqlite_url(tmp_path / kept.name)
    as_json = runpy.run_path(str(ARCHIVES / "make.py"))["as_json"]
    with open_run(url, "kept") as reader:
        wrote = json.loads(kept.with_suffix(".json").read_text(encoding="utf-8"))
        wrote = renamed(wrote) if kept.stem == "0.1.0" else wrote
        view = reader.view()
        assert known_then(json.loads(as_json(view)), wrote) == wrote
        scored = [each for each in view.candidates if isinstance(each.outcome, Trained | Failed)]
        assert all(each.trainings == (each.outcome,) for each in scored), "each was trained once"
        assert all(attempt.round == number for c in view.candidates for number, attempt in enumerate(c.attempts))
        assert reader.damage() == []
    assert [(run.name, run.finished is None) for run in list_runs(url)] == [("kept", False), ("cut off", True)]
    with open_run(url, "cut off", writer=True) as writer:
        (base,) = writer.candidates()
        new = Candidate(1, 0, "random", None, base.draft)
        writer.open([new])
        writer.record(1, 0, Trained(0.5, 10, 1, 1.0, 1.0, "A"), Trained(0.5, 10, 1, 1.0, 1.0, "A"))
        score = Trained(0.5, 10, 1, 1.0, 1.0, "A")
        assert writer.candidates() == [base, replace(new, outcome=score, trainings=(score,))]


def test_a_model_whose_tokens_were_estimated_loses_the_note_in_its_name(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    shutil.copy(KEPT[0], file)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE calls SET model = 'a%b (tokens estimated)' WHERE attempt = 0")
    with open_run(sqlite_url(file), "kept") as reader:
        calls = [call for c in reader.candidates() for attempt in c.attempts for call in attempt.calls]
    assert {(call.model, call.estimated) for call in calls} == {("a%b", True), ("smollm2", False)}


@pytest.mark.parametrize(
    ("manifest", "epochs"),
    [('{"config": {"train": {"epochs": 5}}}', 5), ('{"config": {"train": {"epochs": "auto"}}}', 0), ("{}", 0)],
)
def test_trainings_of_old_runs_have_the_length_that_the_run_was_set(tmp_path: Path, manifest: str, epochs: int) -> None:
    file = tmp_path / "old.db"
    shutil.copy(KEPT[0], file)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE runs SET manifest = ?", (manifest,))
    with open_run(sqlite_url(file), "kept") as reader:
        made = [each for c in reader.candidates() for each in (c.outcome, *c.trainings)]
    assert {each.epochs for each in made if isinstance(each, Trained | Failed)} == {epochs}
    assert not any(each.cached for each in made if isinstance(each, Trained))
