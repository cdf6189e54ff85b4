"""The pairs of a test: each counts once, whoever cuts one off or trains it beside, and what they took is spent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from deltanas.archive import RunFolder
from deltanas.program import Failed, Program, Trained
from deltanas.propose import OutsideSettings
from deltanas.seams import Split
from scripted_referee import Levels, begun, plan_of, referee
from support import block

BETTER = block("level = 500", "level = 560")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return begun(tmp_path / "run", plan_of())


def test_a_pair_that_is_cut_off_is_trained_again_with_its_seed(folder: RunFolder) -> None:
    """Else who cuts off what goes badly would pick the pairs that count."""

    class Cut(Levels):
        def train(
            self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
        ) -> Iterator[tuple[int, Trained | Failed]]:
            yield from super().train(programs, seed=seed, split=split, epochs=epochs)
            if len(self.trained) == 5:
                raise KeyboardInterrupt

    levels = Cut()
    held = referee(folder, plan_of(), levels)
    slot = str(held.ask().slot)
    with pytest.raises(KeyboardInterrupt):
        held.tell(slot, edit=BETTER, settle=True)
    assert held.tell(slot, settle=True).verdict == "better"
    assert levels.trained[3:5] == levels.trained[5:7], "the second pair"


def test_a_pair_that_two_processes_train_at_once_counts_once(folder: RunFolder) -> None:
    class Beside(Levels):
        def train(
            self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
        ) -> Iterator[tuple[int, Trained | Failed]]:
            yield from super().train(programs, seed=seed, split=split, epochs=epochs)
            if len(self.trained) == 3:
                other.tell(slot, settle=True)

    few = OutsideSettings(trainings=3)
    held, other = referee(folder, plan_of(), Beside()), referee(folder, plan_of(), settings=few)
    slot = str(held.ask().slot)
    held.tell(slot, edit=BETTER, settle=True)
    with folder.open() as run:
        (duel,) = run.ledger.duels()
    seeds = [pair.seed for pair in duel.pairs]
    assert len(set(seeds)) == len(seeds)


def test_trainings_of_a_pair_that_fails_are_spent(folder: RunFolder) -> None:
    class Once(Levels):
        def outcome(self, program: Program, seed: int) -> Trained | Failed:
            found = super().outcome(program, seed)
            return found if len(self.trained) == 1 else Failed("timeout", "scripted", 5.0, 5.0, "C")

    levels = Once()
    held = referee(folder, plan_of(), levels, OutsideSettings(trainings=6, seconds=100, control=0.0))
    slot = str(held.ask("ann").slot)
    for _ in range(4):
        held.tell(slot, edit=BETTER, settle=True)
    assert len(levels.trained) == 5, "one, and two pairs"
    left = held.ask("ann").limits["left"]
    assert isinstance(left, dict)
    assert (left["trainings"], left["seconds"]) == (1, pytest.approx(100 - 0.1 - 4 * 5.0))


def test_no_test_changes_the_champion_of_a_run_that_has_ended(folder: RunFolder) -> None:
    """Its best were scored on the test images, so whoever goes on would choose by them."""
    held = referee(folder, plan_of())
    slot = str(held.ask().slot)
    assert held.tell(slot, edit=BETTER).verdict == "not shown"
    with held.writing() as run:
        run.finish()
    found = held.tell(slot, settle=True)
    assert (found.verdict, found.champion) == ("not shown", "a")
    assert "the run has ended" in found.reason
