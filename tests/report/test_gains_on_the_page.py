"""Gains in figures and on the page: paired over the images where these are known, in the words of the run's metric."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltanas import report
from deltanas.archive import open_run, sqlite_url
from deltanas.cli.networks import handed_line
from deltanas.intervals import paired_shares
from deltanas.program import Failed, Program, Trained
from deltanas.records import Attempt, Candidate, Draft, Final, RunView
from deltanas.report.control import comparison
from deltanas.report.reading import Reading
from deltanas.task import CLASSIFY, TASKS, Classify, Floats
from toy_task import WEIGH, weighed

Make = Callable[..., RunView]
ARCHIVE = Path(__file__).parents[1] / "archives" / "0.1.0.db"
N = 1000


def known(trained: Trained, shift: int = 0) -> Trained:
    """With scores of its images: the first ones are right, from `shift` on."""
    right = np.roll(np.arange(trained.n) < round(trained.score * trained.n), shift)
    return replace(trained, per_image=CLASSIFY.packed(right.astype(float)))


def with_images(view: RunView) -> RunView:
    rows = [
        replace(c, outcome=known(c.outcome), trainings=(known(c.outcome),)) if isinstance(c.outcome, Trained) else c
        for c in view.candidates
    ]
    finals = [replace(f, outcome=known(f.outcome)) if isinstance(f.outcome, Trained) else f for f in view.finals]
    return replace(view, candidates=tuple(rows), finals=tuple(finals))


def text_of(view: RunView, against: tuple[RunView, ...] = ()) -> str:
    html = report.render(view, against=against)
    assert "could not be" not in html
    return " ".join(re.sub(r"<style.*?</style>|<script.*?</script>|<[^>]+>", " ", html, flags=re.DOTALL).split())


def test_gains_are_paired_where_the_images_are_known(story: RunView) -> None:
    best = report.summary(with_images(story)).best
    assert best is not None
    assert best.over_baseline is not None
    assert (best.over_baseline.paired, best.over_baseline.seeds) == (True, None)
    expected = paired_shares(60, 0, N)
    assert (best.over_baseline.low, best.over_baseline.high) == (expected.low, expected.high)
    text = text_of(with_images(story))
    assert "unpaired" not in text.replace("where it says unpaired", "")
    assert "95 % interval +4.7 to +7.6; resnet has 80.0%" in text
    final = paired_shares(120, 0, 2000)
    assert f"+6.0 (+{100 * final.low:.1f} to +{100 * final.high:.1f}) resnet" in text


def test_where_one_has_none_the_page_says_unpaired(story: RunView) -> None:
    whole = with_images(story)
    rows = [replace(c, outcome=story.candidates[0].outcome, trainings=()) if not n else c
            for n, c in enumerate(whole.candidates)]  # fmt: skip
    best = report.summary(replace(whole, candidates=tuple(rows))).best
    assert best is not None
    assert best.over_baseline is not None
    assert best.over_parent is not None
    assert (best.over_baseline.paired, best.over_parent.paired) == (False, True)
    assert "+2.7 to +9.3, unpaired; resnet has" in text_of(replace(whole, candidates=tuple(rows)))


def test_the_seeds_are_told_beside_it(story: RunView) -> None:
    whole = with_images(story)
    twice = tuple(replace(whole.candidates[0].trainings[0], score=score, seed=seed)  # type: ignore[arg-type]
                  for seed, score in enumerate((0.79, 0.81)))  # fmt: skip
    rows = (replace(whole.candidates[0], trainings=twice), *whole.candidates[1:])
    best = report.summary(replace(whole, candidates=rows)).best
    assert best is not None
    assert best.over_baseline is not None
    seeds = best.over_baseline.seeds
    assert seeds is not None
    assert best.over_baseline.paired
    half = 12.706 * 0.01 * 2**0.5 * (1 + 1 / 2) ** 0.5  # t with one degree, by the one pair of repeats
    assert seeds.high - seeds.low == pytest.approx(2 * half, rel=1e-3)
    assert "over seeds \N{MINUS SIGN}" in text_of(replace(whole, candidates=rows))


def test_the_best_of_two_runs_are_compared_on_the_same_images_alone(story: RunView) -> None:
    data = {"data": {"sha256": "a", "validation": N}}
    mine = replace(with_images(story), manifest={**story.manifest, **data})
    other = replace(mine, name="other", candidates=mine.candidates[:-2])
    rivals: Any = comparison(Reading(mine, [other]))["rivals"]
    (rival,) = rivals
    assert (rival.name, rival.gain.name, rival.gain.paired) == ("2.0", "other, 1.0", True)
    assert rival.gain.gain == pytest.approx(0.02)
    assert "2.0 with 86.0%, against the best of other, 1.0 with 84.0%: +2.0 points" in text_of(mine, (other,))
    strange = replace(other, manifest={**other.manifest, "data": {"sha256": "b", "validation": N}})
    silent = replace(other, manifest=story.manifest)
    assert comparison(Reading(mine, [strange, silent]))["rivals"] == []


def test_scores_of_images_are_unpacked_for_what_is_shown_alone(
    story: RunView, make_view: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = with_images(story).candidates[0]
    assert first.program is not None
    rows = [first]
    for place in range(600):
        made = known(Trained(0.5 + place / 2000, N, 1, 1.0, 1.0, "A"))
        draft = Draft(Program.of(f"x = {place}"))
        attempts = (Attempt("", "exact", "g", None),)
        rows.append(Candidate(1 + place // 100, place % 100, "delta", first.program.id, draft, attempts, made, (made,)))
    calls = []
    whole = Classify.unpacked

    def counted(task: Classify, packed: bytes, n: int) -> Floats:
        calls.append(n)
        return whole(task, packed, n)

    monkeypatch.setattr(Classify, "unpacked", counted)
    report.render(make_view(rows))
    assert 0 < len(calls) <= 10


def test_a_kept_archive_reports_unpaired_gains(tmp_path: Path) -> None:
    shutil.copy(ARCHIVE, tmp_path)
    with open_run(sqlite_url(tmp_path / ARCHIVE.name), "kept") as run:
        view = run.view()
    gains = [gain for each in report.summary(view).elites for gain in (each.over_baseline, each.over_parent) if gain]
    assert not any(gain.paired for gain in gains)
    assert "Best validation accuracy" in text_of(view)


def test_a_task_of_another_metric_is_shown_in_its_words(
    story: RunView, make_view: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors in grams, the lower the better: nothing on the page speaks of accuracy, percent or points."""
    monkeypatch.setitem(TASKS, "weigh", WEIGH)
    errors = np.random.default_rng(0).uniform(100, 200, 500)
    scored = {"resnet": weighed(errors), "vgg": weighed(errors + 9)}
    base, child, worse = (Program.of(f"x = {place}") for place in range(3))

    def row(
        cycle: int, index: int, parent: Program | None, program: Program, made: Trained, name: str = ""
    ) -> Candidate:
        tried = (Attempt("", "exact", "g", None),)
        return Candidate(
            cycle, index, "delta", parent.id if parent else None, Draft(program), tried, made, (made,), name
        )

    rows = [
        row(0, 0, None, base, scored["resnet"], "resnet"),
        row(1, 0, base, child, weighed(errors - 5)),
        row(1, 1, base, worse, scored["vgg"]),
    ]
    finals = (Final(base.id, weighed(errors)), Final(child.id, weighed(errors - 5)))
    view = replace(make_view(rows, finals), manifest={"config": {"task": "weigh"}})
    figures = report.summary(view)
    assert figures.best is not None
    assert (figures.metric, figures.best.name, figures.elite_count) == ("error", "1.0", 1)
    assert figures.best.over_parent is not None
    assert figures.best.over_parent.gain == pytest.approx(5, abs=1e-4)
    text = text_of(view)
    assert f"Best validation error {errors.mean() - 5:.2f} g" in text
    assert f"+5.00 g 95 % interval +5.00 to +5.00; resnet has {errors.mean():.2f} g" in text
    assert "Test error" in text
    assert "accuracy" not in text.lower().replace("no choice had seen", "")
    assert "points" not in text


