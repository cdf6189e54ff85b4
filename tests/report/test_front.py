"""The front of a run: who stands on it, what it costs, how much it covers; the section and the table of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deltanas.journal import Journal
from deltanas.prices import priced, prices
from deltanas.program import Failed, Program, Trained
from deltanas.records import Candidate, Draft, Measurement, RunView
from deltanas.report import render, summary
from deltanas.report.front import standing_front
from deltanas.report.reading import Reading

BASE, OTHER = Program.of("n = 0\n"), Program.of("n = 1\n")


def row(
    cycle: int, index: int, parent: Program | None, name: str, score: float | None, params: int, ms: float | None
) -> Candidate:
    outcome = Failed("error", "x", 1, 1, "C") if score is None else Trained(score, 1000, 1, 1, 1, "C")
    program = {"base": BASE, "other": OTHER}.get(name) or Program.of(f"n = {name!r}\n")
    measured = () if score is None else (Measurement("latency_ms", ms, ms and ms - 0.1, ms and ms + 0.1, 50, "why"),)
    return Candidate(
        cycle, index, "x", parent.id if parent else None, Draft(program, params, 2 * params), (), outcome,
        (outcome,), name if cycle == 0 else "", measured,
    )  # fmt: skip


ROWS = (
    row(0, 0, None, "base", 0.8, 1000, 2.0),
    row(0, 1, None, "other", 0.5, 200, 1.0),
    row(1, 0, BASE, "better and smaller", 0.9, 500, 1.5),
    row(1, 1, BASE, "worse and larger", 0.7, 1100, 2.5),
    row(1, 2, OTHER, "failed", None, 100, None),
    row(2, 0, OTHER, "dearer", 0.95, 4000, 9.0),
    row(2, 1, OTHER, "not exported", 0.99, 10, None),
)


def view(objectives: list[str], rows: tuple[Candidate, ...] = ROWS) -> RunView:
    programs = {c.program.id: c.program for c in rows if c.program}
    return RunView("a run", True, {"config": {"objectives": objectives}}, rows, programs)


def test_the_front_stands_with_its_prices_and_its_growth() -> None:
    found = standing_front(Reading(view(["accuracy", "params", "latency_ms"])))
    assert found is not None
    assert [one.name for one in found.members] == ["2.0", "1.0", "other"]
    dear, small, base = found.members
    assert [(one.name, one.value, one.ratio) for one in dear.prices] == [
        ("params", 4000, 20.0),
        ("flops", 8000, 20.0),
        ("latency_ms", 9.0, 9.0),
        ("seconds", 1.0, 1.0),
    ]
    assert (dear.prices[2].low, dear.prices[2].high) == (8.9, 9.1)
    assert (dear.root, dear.improves) == ("other", False)
    assert (small.root, small.improves) == ("base", True)
    assert (base.baseline, base.improves) == (True, None)
    assert small.low is not None
    assert small.high is not None
    assert small.low < small.score == 0.9 < small.high
    assert [(one.cycle, one.known, one.improved, one.size) for one in found.cycles] == [
        (0, 2, 0, 2),
        (1, 2, 1, 2),
        (2, 1, 1, 3),
    ]
    assert found.reference == {"accuracy": 0.0, "params": 2000.0, "latency_ms": 4.0}


def test_the_hypervolume_is_that_of_boxes_by_hand() -> None:
    found = standing_front(Reading(view(["accuracy", "params"], ROWS[:4])))
    assert found is not None
    # In units of the best baseline (.8) and of twice its worst cost (2000): heights 1, .625, 1.125; widths .5, .9, .75.
    assert found.cycles[0].volume == pytest.approx(1 * 0.5 + 0.625 * 0.4)
    assert found.cycles[1].volume == pytest.approx(1.125 * 0.75 + 0.625 * 0.15)


def test_without_a_known_baseline_there_is_no_hypervolume_and_no_front_without_any() -> None:
    blind = tuple(replace(one, measurements=()) if one.cycle == 0 else one for one in ROWS)
    found = standing_front(Reading(view(["accuracy", "latency_ms"], blind)))
    assert found is not None
    assert [one.volume for one in found.cycles] == [None, None, None]
    assert "not known" in render(view(["accuracy", "latency_ms"], blind))
    page = render(view(["accuracy", "latency_ms"], tuple(replace(one, measurements=()) for one in ROWS)))
    assert "No network has a figure for each objective yet." in page


def test_a_run_with_one_objective_has_no_such_section() -> None:
    assert standing_front(Reading(view([]))) is None
    assert summary(view([])).front is None
    assert 'id="front"' not in render(view([]))


def test_the_page_draws_the_front_and_says_what_it_costs() -> None:
    page = render(view(["accuracy", "params", "latency_ms"]))
    assert '<th scope="col" class="num">accuracy</th>' in page
    assert "accuracy over params of each network" in page
    assert "the best baseline's accuracy" in page
    assert "Metric(" not in page
    assert "counted from accuracy 0.0%, params" in page
    assert 'id="front"' in page
    section = page.partition('id="front"')[2].partition("</section>")[0]
    assert section.count('<circle class="ring"') == 2 * (3 + 1)  # two planes, and the legend of each
    assert "20.00" in section
    assert "2.0: 95.0%, params 4,000" in section
    assert "broken" not in section


def test_every_gain_has_its_price_beside_it() -> None:
    journal = Journal(ROWS)
    assert priced(prices(ROWS[2], journal)) == "params 0.50x, flops 0.50x, latency_ms 0.75x, seconds 1.00x"
    assert priced(prices(ROWS[6], journal)) == "params 0.05x, flops 0.05x, latency_ms not known, seconds 1.00x"
    found = summary(view([]))
    assert found.elites
    assert all(one.prices[0].ratio is not None for one in found.elites)
    assert "params 0.50x" in render(view([]))
