"""An objective is a figure of a candidate and its entry, in one file."""

from __future__ import annotations

import json
from pathlib import Path

from house import House, toy


def test_an_objective_touches_one_file(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.change(
        "objective.py",
        ("from deltanas.task import Better", "from deltanas.program import Trained\nfrom deltanas.task import Better"),
        ("", toy("objective.txt")),
    )
    small = ("--strategy", "random", "--cycles", 1, "--candidates", 2, "--epochs", 1, "--unsafe", "--run", "run")
    house.run("search", *small, "--baseline", "mlp", "--baseline", "nin", "--objective", "accuracy,cpu_seconds")
    assert house.touched == {"objective.py"}
    front = json.loads(house.run("runs", "show", "run", "--json").stdout)["front"]
    assert front["members"], "no network is on the front"
    for member in front["members"]:
        price = {one["name"]: one for one in member["prices"]}["cpu_seconds"]
        assert price["value"] > 0
        assert price["ratio"] > 0
