"""The table of augmentation policies: what it enumerates, and whether its rows come out again."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks.policies import again, main, policies
from benchmarks.table import Row
from deltanas.errors import UsageError
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.program.transforms import MENU, read_transform
from deltanas.seams import Built, Split

SCORED = Trained(0.5, 4, 7, 1.0, 1.0, "A", per_image=b"\xf0")
ENDED = Failed("output", "not finite", 1.0, 1.0, "A")


class OneOutcome:
    """A runner all of whose trainings end alike."""

    tier = "A"

    def __init__(self, outcome: Trained | Failed) -> None:
        self.outcome = outcome
        self.splits: list[Split] = []

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        raise NotImplementedError

    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
    ) -> Iterator[tuple[int, Trained | Failed]]:
        self.splits.append(split)
        yield from enumerate([self.outcome] * len(programs))


def row_of(**kept: object) -> Row:
    return {"policy": "none", "kind": "usual", "seed": 7, "score": 0.5, "failure": None, "transform": "", **kept}


def test_rows_that_come_out_again_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    again([row_of(), row_of()], "mlp", 20, OneOutcome(SCORED), "validation")
    assert capsys.readouterr().out == "2 of 2 rows give equal digits\n"
    runner = OneOutcome(SCORED)
    again([row_of(n=4, per_image="8A==")], "mlp", 1, runner, "test")
    assert runner.splits == ["test"], "the finals are scored on the test images"
    again([row_of(score=None, failure="not finite")], "mlp", 1, OneOutcome(ENDED), "validation")


@pytest.mark.parametrize(
    ("row", "outcome", "split", "differs"),
    [
        (row_of(score=0.25), SCORED, "validation", r"score was 0\.25, and is 0\.5"),
        (row_of(score=None, failure="out of memory"), ENDED, "validation", "failure was out of memory, and is not fin"),
        (row_of(n=4, per_image="AA=="), SCORED, "test", "per_image was AA==, and is 8A=="),
    ],
)
def test_a_row_that_does_not_come_out_again_is_named(
    row: Row, outcome: Trained | Failed, split: Split, differs: str
) -> None:
    with pytest.raises(UsageError, match=f"none with seed 7: {differs}"):
        again([row], "mlp", 1, OneOutcome(outcome), split)


def test_no_rows_are_none_that_come_out_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options in ((), ("--finals", "8")):
        monkeypatch.setattr(sys, "argv", ["policies", "--out", str(tmp_path / "a"), "--again", "20", *options])
        with pytest.raises(UsageError, match="holds no row to train again"):
            main()
    assert not list(tmp_path.iterdir())


def test_the_policies_of_grey_images_leave_out_what_needs_colour() -> None:
    grey, colour = policies(1), policies(3)
    assert {step.name for policy in colour for step in policy.steps} == set(MENU)
    assert {step.name for policy in grey for step in policy.steps} == {one.name for one in MENU.values() if one.singles}
    assert [policy.name for policy in grey[:4]] == ["none", "flip", "crop+flip", "TrivialAugment"]


def test_no_two_policies_are_alike_and_each_is_of_the_menu() -> None:
    found = policies(3)
    assert len({policy.text for policy in found}) == len({policy.name for policy in found}) == len(found)
    for policy in found:
        assert read_transform(policy.text) == policy.steps
    assert Counter(policy.kind for policy in found).keys() == {"usual", "single", "pair"}
