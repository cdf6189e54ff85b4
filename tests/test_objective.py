"""Objectives: fronts, crowding, who is a parent and who is tested, against plain definitions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import inf
from random import Random
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltanas.errors import DeltanasError, UsageError
from deltanas.journal import Journal
from deltanas.objective import (
    COSTS,
    along,
    crowding,
    figures,
    front,
    hypervolume,
    improves,
    objectives_of,
    ranked,
    stored_objectives,
    told_measurement,
)
from deltanas.policy import POPULATION, AlongFront, by_rank, finalists
from deltanas.program import Failed, Program, Trained
from deltanas.records import Candidate, Draft, Measurement
from deltanas.seams import Slot
from deltanas.task import CLASSIFY

BOTH = objectives_of(["accuracy", "params"], CLASSIFY)
THREE = objectives_of(["accuracy", "params", "flops"], CLASSIFY)

SLOT = Slot(1, 0)


def row(place: int, score: float | None, params: int = 10, flops: int = 10, cycle: int = 0) -> Candidate:
    outcome = Failed("error", "x", 0, 0, "C") if score is None else Trained(score, 100, 0, 0, 0, "C")
    draft = Draft(Program.of(f"n = {cycle}, {place}\n"), params, flops)
    return Candidate(cycle, place, "x", None, draft, (), outcome)


def rows_of(points: Sequence[tuple[int, int, int]]) -> list[Candidate]:
    return [row(place, score / 10, params, flops) for place, (score, params, flops) in enumerate(points)]


POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6), st.integers(1, 4)), min_size=1, max_size=25)


def beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and any(a < b for a, b in zip(one, other, strict=True))


def fronts_by_definition(points: Sequence[Sequence[float]]) -> list[int]:
    """The number of each point's front: what is dominated by none of the rest is taken away, again and again."""
    found: dict[int, int] = {}
    number = 0
    while len(found) < len(points):
        left = [place for place in range(len(points)) if place not in found]
        here = [p for p in left if not any(beats(points[other], points[p]) for other in left)]
        found |= dict.fromkeys(here, number)
        number += 1
    return [found[place] for place in range(len(points))]


def known(rows: Sequence[Candidate], objectives: Sequence[object] = BOTH) -> list[tuple[float, ...]]:
    found = [figures(each, objectives) for each in rows]  # type: ignore[arg-type]
    return [each for each in found if each is not None]


@settings(max_examples=200, deadline=None)
@given(POINTS, st.sampled_from([BOTH, THREE]))
def test_rows_are_ranked_by_front_then_by_crowding_then_in_their_order(
    points: list[tuple[int, int, int]], objectives: Sequence[object]
) -> None:
    rows = rows_of(points)
    numbers = fronts_by_definition(known(rows, objectives))
    found = ranked(rows, objectives)  # type: ignore[arg-type]
    places = [each.index for each in found]
    assert sorted(places) == list(range(len(rows)))
    assert [numbers[place] for place in places] == sorted(numbers)
    for number in set(numbers):
        members = [place for place in range(len(rows)) if numbers[place] == number]
        scaled = np.array([[-rows[p].score, *np.log10([*known([rows[p]], objectives)[0][1:]])] for p in members])  # type: ignore[operator]
        distances = dict(zip(members, crowding(scaled), strict=True))
        kept = [place for place in places if numbers[place] == number]
        assert kept == sorted(members, key=lambda place: (-distances[place], place))


@settings(max_examples=200, deadline=None)
@given(POINTS, st.integers(0, 6))
def test_the_front_is_what_nothing_dominates_and_finals_lie_along_it(
    points: list[tuple[int, int, int]], count: int
) -> None:
    rows = rows_of(points)
    values = known(rows)
    expected = {value for value in values if not any(beats(other, value) for other in values)}
    found = front(rows, BOTH)
    assert [value[0] for value in known(found)] == sorted(value[0] for value in expected)
    assert set(known(found)) == expected
    assert len(found) == len(expected)
    assert all(each is next(r for r in rows if figures(r, BOTH) == figures(each, BOTH)) for each in found)
    chosen = along(rows, BOTH, count)
    assert len(chosen) == min(count, len(found))
    assert [each for each in found if each in chosen] == chosen
    if count >= 1:
        assert chosen[0] is found[0]
    if count >= 2:
        assert chosen[-1] is found[-1]


