"""A task is a record in `task.py` and its other half in `train/tasks.py`: the sandbox trains for it, the loop ranks by
it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from house import House, toy

READ = """
import json, deltanas
from deltanas.journal import Journal
from deltanas.task import TASKS, task_of

view = deltanas.open_run("run")
outcomes = [each for candidate in view.candidates for each in candidate.trainings]
kept = [float(TASKS["ink"].unpacked(each.per_image, each.n).mean()) for each in outcomes]
parents = [candidate.score for candidate in Journal(view.candidates, metric=task_of(view.manifest).metric).parents]
print(json.dumps([view.manifest["config"]["task"], [each.score for each in outcomes], kept, parents]))
"""


def test_a_task_touches_two_files(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.change("task.py", ("", toy("task.txt")))
    house.change("train/tasks.py", ("", toy("child_task.txt")))
    (tmp_path / "number.py").write_text(toy("number.txt"))

    small = ("--task", "ink", "--strategy", "random", "--baseline", "number.py", "--prm", "lr=0.02")
    house.run("search", *small, "--cycles", 2, "--candidates", 3, "--unsafe", "--run", "run")
    assert house.touched == {"task.py", "train/tasks.py"}

    task, scores, kept, parents = json.loads(house.python(READ))
    assert task == "ink"
    assert len(scores) >= 4
    assert min(scores) < 0.05, "the error of a guess is about 0.07"
    assert kept == pytest.approx(scores), "the scores of the images are kept"
    assert parents == sorted(parents), "less is better"
    page = house.run("report", "run").stdout.strip()
    assert (tmp_path / page).exists()
