"""What a network costs, in times of the baseline that it descends from: by one rule, wherever it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deltanas.journal import Journal
from deltanas.prices import growth_of, priced, prices, ratios, told_growth
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.records import Candidate, Draft


def trained(seconds: float) -> Trained:
    return Trained(0.5, 100, 1, seconds, seconds, "A")


def row(
    cycle: int, name: str, parents: tuple[str, ...], size: tuple[int | None, int | None], *seconds: float
) -> Candidate:
    program = Program.of(f"{name} = 1\n", parents=tuple(Program.of(f"{one} = 1\n").id for one in parents))
    made = tuple(map(trained, seconds))
    outcome = replace(made[0], seconds=sum(seconds)) if made else Refused("limit", "too large")
    return Candidate(cycle, 0, "x", program.parent, Draft(program, *size), (), outcome, made, name)


ROOT, OTHER = row(0, "root", (), (100, 1000), 2.0), replace(row(0, "other", (), (10, 10), 1.0), index=1)
CHILD = row(1, "child", ("root", "other"), (150, 500), 2.0, 4.0)
GRANDCHILD = row(2, "grandchild", ("child",), (200, 4000), 1.0)


def test_what_it_costs_is_told_in_times_of_the_root_by_the_first_parents() -> None:
    journal = Journal([ROOT, OTHER, CHILD, GRANDCHILD])
    assert priced(prices(GRANDCHILD, journal)) == "params 2.00x, flops 4.00x, seconds 0.50x"
    # Of two trainings one: their sum is what the search spent, not what the network costs.
    assert ratios(CHILD, journal) == {"params": 1.5, "flops": 0.5, "seconds": 1.5}
    assert [one.shown for one in prices(CHILD, journal)] == ["150", "500", "3.0 s"]
    assert ratios(ROOT, journal) == {"params": 1.0, "flops": 1.0, "seconds": 1.0}


@pytest.mark.parametrize("size", [(0, 0), (None, None)])
def test_without_a_size_there_is_no_ratio(size: tuple[int | None, int | None]) -> None:
    bare = row(0, "root", (), size, 2.0)
    assert ratios(CHILD, Journal([bare, CHILD])) == {"params": None, "flops": None, "seconds": 1.5}
    assert priced(prices(CHILD, Journal([bare, CHILD]))) == "params not known, flops not known, seconds 1.50x"
    assert ratios(replace(CHILD, draft=None), Journal([ROOT]))["params"] is None


def test_without_its_baseline_there_is_no_ratio_and_a_circle_ends() -> None:
    assert set(ratios(GRANDCHILD, Journal([ROOT, GRANDCHILD])).values()) == {None}
    circle = row(1, "child", ("grandchild",), (1, 1), 1.0)
    assert set(ratios(GRANDCHILD, Journal([circle, GRANDCHILD])).values()) == {None}


def test_what_was_refused_has_a_size_and_what_failed_no_seconds() -> None:
    refused = row(1, "large", ("root",), (231, 3000))
    journal = Journal([ROOT, refused])
    assert ratios(refused, journal) == {"params": 2.31, "flops": 3.0, "seconds": None}
    failed = replace(refused, outcome=Failed("timeout", "slow", 300, 300, "A"))
    assert ratios(failed, journal)["seconds"] is None


@pytest.mark.parametrize(
    ("config", "most", "said"),
    [
        ({"growth": 1.5}, 1.5, "growth limited to 1.5 times the FLOPs and parameters of the baseline"),
        ({"growth": 2}, 2.0, "growth limited to 2 times the FLOPs and parameters of the baseline"),
        ({"growth": "off"}, None, "no limit of growth"),
        ({}, None, "no limit of growth"),
        (None, None, "no limit of growth"),
    ],
)
def test_the_limit_of_growth_is_told_of_a_run(config: object, most: float | None, said: str) -> None:
    assert growth_of({"config": config}) == most
    assert told_growth(most) == said