def test_the_crowding_distance_is_the_one_of_the_paper() -> None:
    points = np.array([[0.0, 10.0], [1.0, 6.0], [2.0, 5.0], [4.0, 0.0]])
    assert crowding(points).tolist() == [inf, 2 / 4 + 5 / 10, 3 / 4 + 6 / 10, inf]
    assert crowding(np.array([[1.0, 1.0]])).tolist() == [inf]
    assert crowding(np.ones((3, 2))).tolist() == [inf, 0.0, inf]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-2, 8), st.integers(-2, 8)), max_size=8))
def test_the_hypervolume_is_the_area_that_is_dominated(cells: list[tuple[int, int]]) -> None:
    points = np.array(cells, float).reshape(-1, 2) / 8
    covered = sum(any(x > a and y > b for x, y in cells) for a in range(8) for b in range(8))
    assert hypervolume(points) == pytest.approx(covered / 64)


def test_better_is_lower_for_a_cost_and_higher_for_the_metric() -> None:
    parent = row(0, 0.5, 100)
    (score,) = objectives_of([], CLASSIFY)
    assert improves(row(1, 0.6, 200), parent, [score])
    assert not improves(row(1, 0.5, 10), parent, [score])
    assert improves(row(1, 0.1, 99), parent, [COSTS["params"]])
    assert not improves(row(1, 0.9, 101), parent, [COSTS["params"]])
    assert improves(row(1, 0.5, 99), parent, BOTH)
    assert not improves(row(1, 0.6, 101), parent, BOTH)
    assert not improves(row(1, 0.5, 100), parent, BOTH)
    assert not improves(row(1, None, 1), parent, BOTH)
    rows = [row(0, 0.9, 30), row(1, 0.2, 10), row(2, 0.5, 20)]
    assert [each.index for each in ranked(rows, [COSTS["params"]])] == [1, 2, 0]
    assert [each.index for each in ranked(rows, [score])] == [0, 2, 1]


def test_a_candidate_without_a_figure_is_on_no_front() -> None:
    latency = objectives_of(["accuracy", "latency_ms"], CLASSIFY)
    measured = [
        Candidate(0, place, "x", None, Draft(Program.of(f"n = {place}\n"), 1, 1), (), Trained(0.5, 9, 0, 0, 0, "C"))
        for place in range(3)
    ]
    journal = Journal(measured)
    journal.measure(0, 1, Measurement("latency_ms", 2.0, 1.9, 2.1, 50))
    journal.measure(0, 2, Measurement("latency_ms", None, detail="no such operator"))
    assert [each.index for each in front(journal, latency)] == [1]
    assert AlongFront(latency)(SLOT, journal, Random(0)).net == "n = 1\n"
    none = Journal(measured[:1])
    none.measure(0, 0, Measurement("latency_ms", None, detail="no such operator"))
    with pytest.raises(DeltanasError, match="accuracy, latency_ms") as error:
        AlongFront(latency)(SLOT, none, Random(0))
    assert "no such operator" in error.value.hint


def test_a_measurement_is_told_with_its_value_and_what_else_is_known() -> None:
    told = [
        told_measurement(found)
        for found in (
            Measurement("latency_ms", 2.0, 1.9, 2.1, 50),
            Measurement("traffic", 2.5e8, n=1, detail="ethos-u85: 1 node on the processor"),
            Measurement("traffic", None, detail="the network can't be exported"),
            Measurement("joules", 0.25),
        )
    ]
    assert told == [
        "latency_ms 2.000 ms (quartiles 1.900 and 2.100)",
        "traffic 250.0 MB; ethos-u85: 1 node on the processor",
        "no traffic: the network can't be exported",
        "joules 0.25",
    ]


def test_multiply_adds_are_half_the_flops() -> None:
    (_, macs) = objectives_of(["accuracy", "macs"], CLASSIFY)
    assert [macs.of(row(0, 0.5, flops=21)), macs.of(Candidate(0, 0, "baseline", None, None))] == [10, None]


