"""The control that nobody asks for: drawn beside some slots, on their parents, at nobody's cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from deltanas.askers import askers
from deltanas.journal import Journal
from deltanas.novelty import NoveltyGate, SeedGate
from deltanas.propose import OutsideSettings
from deltanas.referee import Bench, Referee, Rules
from deltanas.referee.control import is_due
from deltanas.seams import Ask, Proposal
from deltanas.task import CLASSIFY
from scripted_referee import Levels, begun, plan_of, searched
from support import block


class Drawn:
    strategy = "random"
    batch = 1

    def __init__(self) -> None:
        self.asks: list[Ask] = []

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        self.asks += asks
        return [self._one(ask) for ask in asks]

    def _one(self, ask: Ask) -> Proposal:
        level = ask.rng("level").randrange(480, 500)
        return Proposal(ask.parent.edited("net", f"level = {level}\ndrawn = {ask.index}\n"), "drawn", "exact")


@pytest.mark.parametrize(("share", "number"), [(0.0, 0), (0.25, 5), (0.5, 10), (1.0, 20)])
def test_its_slots_are_spread_over_the_run(share: float, number: int) -> None:
    plan = plan_of(4, 5)
    due = [is_due(plan, (cycle, index), share) for cycle in range(1, 5) for index in range(5)]
    assert sum(due) == number
    if number == 5:
        assert [place for place, one in enumerate(due) if one] == [3, 7, 11, 15, 19]


def test_it_has_the_parent_of_its_slot_and_costs_nobody_anything(tmp_path: Path) -> None:
    plan, drawn, levels = plan_of(1, 4), Drawn(), Levels()
    folder = begun(tmp_path / "run", plan)
    bench = Bench(levels, (SeedGate(),), NoveltyGate(), drawn)
    held = Referee(folder, plan, Rules(CLASSIFY, OutsideSettings(control=0.5, trainings=4)), lambda: bench)
    for number in range(4):
        slot = held.ask("ann").slot
        assert slot
        held.tell(slot, edit=block("level = 500", f"level = {510 + number}"))
    assert held.ask("ann").reason.startswith("over budget: 4 of 4 trainings"), "those of the control are not hers"
    with folder.open(writer=True) as run:
        searched(run, plan)
        view = run.view()
    assert view.finished, "the slots of the control are none to wait for"
    control = [row for row in view.candidates if row.strategy == "random"]
    assert [(row.cycle, row.index) for row in control] == [(1, 5), (1, 7)]
    parents = {(row.cycle, row.index): row.parent for row in view.candidates}
    assert [row.parent for row in control] == [parents[1, 1], parents[1, 3]]
    told = askers(Journal(view.candidates), view.leases, view.duels)
    assert [(each.name, each.told, each.trainings) for each in told] == [("", 2, 2), ("ann", 4, 4)]
    assert all(each.gain and each.gain.low <= each.gain.value <= each.gain.high for each in told)
