"""What a search says of its own ranking between the cycles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deltanas.journal import Journal
from deltanas.narrate import Narrator
from deltanas.program import Program, Trained, combined
from deltanas.records import Attempt, Candidate, Draft
from deltanas.seams import Began, Phase, Planned, Settled


def journal(seeds: int) -> list[Candidate]:
    rng = np.random.default_rng(0)
    candidates = []
    for index in range(16):
        level = 0.5 + 0.02 * index
        trainings = tuple(
            Trained(float(np.clip(level + rng.normal(0, 0.005), 0, 1)), 100, seed, 1.0, 1.0, "A")
            for seed in range(seeds)
        )
        draft = Draft(Program.of(f"x = {index}\n"))
        candidates.append(Candidate(1, index, "random", None, draft, (), combined(trainings), trainings))
    return candidates


@pytest.mark.parametrize(("seeds", "said"), [(3, True), (1, False)])
def test_with_repeats_a_cycle_begins_with_what_the_ranking_is_worth(
    capsys: pytest.CaptureFixture[str], seeds: int, said: bool
) -> None:
    narrator = Narrator()
    narrator(Planned(2, 40, seeds, 4, Journal(journal(seeds))))
    narrator(Began(2, "propose", 8))
    heard = capsys.readouterr().err
    assert (
        "the ranking separates the best 4 from the rest: about 4.0 of them are truly among the best" in heard
    ) is said
    narrator(Began(2, "train", 8))
    assert "the ranking" not in capsys.readouterr().err


def test_what_is_not_known_yet_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    narrator = Narrator()
    narrator(Planned(2, 40, 2, 3, Journal(journal(2)[:1])))
    narrator(Began(2, "test", 0))
    assert "it is not known how well the ranking separates" in capsys.readouterr().err
    quiet = Narrator(quiet=True)
    quiet(Planned(2, 40, 2, 3, Journal(journal(2))))
    quiet(Began(2, "propose", 8))
    assert "ranking" not in capsys.readouterr().err


def test_in_a_long_run_the_ranking_is_judged_again_once_it_has_grown(capsys: pytest.CaptureFixture[str]) -> None:
    narrator, held = Narrator(), journal(3)
    narrator(Planned(9, 40, 3, 4, Journal([replace(c, cycle=1 + number // 4) for number, c in enumerate(held * 4)])))
    heard: list[tuple[int, Phase, bool]] = [
        (0, "propose", True),
        (3, "propose", False),
        (0, "test", True),
        (4, "propose", True),
    ]
    for settled, phase, said in heard:
        for candidate in held[:settled]:
            narrator(Settled(candidate))
        narrator(Began(9, phase, 8))
        assert ("the ranking separates" in capsys.readouterr().err) is said, (settled, phase)


def test_what_the_screen_was_worth_is_told_after_each_cycle_and_once(capsys: pytest.CaptureFixture[str]) -> None:
    """However long the run is; a screen that ranks the wrong way is told to be off, and foretells nothing after."""
    score = Trained(0.5, 100, 0, 1.0, 1.0, "A")
    root = Candidate(0, 0, "baseline", None, Draft(Program.of("root = 1\n")), (), score, (score,))
    assert root.program
    parent = root.program.id

    def made(cycle: int, index: int, predicted: float | None) -> Candidate:
        made = Trained(0.5 - index / 100, 100, 0, 1.0, 1.0, "A")
        tried = (Attempt("", "exact", "", None, predicted=predicted),)
        return Candidate(
            cycle, index, "random", parent, Draft(Program.of(f"x = {cycle, index}\n")), tried, made, (made,)
        )

    old = [root, *(made(1, index, None) for index in range(400))]
    narrator = Narrator()
    narrator(Planned(9, 500, 1, 3, Journal([*old, made(2, 0, 0.0)])))
    for cycle, said in ((2, None), (3, "in cycle 2"), (4, "in cycle 3"), (5, None)):
        narrator(Began(cycle, "propose", 12))
        heard = capsys.readouterr().err
        assert ("screen: " in heard) is (said is not None), (cycle, heard)
        assert said is None or (said in heard and "the screen is off from here" in heard)
        for index in range(int(cycle == 2), 12):
            narrator(Settled(made(cycle, index, index / 100 if cycle < 4 else None)))


def test_an_early_warning_of_a_collapse_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Ten families in the first cycle, one in the second."""
    named = Attempt("", None, "", None)
    roots = [Candidate(0, i, "baseline", None, Draft(Program.of(f"root = {i}\n")), (named,)) for i in range(10)]
    names = [c.program.id for c in roots if c.program]

    def made(cycle: int, index: int) -> Candidate:
        parent = names[index % 10 if cycle == 1 else 0]
        score = Trained(0.5, 100, 0, 1.0, 1.0, "A")
        draft = Draft(Program.of(f"made = {cycle, index}\n"))
        return Candidate(cycle, index, "random", parent, draft, (), score, (score,))

    score = Trained(0.5, 100, 0, 1.0, 1.0, "A")
    narrator = Narrator()
    rows = [replace(root, outcome=score, trainings=(score,)) for root in roots]
    narrator(Planned(3, 40, 1, 3, Journal(rows)))
    for cycle in (1, 2):
        for index in range(20):
            narrator(Settled(made(cycle, index)))
        narrator(Began(cycle + 1, "propose", 20))
        heard = capsys.readouterr().err
        assert ("Warning of a collapse: 10.0 families of equal weight in cycle 1, 1.0 in 2" in heard) is (cycle == 2)
        assert "the ranking" not in heard, "nothing was repeated"