def test_objectives_have_names() -> None:
    assert [one.name for one in objectives_of(["params", "accuracy"], CLASSIFY)] == ["params", "accuracy"]
    assert [one.name for one in stored_objectives({"config": {"seed": 1}})] == ["accuracy"]
    assert [one.name for one in stored_objectives({"config": {"objectives": ["accuracy", "flops"]}})] == [
        "accuracy",
        "flops",
    ]
    with pytest.raises(UsageError, match="unknown objective 'foo'") as error:
        objectives_of(["accuracy", "foo"], CLASSIFY)
    assert error.value.hint == "known: accuracy, params, flops, macs, latency_ms, traffic"
    with pytest.raises(UsageError, match="twice"):
        objectives_of(["accuracy", "accuracy"], CLASSIFY)
    with pytest.raises(UsageError, match="without accuracy"):
        objectives_of(["params"], CLASSIFY)


def run_of(seed: int, cycles: int, slots: int) -> list[Candidate]:
    rng = Random(seed)
    rows = [row(place, rng.random(), rng.randrange(100, 10**6)) for place in range(5)]
    for cycle in range(1, cycles + 1):
        rows += [
            row(place, rng.random() if rng.random() < 0.9 else None, rng.randrange(100, 10**6), cycle=cycle)
            for place in range(slots)
        ]
    return rows


def test_the_population_is_a_function_of_the_journal_and_of_nothing_that_was_asked_before() -> None:
    rows = run_of(1, 12, 20)
    whole = Journal(rows)
    rule = AlongFront(BOTH)
    survivors = [row for row in rows if row.cycle == 0]
    for cycle in range(1, 13):
        earlier = whole.before(cycle)
        expected = [rule(SLOT, earlier, Random(f"{cycle}:{draw}")).id for draw in range(20)]
        fresh = AlongFront(BOTH)
        assert [
            fresh(SLOT, Journal(rows).before(cycle), Random(f"{cycle}:{draw}")).id for draw in range(20)
        ] == expected
        if cycle > 1:
            survivors = ranked([*survivors, *(r for r in rows if r.cycle == cycle - 1)], BOTH)[:POPULATION]
            assert rule.population(earlier) == survivors
    assert len(survivors) == POPULATION
    stands = {c.program.id for c in front(rows, BOTH) if c.program}
    last = AlongFront(BOTH).population(whole)
    assert stands <= {c.program.id for c in last if c.program}, "the front of the run is lost"
    assert AlongFront(BOTH)(SLOT, Journal(rows[:5]), Random(0)).id in {c.program.id for c in rows[:5] if c.program}


def test_the_better_of_two_is_the_parent() -> None:
    journal = Journal([row(place, (9 - place) / 10, 10 + place) for place in range(4)])
    rule, rng = AlongFront(BOTH), Random(0)
    counts = [0, 0, 0, 0]
    for _ in range(16_000):
        counts[int(rule(SLOT, journal, rng).net.split()[-1])] += 1
    assert [count / 1000 for count in counts] == pytest.approx([7, 5, 3, 1], abs=0.4)


def test_one_objective_has_the_finals_of_the_score() -> None:
    parent = row(0, 0.5)
    assert parent.program is not None
    better = [
        Candidate(1, place, "x", parent.program.id, row(place, 0.6, cycle=1).draft, (), row(place, score).outcome)
        for place, score in enumerate((0.6, 0.8, 0.4, 0.7))
    ]
    journal = Journal([parent, *better])
    assert [each.index for each in finalists(journal, objectives_of([], CLASSIFY), 2)] == [1, 3]
    assert by_rank(SLOT, journal, Random(0)).id


def test_a_cycle_of_a_long_run_costs_what_one_of_a_short_run_costs() -> None:
    """At 100,000 rows a slot takes well under a millisecond, once the population of its cycle is there."""
    slots = 50
    rule, rng, journal = AlongFront(BOTH), Random(0), Journal(slim=True)
    journal.open(run_of(2, 2000, slots))
    renewals, draws = [], []
    for cycle in range(1, 2001):
        earlier = journal.before(cycle)
        started = time.perf_counter()
        rule(SLOT, earlier, rng)
        renewals.append(time.perf_counter() - started)
        started = time.perf_counter()
        rule(SLOT, earlier, rng)
        draws.append(time.perf_counter() - started)
    assert median(draws[-100:]) < 1e-3
    assert median(renewals[-100:]) < slots * 1e-3
    assert median(renewals[-100:]) < 3 * median(renewals[10:110])
