"""What a search says of its own ranking between the cycles."""

from __future__ import annotations

import numpy as np
import pytest

from deltanas.narrate import Narrator
from deltanas.program import Program, Trained, combined
from deltanas.seams import Candidate, Draft


def journal(seeds: int) -> list[Candidate]:
    rng = np.random.default_rng(0)
    candidates = []
    for index in range(16):
        level = 0.5 + 0.02 * index
        trainings = tuple(
            Trained(float(np.clip(level + rng.normal(0, 0.005), 0, 1)), 100, seed, 1.0, 1.0, "A")
            for seed in range(seeds)
        )
        draft = Draft(Program(f"x = {index}\n"))
        candidates.append(Candidate(1, index, "random", None, draft, (), combined(trainings), trainings))
    return candidates


@pytest.mark.parametrize(("seeds", "said"), [(3, True), (1, False)])
def test_with_repeats_a_cycle_begins_with_what_the_ranking_is_worth(
    capsys: pytest.CaptureFixture[str], seeds: int, said: bool
) -> None:
    narrator = Narrator()
    narrator.plan(2, 40, seeds, journal(seeds))
    narrator.begin(2, "propose", 8)
    heard = capsys.readouterr().err
    assert (
        "the ranking separates the best 4 from the rest: about 4.0 of them are truly among the best" in heard
    ) is said
    narrator.begin(2, "train", 8)
    assert "the ranking" not in capsys.readouterr().err


def test_what_is_not_known_yet_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    narrator = Narrator()
    narrator.plan(2, 40, 2, journal(2)[:1])
    narrator.begin(2, "test", 0)
    assert "it is not known how well the ranking separates" in capsys.readouterr().err
    quiet = Narrator(quiet=True)
    quiet.plan(2, 40, 2, journal(2))
    quiet.begin(2, "propose", 8)
    assert "ranking" not in capsys.readouterr().err
