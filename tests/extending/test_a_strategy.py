"""A strategy is one file of one's own, and none of the package's."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from deltanas.propose import Context
from deltanas.seams import Proposer
from deltanas.testing import ProposerContract
from house import House, toy


def test_a_strategy_touches_no_file_of_the_package(tmp_path: Path) -> None:
    house = House(tmp_path)
    (tmp_path / "firsts.py").write_text(toy("strategy.py"))
    small = ("--baseline", "mlp", "--cycles", 1, "--candidates", 2, "--train-size", 100, "--unsafe", "--run", "run")
    house.run("search", "--strategy", "firsts:FIRST", *small)
    assert house.touched == set()
    shown = json.loads(house.run("runs", "show", "run", "--json").stdout)
    assert [count["strategy"] for count in shown["counts"]] == ["first"]


class TestFirst(ProposerContract):
    """It holds the contract that strategies of other packages are tested by."""

    def proposer(self) -> Proposer:
        place = Path(__file__).parent / "toys" / "strategy.py"
        spec = importlib.util.spec_from_file_location("first_strategy", place)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        made: Proposer = module.FIRST.build(Context())
        return made
