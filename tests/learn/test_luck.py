from __future__ import annotations

from random import Random
from statistics import fmean, pvariance

import pytest

from deltanas.learn.luck import SHRINK, Trainings, seed_luck, without_luck


def trainings(parent: str, *accuracies: float, seeds: tuple[int, ...] = ()) -> Trainings:
    return Trainings(parent, accuracies, seeds or tuple(range(len(accuracies))))


def test_a_seed_is_lucky_by_the_parents_that_have_all_seeds() -> None:
    rows = [trainings("a", 0.5, 0.58), trainings("b", 0.6, 0.64), trainings("c", 0.9, seeds=(1,))]
    assert seed_luck(rows) == pytest.approx({0: -0.03, 1: 0.03})
    assert seed_luck(rows[1:]) == {} == seed_luck([]), "one parent has no luck apart from its own"


def test_the_luck_of_a_cell_comes_from_its_other_programs() -> None:
    parents = {"a": trainings("a", 0.5, 0.56)}
    edits = [trainings("a", 0.6, seeds=(0,)), trainings("a", 0.64, seeds=(1,)), trainings("a", 0.68, seeds=(1,))]
    first, second, third, parent = without_luck(parents, edits, {})
    assert first == pytest.approx([0.6 + 0.03 / (1 + SHRINK)]), "of its parent alone"
    # Edits stand at .64 on average, the parent at .53: the cell of seed 1 was seen to be lucky by .03, .00 and .04.
    assert second == pytest.approx([0.64 - (0.03 + 0.04) / (2 + SHRINK)])
    assert third == pytest.approx([0.68 - 0.03 / (2 + SHRINK)])
    assert parent == pytest.approx([0.5 + 0.04 / (1 + SHRINK), 0.56 - 0.04 / (2 + SHRINK)])


def test_what_is_left_of_a_gain_is_nearer_to_the_truth() -> None:
    chance = Random(0)
    wrong: dict[bool, list[float]] = {False: [], True: []}
    parents, edits, truths = {}, [], []
    for name in map(str, range(30)):
        luck = [chance.gauss(0, 0.012) for _ in range(8)]
        parents[name] = trainings(name, *(0.8 + one + chance.gauss(0, 0.014) for one in luck))
        for number in range(80):
            truths.append(0.8 + chance.gauss(0, 0.008))
            seen = truths[-1] + luck[number % 8] + chance.gauss(0, 0.014)
            edits.append(trainings(name, seen, seeds=(number % 8,)))
    for edit, found, truth in zip(edits, without_luck(parents, edits, {}), truths, strict=False):
        wrong[False].append(edit.accuracies[0] - truth)
        wrong[True].append(found[0] - truth)
    assert pvariance(wrong[True]) < 0.75 * pvariance(wrong[False])
    assert abs(fmean(wrong[True])) < 0.002