def test_what_is_handed_over_stands_beside_the_best_baseline_on_the_test_images(story: RunView) -> None:
    assert (early := report.summary(story).handed_over) is not None
    assert early.over is None, "vgg, the best baseline, has no final score"
    best, rival = story.finals[1], story.candidates[1].program
    assert rival is not None
    assert isinstance(best.outcome, Trained)
    ended = replace(story, finals=(*story.finals, Final(rival.id, replace(best.outcome, score=0.848))))
    handed = report.summary(with_images(ended)).handed_over
    assert handed is not None
    assert handed.over is not None
    assert (handed.name, handed.program, handed.n, handed.over.name) == ("2.0", best.program, 2000, "vgg")
    expected = paired_shares(4, 0, 2000)
    assert (handed.over.low, handed.over.high, handed.over.paired) == (expected.low, expected.high, True)
    assert "2.0, 85.0% on 2,000 test images, +0.2 points [" in handed_line(handed, CLASSIFY.metric)
    assert "over vgg, the best baseline, trained alike" in handed_line(handed, CLASSIFY.metric)
    assert "Handed over: 2.0, +0.2 points" in text_of(with_images(ended))


def test_where_the_final_training_of_the_best_failed_the_next_one_is_handed_over(story: RunView) -> None:
    first, best = story.finals
    child = next(row.program for row in story.candidates if row.label == "1.0")
    assert child
    failed = Final(best.program, Failed("timeout", "60 s are over", 60.0, 50.0, "A"))
    handed = report.summary(replace(story, finals=(first, failed, Final(child.id, best.outcome)))).handed_over
    assert handed is not None
    assert (handed.name, handed.failed) == ("1.0", ("2.0",))
    assert handed_line(handed, CLASSIFY.metric).endswith("; the final training of 2.0 failed")
    assert report.summary(replace(story, finals=(first, failed))).handed_over is None


def test_a_gain_that_may_be_chance_is_told_as_such(story: RunView) -> None:
    best, rival = story.finals[1], story.candidates[1].program
    assert rival is not None
    handed = report.summary(
        with_images(replace(story, finals=(*story.finals, Final(rival.id, best.outcome))))
    ).handed_over
    assert handed is not None
    assert "the interval holds 0: it may be chance" in handed_line(handed, CLASSIFY.metric)


def test_a_denoiser_that_makes_images_worse_is_told(story: RunView) -> None:
    best, rival = story.finals[1], story.candidates[1].program
    assert rival is not None
    ended = with_images(replace(story, finals=(*story.finals, Final(rival.id, best.outcome))))
    for before, told in ((0.9, True), (0.8, False)):
        view = replace(ended, manifest={**story.manifest, "data": {"before": [0.5, before]}})
        handed = report.summary(view).handed_over
        assert handed is not None
        assert (
            "it makes images worse: before denoising they have 90.0%" in handed_line(handed, CLASSIFY.metric)
        ) == told
        assert ("It makes images worse: before denoising they have 90.0%" in text_of(view)) == told


def test_nothing_is_handed_over_before_the_test_and_along_a_front(story: RunView) -> None:
    assert report.summary(replace(story, finals=())).handed_over is None
    several = {"config": {"objectives": ["accuracy", "params"]}}
    assert report.summary(replace(story, manifest={**story.manifest, **several})).handed_over is None
