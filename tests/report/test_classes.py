"""Class by class: counts, intervals, confusions, on the page and on the command line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deltanas import report
from deltanas.intervals import wilson
from deltanas.program import Confusion, Trained
from deltanas.records import RunView
from deltanas.report.classes import class_scores, confused
from deltanas.report.page import draw
from deltanas.task import CLASSIFY, TASKS
from toy_task import WEIGH

THREE: Confusion = ((0, 0, 8), (0, 2, 2), (1, 1, 5), (2, 0, 3), (2, 1, 3), (2, 2, 1))
NAMES = ("ant", "bee <b>", "猫 `|` x")


def told(story: RunView, confusion: Confusion | None, names: tuple[str, ...], classes: int) -> RunView:
    """The story with these confusions of its finals, and a record of its data."""
    finals = []
    for final in story.finals:
        assert isinstance(final.outcome, Trained)
        finals.append(replace(final, outcome=replace(final.outcome, confusion=confusion)))
    manifest = {**story.manifest, "data": {"names": list(names), "classes": classes}}
    return replace(story, finals=tuple(finals), manifest=manifest)


def test_the_task_counts_what_is_taken_for_what() -> None:
    target = np.array([0, 2, 1, 1, 0, 2, 2], np.int64)
    named = np.array([0, 2, 1, 0, 0, 1, 1])
    outputs = np.eye(4, dtype=np.float32)[named]
    found = CLASSIFY.confusion(outputs, target)
    assert found == ((0, 0, 2), (1, 0, 1), (1, 1, 1), (2, 1, 2), (2, 2, 1))
    assert all(type(number) is int for one in found for number in one)
    right = sum(n for true, name, n in found if true == name)
    assert right == CLASSIFY.scores(outputs, target).sum()


def test_each_class_has_its_share_with_its_interval() -> None:
    first, second, third = class_scores(THREE, NAMES)
    assert [(c.output, c.name, c.n, c.right) for c in (first, second, third)] == [
        (0, "ant", 10, 8),
        (1, "bee <b>", 5, 5),
        (2, "猫 `|` x", 7, 1),
    ]
    bounds = wilson(8, 10)
    assert (first.accuracy, first.low, first.high) == (0.8, bounds.low, bounds.high)
    assert (first.mistaken, second.mistaken) == ("猫 `|` x", "")
    assert third.mistaken == "ant", "of two alike the first"
    assert [(c.name, c.named, c.count, c.of) for c in confused(THREE, NAMES)][:2] == [
        ("猫 `|` x", "ant", 3, 7),
        ("猫 `|` x", "bee <b>", 3, 7),
    ]


def test_a_class_without_a_test_image_has_no_share() -> None:
    _, empty = class_scores(((0, 1, 3),), ("a", "b"))
    assert (empty.n, empty.accuracy, empty.low, empty.high) == (0, None, None, None)


def test_the_page_shows_the_table_with_the_names(story: RunView) -> None:
    html = report.render(told(story, THREE, NAMES, 3))
    part = draw(told(story, THREE, NAMES, 3)).parts["classes"].html
    assert part in html
    assert "bee &lt;b&gt;" in part
    assert "bee <b>" not in part
    assert part.count("<details") == 2
    assert part.index("2.0:") < part.index("resnet (baseline):"), "the best of the search comes first"
    assert 'class="num s5 right">5</td>' in part
    assert 'class="num s1">2</td>' in part


@pytest.mark.parametrize("classes", [2, 20, 21, 100, 1000])
def test_many_classes_are_told_by_the_worst_and_the_largest_confusions(story: RunView, classes: int) -> None:
    names = tuple(f"name {n:04}" for n in range(classes))
    wrong = ((1, 0, 9), (1, 1, 1))
    view = told(story, ((0, 0, 10), *wrong, *((n, n, 10) for n in range(2, classes))), names, classes)
    part = draw(view).parts["classes"].html
    whole = classes <= 20
    assert ("Confusion table" in part) == whole
    assert ("name 0001 taken for name 0000: 9 of 10 images" in part) != whole
    shown = part.count('<th scope="row">')
    assert shown == 2 * (2 * classes if whole else 10), "two finals; the table of confusions has a row a class too"
    assert part.index("name 0001") < part.index("name 0000") or whole
    assert len(part) < 100_000


def test_data_without_names_is_told_by_its_numbers(story: RunView) -> None:
    part = draw(told(story, THREE, (), 3)).parts["classes"].html
    assert '<th scope="row">2</th>' in part


def test_a_run_that_lacks_its_record_is_told_by_the_numbers_that_occur(story: RunView) -> None:
    view = replace(told(story, THREE, (), 3), manifest=story.manifest)
    assert '<th scope="row">2</th>' in draw(view).parts["classes"].html


def test_numbers_as_names_are_told_with_their_order(story: RunView) -> None:
    view = told(story, THREE, ("1", "10", "2"), 3)
    assert "output 1 is &#39;10&#39;" in draw(view).parts["classes"].html


def test_what_older_runs_lack_is_told(story: RunView) -> None:
    assert "was not kept" in draw(story).parts["classes"].html
    assert "No final scores yet" in draw(replace(story, finals=())).parts["classes"].html
    assert report.summary(story).finals == ()


def test_a_task_without_classes_has_no_such_section(story: RunView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "weigh", WEIGH)
    assert "classes" in draw(replace(story, candidates=(), finals=())).parts
    drawn = draw(replace(story, candidates=(), finals=(), manifest={"config": {"task": "weigh"}}))
    assert "classes" not in drawn.parts
    assert "#classes" not in drawn.parts["top"].html


def test_the_summary_is_plain(story: RunView) -> None:
    best, base = report.summary(told(story, THREE, NAMES, 3)).finals
    assert (best.name, best.baseline, base.name, base.baseline) == ("2.0", False, "resnet", True)
    assert [one.name for one in best.worst] == ["猫 `|` x", "ant", "bee <b>"]
