"""Regularised evolution: who may be a parent, and that old age ends it."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from deltanas.journal import Journal
from deltanas.program import Failed, Program, Trained
from deltanas.propose import EvolutionProposer, RandomProposer, Space, Tournament
from deltanas.records import Candidate, Draft
from deltanas.seams import Ask, Slot

pytest_plugins = ["tiny_model"]


def row(number: int, accuracy: float | None) -> Candidate:
    outcome = Failed("error", "", 0, 0, "C") if accuracy is None else Trained(accuracy, 10, 0, 0.0, 0.0, "C")
    return Candidate(number // 4, number % 4, "x", None, Draft(Program.of(net=f"{number}")), (), outcome)


def parents(journal: list[Candidate], tournament: Tournament, n: int = 400) -> Counter[str]:
    rng = Random(0)
    return Counter(tournament(Slot(2, 0), Journal(journal), rng).net for _ in range(n))


def test_the_old_leave_however_good_they_are() -> None:
    journal = [row(0, 0.9), row(1, 0.5), row(2, 0.6), row(3, 0.7)]
    assert parents(journal, Tournament(population=4, share=1)) == {"0": 400}
    assert parents(journal, Tournament(population=3, share=1)) == {"3": 400}
    assert set(parents(journal, Tournament(population=3, share=0.01))) == {"1", "2", "3"}


def test_a_tournament_is_won_by_the_best_of_a_uniform_sample() -> None:
    journal = [row(number, number / 10) for number in range(4)]
    counts = parents(journal, Tournament(population=4, share=0.5), 6000)
    # Of the six pairs the best wins three, the next two, the next one. Five deviations are 194.
    for number, expected in (("3", 3000), ("2", 2000), ("1", 1000)):
        assert abs(counts[number] - expected) < 194
    assert counts["0"] == 0


def test_what_failed_is_no_parent_and_takes_no_place() -> None:
    journal = [row(0, 0.9), row(1, 0.5), row(2, None), row(3, None)]
    assert set(parents(journal, Tournament(population=2, share=0.5))) == {"0", "1"}


@pytest.mark.parametrize("index", range(5))
def test_mutations_are_the_controls_draws(small: Program, index: int) -> None:
    ask = Ask(1, index, 0, f"0:1:{index}:0", small)
    space = Space(None)
    assert EvolutionProposer(space).propose([ask]) == RandomProposer(space).propose([ask])
    assert EvolutionProposer(space).strategy == "evolution"
