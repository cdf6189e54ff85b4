"""Several parts under `edits`: who gets the slots, that a resumed run decides alike, and what is told of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from deltanas.archive import create_run, open_run, sqlite_url
from deltanas.config import read_config
from deltanas.journal import Journal
from deltanas.learn.sources import own_edits
from deltanas.narrate import Narrator
from deltanas.plan import Plan
from deltanas.policy import LEAST_SHARE, PartsByGain
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.propose.edits import exhausted
from deltanas.records import NONE_LEFT, Attempt, Candidate, Draft, RunView
from deltanas.report import draw
from deltanas.report.parts import brought
from deltanas.seams import Began, Planned, Settled
from deltanas.task import CLASSIFY
from scripted_search import StopError, run

PARTS = ("net", "recipe", "transform")
BROKEN = Failed("timeout", "too long", 1.0, 1.0, "C")


def row(index: int, part: str, score: float, parent: str | None = None) -> Candidate:
    program = Program.of(f"x = {index}\n", parents=(parent,) if parent else ())
    tried = (Attempt(f"e{index}", "exact", "", None, part=part),) if parent else ()
    outcome = Trained(score, 1000, 0, 1.0, 1.0, "C")
    return Candidate(int(parent is not None), index, "random", parent, Draft(program), tried, outcome, (outcome,))


def journal(gains: dict[str, list[float]]) -> list[Candidate]:
    base = row(0, "net", 0.5)
    assert base.program
    told = [(part, gain) for part, values in gains.items() for gain in values]
    return [base, *(row(n, part, 0.5 + gain, base.program.id) for n, (part, gain) in enumerate(told, 1))]


def shares(known: list[Candidate], n: int = 900) -> Counter[str]:
    rule, held = PartsByGain(PARTS), Journal(known)
    return Counter(rule(held, Random(f"{number}:part")) for number in range(n))


def test_parts_are_equals_until_one_pays_and_each_keeps_its_share() -> None:
    assert all(240 < shares([])[part] < 360 for part in PARTS)
    paid = shares(journal({"net": [-0.01, -0.02] * 10, "recipe": [0.04, 0.06] * 10, "transform": [-0.03, -0.01] * 10}))
    assert paid["recipe"] > 0.75 * 900
    assert all(paid[part] > 0.7 * LEAST_SHARE * 900 for part in PARTS)


def test_a_failed_training_brought_nothing() -> None:
    rows = journal({"net": [0.015] * 20, "recipe": [0.02] * 2})
    base, known = rows[0].program, shares(rows)
    assert base
    failed = [replace(row(100 + n, "recipe", 0.0, base.id), outcome=BROKEN, trainings=(BROKEN,)) for n in range(18)]
    held = Journal([*rows, *failed])
    assert held.brought["recipe"] == pytest.approx([0.02] * 2 + [0.0] * 18)
    assert shares([*rows, *failed])["recipe"] < known["recipe"] / 2


def test_a_part_that_the_parent_has_used_up_is_not_chosen_for_it() -> None:
    rows = journal({})
    base = rows[0].program
    assert base
    none_left = exhausted(part="transform").judged(None, Refused("apply", NONE_LEFT), 0, ("transform",))
    held = Journal([*rows, Candidate(1, 0, "random", base.id, None, (none_left,), none_left.refusal)])
    assert held.used_up(base.id) == {"transform"}
    rule = PartsByGain(PARTS)
    drawn = Counter(rule(held, Random(f"{n}:part"), base.id) for n in range(300))
    assert set(drawn) == {"net", "recipe"}
    assert "transform" in {rule(held, Random(f"{n}:part"), "another") for n in range(60)}
    alone = PartsByGain(("transform", "recipe"))
    assert {alone(held, Random(str(n)), base.id) for n in range(20)} == {"recipe"}


def test_a_part_that_loses_much_and_wins_sometimes_is_preferred_to_one_that_does_nothing() -> None:
    found = shares(
        journal({"net": [-0.08, -0.06, 0.04, 0.05] * 6, "recipe": [0.0, -0.001] * 12, "transform": [0.0] * 24})
    )
    assert found["net"] > 0.7 * 900


def test_parts_are_equals_after_a_cycle_in_which_nothing_gained() -> None:
    lost = shares(journal({"net": [-0.01, -0.02], "recipe": [-0.02, -0.02], "transform": [-0.03, -0.01]}))
    assert all(240 < lost[part] < 360 for part in PARTS)


def test_on_a_ladder_a_part_pays_by_the_longest_training_alone() -> None:
    """Edits of the recipe gain much after one epoch and are not promoted; those of the network gain after nine."""
    known = []
    for one in journal({"net": [0.02, 0.03] * 10, "recipe": [0.08, 0.09] * 10, "transform": [0.0] * 20}):
        part = one.attempts[0].part if one.attempts else ""
        assert isinstance(one.outcome, Trained)
        lengths = {"": (1, 9), "net": (9,)}.get(part, (1,))
        made = tuple(replace(one.outcome, epochs=epochs) for epochs in lengths)
        known.append(replace(one, trainings=made, outcome=made[-1]))
    assert shares(known)["net"] > 0.75 * 900


def test_one_part_takes_no_chance() -> None:
    rng = Random(3)
    state = rng.getstate()
    assert PartsByGain(("recipe",))(Journal(), rng) == "recipe"
    assert rng.getstate() == state


def test_a_resumed_run_gives_the_parts_as_an_undisturbed_one_does(tmp_path: Path) -> None:
    url, plan = sqlite_url(tmp_path / "archive.db"), Plan(cycles=4, candidates=9, seed=2, parts=PARTS)
    with create_run(url, "whole", {}) as archive:
        proposer, _ = run(archive, plan=plan)
        whole = archive.candidates()
    with create_run(url, "cut", {}) as archive, pytest.raises(StopError):
        run(archive, plan=plan, fuse=31)
    with open_run(url, "cut", writer=True) as archive:
        run(archive, plan=plan)
        cut = archive.candidates()
    drawn = [[attempt.part for attempt in c.attempts] for c in whole]
    assert drawn == [[attempt.part for attempt in c.attempts] for c in cut]
    assert {ask.parts for ask in proposer.asks} == {("net",), ("recipe",), ("transform",)}
    # The edits are of the network's text, so a slot of the transform is journalled as what it got.
    assert {part for parts in drawn for part in parts} == {"net", "recipe"}


def test_a_strategy_gets_the_parts_that_it_can_draw_from() -> None:
    assert read_config({"strategy": "channels", "edits": "net,transform"}).parts == ("net",)
    assert read_config({"strategy": "random", "edits": "transform,net"}).parts == ("net", "transform")


def test_edits_of_the_recipe_are_known_as_such_and_learned_from_as_the_networks_text() -> None:
    base = row(0, "net", 0.5)
    assert base.program
    parent = base.program
    text = "<<<<<<< SEARCH\nx = 0\n=======\nx = 7\n>>>>>>> REPLACE\n"
    made = replace(row(1, "recipe", 0.6, parent.id), attempts=(Attempt(text, "exact", "", None, part="recipe"),))
    made = replace(made, draft=Draft(parent.edited("net", "x = 7\n")))
    held = Journal([base, made])
    assert list(held.brought) == ["recipe"]
    assert held.brought["recipe"] == pytest.approx([0.1])
    assert held.tried(parent.id, "net") == held.tried(parent.id, "recipe") == {text}
    assert held.tried(parent.id, "transform") == frozenset()
    (lesson,) = own_edits([base, made])
    assert (lesson.part, lesson.edit, lesson.child) == ("net", text, made.program)


def test_the_report_and_the_narration_tell_what_each_part_brought(capsys: pytest.CaptureFixture[str]) -> None:
    known = journal({"net": [0.02, 0.04], "transform": [-0.01, -0.03, 0.01]})
    refused = Candidate(1, 9, "random", known[1].parent, None)
    known.append(refused.tried(Attempt("", None, "", Refused("apply", "none left"), part="transform"), None))
    scores = {c.program.id: c.score for c in known if c.program}
    net, transform = brought(known, CLASSIFY.metric, lambda name, _: scores.get(name))
    assert (net.part, net.slots, net.trained) == ("net", 2, 2)
    assert net.best == pytest.approx(0.04)
    assert net.gain
    assert net.gain.value == pytest.approx(0.03)
    assert (transform.slots, transform.trained) == (4, 3)
    assert transform.share.value == pytest.approx(4 / 6)
    assert transform.better
    assert transform.better.value == pytest.approx(1 / 3)
    assert brought(known[:3], CLASSIFY.metric, lambda name, _: scores.get(name)) == (), "one part alone needs no table"

    programs = {c.program.id: c.program for c in known if c.program}
    page = draw(RunView("a run", True, {}, tuple(known), programs)).parts
    assert ">transform</th>" in page["parts"].html
    assert "parts" not in draw(RunView("a run", True, {}, tuple(known[:3]), programs)).parts

    narrator = Narrator()
    narrator(Planned(2, 7, 1, 1, Journal()))
    for candidate in known:
        narrator(Settled(candidate))
    narrator(Began(2, "propose", 6))
    said = capsys.readouterr().err
    assert "so far: net 2 slots, +3.0 points over the parent [" in said
    assert "transform 4 slots, -1.0 points" in said
