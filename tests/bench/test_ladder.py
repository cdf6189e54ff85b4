"""The ladder against one length: seconds are kept, chance is shared, and a replay says what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ladder import SIMULATED, Search, Simulated, replayed, rungs, simulated, told
from benchmarks.ladder_table import Chosen, Table
from deltanas.errors import DataError
from deltanas.program import apply_edit
from deltanas.wiring import builtin_programs


def test_a_search_spends_its_seconds_and_hands_over_the_best_at_the_last_rung() -> None:
    world = Simulated("one")
    search = Search(world, rungs(1, 9), 200, "0")
    chosen = search.chosen()
    spent = sum(each.seconds for row in search.journal for each in row.trainings)
    assert 180 < spent <= 200
    assert world.levels[chosen]
    top = [row for row in search.journal if row.rung == 9]
    assert {len(row.trainings) for row in top} == {2}
    assert search.journal.top == 9
    again = Search(Simulated("one"), rungs(1, 9), 200, "0")
    assert again.chosen() == chosen


def test_arms_differ_by_what_they_train_alone() -> None:
    first, second = Simulated("one"), Simulated("one")
    assert first.child("r0", "1.3") == second.child("r0", "1.3")
    assert first.levels == second.levels
    assert first.score("1.3", 9, 0) == second.score("1.3", 9, 0) != first.score("1.3", 9, 1)
    lines = simulated(2, (60,), {"9": SIMULATED["9"], "again": rungs(9)}).splitlines()
    assert lines[2].split("|")[2] == lines[3].split("|")[2]
    assert len(lines) == 4


def table(folder: Path) -> Path:
    """Two families with two edits each; what starts fast ends low."""
    (folder / "meta.json").write_text(json.dumps({"lengths": {"short": [1, 4000, []], "long": [5, 10000, [1]]}}))
    scores = {"mlp": [(0.8, 0.6), (0.9, 0.5), (0.81, 0.7)], "vgg": [(0.5, 0.9), (0.4, 0.8), (0.6, 0.95)]}
    edits: list[dict[str, Any]] = []
    trainings: list[dict[str, Any]] = []
    for family, made in scores.items():
        root = builtin_programs({})[family]
        for place, (short, long) in enumerate(made):
            program = root
            if place:
                new = f"n = {place}\nclass Net(nn.Module):"
                edit = f"<<<<<<< SEARCH\nclass Net(nn.Module):\n=======\n{new}\n>>>>>>> REPLACE\n"
                program = root.edited("net", apply_edit(root.net, edit).source)
                edits.append({"family": family, "program": program.id, "steps": [{"of": "net", "edit": edit}]})
            for what, epochs, score in (("short", 1, short), ("long", 5, long)):
                reading = {"epochs": epochs, "averaged": True, "accuracy": score}
                first = {"epochs": epochs, "averaged": False, "accuracy": 0.0}
                row = {"program": program.id, "family": family, "what": what, "seed": 1, "cpu_seconds": float(epochs)}
                trainings.append({**row, "failure": None, "readings": [first, reading]})
    for name, rows in (("edits", edits), ("trainings", trainings)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_replay_of_measured_edits_finds_what_ends_high(tmp_path: Path) -> None:
    known = Table.read(table(tmp_path))
    assert (len(known.networks), known.lengths, known.mean_seconds) == (6, (1, 5), 5.0)
    found = replayed(known, 2, 20)
    best = {arm: [known.networks[each.name].scores[5] for each in rows] for arm, rows in found.items()}
    assert (best["long for all"], best["short for all"]) == ([[0.95]] * 2, [[0.5]] * 2)
    assert {score[0] for score in best["a ladder"]} <= {0.9, 0.95}, "what starts fast is no parent"
    assert {each.rival for each in found["a ladder"]} == {builtin_programs({})["vgg"].id}, "the best at the end"
    assert {name: program.id for name, program in known.programs.items()} == {name: name for name in known.networks}


def test_gains_are_paired_over_searches() -> None:
    rows = [Chosen("a", "r"), Chosen("b", "r")]
    said = told({"long for all": rows, "a ladder": [Chosen("b", "r")] * 2}, {"a": 0.5, "b": 0.7, "r": 0.6})
    assert said.splitlines()[2].startswith("| long for all | +0.0000 [")
    assert said.splitlines()[3].startswith("| a ladder | +0.1000 [+0.1000, +0.1000] | +0.1000 [")


def test_no_table_says_how_to_measure_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no table") as caught:
        Table.read(tmp_path)
    assert "benchmarks lengths" in caught.value.hint
