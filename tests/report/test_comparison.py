"""Strategies side by side, the lineage and the map: their figures and places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from deltanas import report
from deltanas.journal import families
from deltanas.nets import baseline
from deltanas.program import Program, Trained
from deltanas.program.shingles import fingerprint, jaccard
from deltanas.records import Candidate, Draft, RunView
from deltanas.report.atlas import atlas, mapped
from deltanas.report.control import comparison
from deltanas.report.figures import summarise
from deltanas.report.lines import HIGH, WIDE, lineage
from deltanas.report.reading import AbsentError, Reading

Make = Callable[..., RunView]


def run_of(name: str, strategy: str, accuracies: list[list[float]], make_view: Make, data: str = "a") -> RunView:
    """A baseline of 80 % and cycles of candidates edited from it."""
    base = Program.of("x = 0")
    rows = [Candidate(0, 0, "baseline", None, Draft(base), (), Trained(0.8, 1000, 1, 1.0, 1.0, "A"))]
    for cycle, values in enumerate(accuracies, 1):
        for index, value in enumerate(values):
            draft = Draft(Program.of(f"x = '{name}', {cycle}, {index}"))
            rows.append(Candidate(cycle, index, strategy, base.id, draft, (), Trained(value, 1000, 1, 1.0, 1.0, "A")))
    return replace(make_view(rows), name=name, manifest={"data": {"sha256": data}})


def test_a_strategy_stands_beside_the_control_cycle_by_cycle(make_view: Make) -> None:
    mine = run_of("mine", "delta", [[0.81, 0.83, 0.79], [0.86, 0.84]], make_view)
    control = run_of("control", "random", [[0.78, 0.80], [0.82, 0.80], [0.9, 0.9]], make_view, data="b")
    found = comparison(Reading(mine, [control]))
    groups = {group.name: group.stretches for group in found["groups"]}  # type: ignore[attr-defined]
    assert list(groups) == ["delta (mine)", "random (control)"]
    first, second, every = groups["delta (mine)"]
    assert [stretch.n for stretch in (first, second, every)] == [3, 2, 5]
    assert first.score.value == pytest.approx(0.81)
    assert [stretch.best for stretch in (first, second)] == [0.83, 0.86]
    assert (first.better.value, second.better.value) == (pytest.approx(2 / 3), 1)
    assert first.gain.value == pytest.approx(0.01)
    assert second.over.value == pytest.approx(0.04)
    assert every.over.value == pytest.approx(0.826 - 0.80)  # the control's first two cycles: mine has no third
    assert all(stretch.over is None for stretch in groups["random (control)"])
    assert found["warnings"] == ["control differs from mine in data"]
    assert "the difference is not the strategy" in report.render(mine, against=[control])


def test_runs_of_one_name_are_told_apart_and_what_was_not_recorded_is_no_difference(make_view: Make) -> None:
    one = run_of("run", "delta", [[0.8, 0.9]], make_view)
    other = replace(run_of("run", "random", [[0.8, 0.9]], make_view), manifest={})
    found = comparison(Reading(one, [other]))
    assert [group.name for group in found["groups"]] == ["delta (run)", "random (run 2)"]  # type: ignore[attr-defined]
    assert found["warnings"] == []


@pytest.mark.parametrize(
    ("config", "unlike"),
    [
        ({"growth": "off", "steps_per_edit": 1, "rungs": [], "train": {"average": 0.0}}, ""),
        ({"growth": 1.5, "train": {"average": 0.25}}, "growth, average"),
        ({"growth": "off", "steps_per_edit": 3, "rungs": [1, 9]}, "steps_per_edit, rungs"),
    ],
)
def test_a_run_that_is_older_than_a_setting_was_held_to_something(
    config: dict[str, object], unlike: str, make_view: Make
) -> None:
    new, old = (run_of(name, "delta", [[0.8, 0.9]], make_view) for name in ("new", "old"))
    new = replace(new, manifest={"config": {**config, "seeds": 1}})
    old = replace(old, manifest={"config": {"seeds": 1, "train": {}}})
    said = [f"{{}} differs from {{}} in {unlike}"] if unlike else []
    assert comparison(Reading(new, [old]))["warnings"] == [one.format("old", "new") for one in said]
    assert comparison(Reading(old, [new]))["warnings"] == [one.format("new", "old") for one in said]


def test_limits_of_size_budgets_of_repeats_and_crops_make_runs_unlike(make_view: Make) -> None:
    one, other = (run_of(name, "delta", [[0.8, 0.9]], make_view) for name in ("one", "other"))
    config: dict[str, object] = {"max_params": None, "max_flops": None, "seeds_budget": 4, "train": {"crops": []}}
    one = replace(one, manifest={"config": config})
    changed = {**config, "max_flops": 10, "seeds_budget": 0, "train": {"crops": [32]}}
    other = replace(other, manifest={"config": changed})
    assert comparison(Reading(one, [other]))["warnings"] == ["other differs from one in max_flops, seeds_budget, crops"]


def test_a_single_candidate_has_no_interval_and_none_no_comparison(make_view: Make) -> None:
    groups = comparison(Reading(run_of("run", "delta", [[0.9]], make_view)))["groups"]
    assert isinstance(groups, list)
    assert (groups[0].stretches[0].score, groups[0].stretches[0].single) == (None, 0.9)
    with pytest.raises(AbsentError, match="nothing to compare"):
        comparison(Reading(make_view([])))


def test_the_lineage_is_one_graph_without_overlaps(story: RunView) -> None:
    reading = Reading(story)
    found = lineage(reading, summarise(reading))
    nodes = {node.name: node for node in found["nodes"]}  # type: ignore[attr-defined]
    assert {name: node.kind for name, node in nodes.items()} == {"resnet": "base", "1.0": "step", "2.0": "best"}
    steps = [(edge.number, edge.parent, edge.child) for edge in found["edges"]]  # type: ignore[attr-defined]
    assert steps == [(1, "resnet", "1.0"), (2, "1.0", "2.0")]
    boxes = list(nodes.values())
    for place, one in enumerate(boxes):
        assert not any(abs(one.x - two.x) < WIDE and abs(one.y - two.y) < HIGH for two in boxes[:place])


def test_the_map_keeps_distances_and_comes_out_the_same() -> None:
    families = [Program.of(baseline(name)) for name in ("resnet", "vgg", "mlp")]
    programs = [one.edited("net", one.net.replace("0.9", f"0.9{place}")) for one in families for place in range(4)]
    prints = [fingerprint(program) for program in programs]
    places, kept = mapped(prints)
    again, _ = mapped(prints)
    assert np.array_equal(places, again)
    # Three families: two axes show nearly all, and distances are those of the index.
    assert 0.8 < kept <= 1
    true = np.array([np.sqrt(1 - jaccard(one, prints)) for one in prints])
    drawn = np.linalg.norm(places[:, None] - places[None], axis=2)
    apart = true > 0.5
    assert apart.sum() == 96
    assert np.abs(drawn - true)[apart].max() < 0.1
    assert drawn[~apart].max() < 0.2


def test_programs_beside_the_landmarks_fall_where_their_like_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltanas.report.atlas.LANDMARKS", 20)
    families = [baseline("resnet"), baseline("vgg"), baseline("mlp")]
    count = 60
    prints = [fingerprint(Program.of(f"{families[place % 3]}\nx = {place}\n")) for place in range(count)]
    places, _ = mapped(prints)
    centres = np.array([places[family::3].mean(0) for family in range(3)])
    nearest = np.linalg.norm(places[:, None] - centres[None], axis=2).argmin(1)
    assert np.array_equal(nearest, np.arange(count) % 3)


def test_a_mixture_stands_on_the_map_with_all_that_it_was_made_from(story: RunView, make_view: Make) -> None:
    first, second = (c for c in story.candidates if c.cycle == 0)
    assert first.program
    assert second.program
    mixture = Program.of("mixture = 1\n", parents=(second.program.id, first.program.id))
    row = replace(story.candidates[2], cycle=3, index=0, parent=second.program.id, draft=Draft(mixture))
    view = make_view([*story.candidates, row])
    titles = [spot.title for spot in atlas(Reading(view))["spots"]]  # type: ignore[attr-defined]
    assert "3.0, from resnet + vgg: 84.0%" in titles
    assert "2.0, from resnet: 86.0%" in titles
    assert families(view.candidates)[mixture.id] == (first, second)


def test_alike_programs_and_few_are_no_trouble(make_view: Make) -> None:
    same = mapped([fingerprint(Program.of("x = 1"))] * 5)
    assert np.allclose(same[0], 0)
    with pytest.raises(AbsentError, match="the run has 2"):
        atlas(Reading(run_of("run", "delta", [[0.9]], make_view)))
