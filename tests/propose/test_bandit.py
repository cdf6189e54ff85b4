"""The bandit over kinds of edits: without a journal it knows no favourite, with one it takes what pays, not always."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from deltanas import thompson
from deltanas.journal import Journal
from deltanas.program import Program, Trained
from deltanas.propose import BanditProposer, Space
from deltanas.propose.bandit import ThompsonKinds, by_step
from deltanas.propose.edits import open_edits
from deltanas.records import Attempt, Candidate, Draft
from deltanas.seams import Ask

pytest_plugins = ["tiny_model"]
KINDS = ["activation", "pooling", "pooling", "pooling", "width"]


def row(index: int, kind: str, accuracy: float, parent: str | None) -> Candidate:
    draft = Draft(Program.of(net=f"x = {index}", parents=(parent,) if parent else ()))
    outcome = Trained(accuracy, 10, 0, 0.0, 0.0, "C")
    return Candidate(
        1 if parent else 0, index, "bandit", parent, draft, (Attempt("", "exact", "", None, kind=kind),), outcome
    )


def journal(gains: dict[str, list[float]]) -> list[Candidate]:
    base = row(0, "base", 0.5, None)
    assert base.program
    told = [(kind, gain) for kind, values in gains.items() for gain in values]
    made = [row(number, kind, 0.5 + gain, base.program.id) for number, (kind, gain) in enumerate(told, 1)]
    return [base, *made]


def choices(known: list[Candidate], n: int = 600) -> Counter[str]:
    asks = [Ask(2, index, 0, f"0:2:{index}:0", Program.of(net=""), journal=Journal(known)) for index in range(n)]
    kinds = ThompsonKinds()
    return Counter(kinds(ask)(KINDS) for ask in asks)


def test_without_a_journal_each_kind_is_as_likely_however_many_edits_are_of_it() -> None:
    counts = choices([])
    # 600 draws of one in three: five deviations are 58.
    assert all(abs(counts[kind] - 200) < 58 for kind in set(KINDS))


def test_what_paid_is_taken_the_more_the_surer_it_is() -> None:
    few = choices(journal({"activation": [0.03], "pooling": [-0.03], "width": [0.0]}))
    many = choices(
        journal({"activation": [0.02, 0.04] * 10, "pooling": [-0.02, -0.04] * 10, "width": [-0.01, 0.01] * 10})
    )
    assert few["activation"] > few["width"] > few["pooling"] > 0
    assert many["activation"] > 590


def test_the_gains_are_read_once_a_cycle_and_again_when_they_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    pooled = thompson.pooled

    def counted(gains: dict[str, list[float]]) -> float:
        read.append(sum(map(len, gains.values())))
        return pooled(gains)

    monkeypatch.setattr(thompson, "pooled", counted)
    held, kinds = Journal(journal({"activation": [0.03], "pooling": [-0.03]})), ThompsonKinds()
    later = row(3, "width", 0.6, held[0].program.id if held[0].program else None)
    for cycle in (2, 2, 2, 3, 3):
        if cycle == 3 and held[-1].cycle == 1:
            held.open([replace(later, cycle=2)])
        kinds(Ask(cycle, 0, 0, f"0:{cycle}:0:0", Program.of(net=""), journal=held))(KINDS)
    assert read == [0, 2, 3], "nothing before the first ask, then each cycle's once"


def test_the_spread_is_that_within_kinds() -> None:
    assert thompson.pooled({"activation": [1.0], "pooling": [5.0]}) == thompson.SPREAD
    assert thompson.pooled({"activation": [1.0, 3.0], "pooling": [11.0, 13.0]}) == pytest.approx(2**0.5)
    assert thompson.pooled({"activation": [0.0, 0.0], "pooling": [0.0]}) == thompson.SPREAD


@pytest.mark.parametrize("index", range(6))
def test_an_edit_is_of_the_kind_that_was_drawn(small: Program, index: int) -> None:
    ask = Ask(
        2, index, 0, f"0:2:{index}:0", small, journal=Journal(journal({"activation": [0.1, 0.2], "width": [-0.1]}))
    )
    [proposal] = BanditProposer(Space(None, ThompsonKinds())).propose([ask])
    assert proposal.kind == ThompsonKinds()(ask)([edit.kind for edit in open_edits(ask)])
    assert [proposal] == BanditProposer(Space(None, ThompsonKinds())).propose([ask])


def test_the_gain_of_a_composite_is_shared_by_its_steps() -> None:
    shared = by_step({"activation": [0.1], "activation+width+width": [0.3, -0.6]})
    assert shared == {"activation": pytest.approx([0.1, 0.1, -0.2]), "width": pytest.approx([0.1, -0.2, 0.1, -0.2])}
