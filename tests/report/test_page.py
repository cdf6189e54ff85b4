from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any, NoReturn

import pytest

from deltanas import report
from deltanas.nets import baseline
from deltanas.program import Failed, Program, Refused, Trained, combined
from deltanas.records import Attempt, Call, Candidate, Draft, Final, RunView
from deltanas.report import cards, page
from deltanas.report.reading import Reading
from sortable import unsorted

Make = Callable[..., RunView]
VOID = {"meta", "link", "br", "input", "hr", "img"}
BLOCKS = {"br", "dd", "li", "p", "td", "th"}
PLANTED = "<script>document.title='planted'</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}"


class Tree(HTMLParser):
    """Checks that every element is closed in turn; collects ids, in-page links and the number of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.labels: list[str] = []
        self.scripts = self.data = 0
        self.text = self.prose = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert len(given) == len(attrs), f"<{tag}> repeats an attribute"
        assert not any(name.startswith("on") or name == "style" for name in given)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        self.labels += [given["aria-labelledby"] or ""] if "aria-labelledby" in given else []
        self.scripts += tag == "script" and given.get("type") != "application/json"
        self.data += tag == "script" and given.get("type") == "application/json"
        self.text += " " if tag in BLOCKS else ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open[-1:] != ["script"] else ""
        self.prose += data if not {"pre", "style", "script"} & set(self.open) else ""


def checked(view: RunView) -> str:
    """The page's text, after the checks that every page must pass."""
    html = report.render(view)
    tree = Tree(html)
    assert (tree.scripts, tree.data) == (1, 1)
    assert unsorted(html) == []
    assert len(set(tree.ids)) == len(tree.ids)
    assert {link[1:] for link in tree.links if link.startswith("#")} <= set(tree.ids)
    assert set(tree.labels) <= set(tree.ids)
    assert re.search(r"https?://|//[a-z]+\.|@import|url\(", html) is None
    assert re.search(r"\bnan\b|\binf\b|\bNone\b", tree.prose) is None
    assert "could not be" not in tree.prose
    return " ".join(tree.text.split())


def test_scores_of_several_seeds_and_lengths_are_sorted_as_numbers(story: RunView) -> None:
    long = tuple(Trained(score, 1000, seed, 4.0, 3.0, "A", epochs=9) for seed, score in enumerate((0.85, 0.87)))
    mean = Trained(0.86, 1000, 0, 8.0, 6.0, "A", epochs=9)
    candidates = tuple(
        replace(c, outcome=mean, trainings=long) if (c.cycle, c.index) == (2, 0) else c for c in story.candidates
    )
    text = checked(replace(story, candidates=candidates))
    assert "86.00 ± 1.00 (9 epochs)" in text


def test_a_run_with_everything_shows_everything(story: RunView) -> None:
    text = checked(story)
    assert "not finished" in text
    assert "2 trained baselines, 7 slots: 4 trained, 1 refused, 1 failed, 1 open." in text
    assert "+6.0points 95 % interval +2.7 to +9.3, unpaired; resnet has 80.0%" in text
    assert "Difference from resnet" in text
    assert "+ width = 24" in text
    assert "- width = 16" in text
    assert "resnet 80.0% 1.0 84.0% widen it (exact) 2.0 86.0%" in text
    assert "n = 2,000" in text
    assert "85.0% 83.4% to 86.5%" in text
    assert "exact 6" in text
    assert "line ends 1" in text
    assert "smollm2 9 900 90 4.5 s" in text
    assert "search 5 76.0 s 62.0 s" in text
    assert "abc1234" in text
    assert '"dataset": "digits"' in text


def test_a_file_carries_the_texts_of_its_candidates_the_best_first(
    story: RunView, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = held(report.render(story))
    assert list(whole) == ["2.0", "1.0", "0.1", "1.4", "1.1", "0.0", "1.2", "1.3", "2.1"]
    texts = [(text["title"], text["diff"]) for text in whole["2.0"]["texts"]]
    assert texts == [("Difference from its parent", True), ("Source", False), ("Hyperparameters", False)]
    assert "+            nn.SiLU()," in whole["2.0"]["texts"][0]["text"]
    assert whole["1.2"]["texts"][0]["title"] == "Proposal 1, refused (apply): block 1 is nowhere"
    monkeypatch.setattr(page, "MOST_TEXT", 2 * len(json.dumps(whole["2.0"])))
    assert list(held(report.render(story)))[:2] == ["2.0", "1.0"]
    assert "0.0" not in held(report.render(story))


def held(html: str) -> dict[str, Any]:
    """What the page holds of each candidate."""
    found = re.search('<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_an_empty_run_says_what_is_lacking(make_view: Make) -> None:
    text = checked(replace(make_view([]), manifest={}))
    for sentence in (
        "No network has been trained yet",
        "there is none to show",
        "No final scores yet",
        "Nothing has been proposed yet",
        "so nothing has been spent",
        "The run holds no candidates yet",
        "The run's config is not recorded",
        "version not recorded",
    ):
        assert sentence in text


def test_a_run_of_baselines_alone(story: RunView, make_view: Make) -> None:
    text = checked(make_view([c for c in story.candidates if c.cycle == 0]))
    assert "No edited program has been trained yet" in text
    assert "No proposals yet." in text
    assert "No language model was called." in text


def test_what_is_too_large_or_was_outdone_is_no_failed_training(
    story: RunView, make_view: Make, make_slot: Callable[..., Candidate]
) -> None:
    reasons = (Refused("limit", "too many FLOPs"), Refused("ranked", "another one is likelier"))
    slots = [make_slot(1, place, story.candidates[0].program, None, why) for place, why in enumerate(reasons)]
    text = checked(make_view([story.candidates[0], *slots]))
    assert "It is larger than the run allows" in text
    assert "Another proposal of the slot was chosen" in text
    assert "Training failed" not in text


def test_where_no_long_training_held_the_page_says_so(make_view: Make) -> None:
    """Two lengths: all four edits had the short one, two beat their parent by it, and the long one of one failed."""

    def trained(score: float, epochs: int) -> Trained:
        return Trained(score, 100, 0, 1.0, 1.0, "A", epochs=epochs, cached=score == 0.8)

    base = Program.of("x = 0")
    short, late = trained(0.7, 1), Failed("timeout", "took longer than 1500 s", 1.0, 1.0, "A", 5)
    before = (short, trained(0.8, 5))
    rows = [Candidate(0, 0, "baseline", None, Draft(base, 1, 1), outcome=before[1], trainings=before, name="mlp")]
    for place, score in enumerate((0.75, 0.72, 0.65, 0.6)):
        made = (trained(score, 1), *((late,) if not place else ()))
        draft = Draft(Program.of(f"x = {place + 1}", parents=(base.id,)), 1, 1)
        part = ("net", "recipe")[place // 2]
        tried = (Attempt(f"e{place}", "exact", "", None, part=part),)
        rows.append(Candidate(1, place, "random", base.id, draft, tried, combined(made), made))
    view = make_view(rows)
    text = checked(view)
    assert "No edited program has a score after 5 epochs yet (3 after fewer)" in text
    assert "No edited program has been trained" not in text
    assert re.search(r"0\s*of 0\s*networks trained longest, whose accuracy", text)
    assert "baselines (1 read from an earlier run, with the times of then)" in text
    net, recipe = Reading(view).brought
    assert net.best == pytest.approx(0.02), "the one whose long training failed has no score"
    assert recipe.gain is not None
    assert recipe.gain.value == pytest.approx(-0.075), "after one epoch, as all were trained"


def test_a_run_of_refusals_alone(story: RunView, make_view: Make, make_slot: Callable[..., Candidate]) -> None:
    parent = story.candidates[0].program
    refusals = [make_slot(1, i, parent, None, Refused("contract", f"reason {'abcdefg'[i]}")) for i in range(7)]
    bare = replace(refusals[0], index=8, attempts=())
    text = checked(make_view([story.candidates[0], *refusals, bare]))
    assert "valid 0 0.0 %" in text
    assert "The contract is broken 8" in text
    assert "other reasons" in text


def test_a_run_without_refusals_or_elites(story: RunView, make_view: Make) -> None:
    rows = [c for c in story.candidates if c.cycle == 0 or (c.cycle, c.index) == (1, 1)]
    text = checked(make_view(rows))
    assert "No edited program beats its parent yet." in text
    assert "\N{MINUS SIGN}1.0 points" in text
    assert "No proposal was refused and no training failed." in text


def test_open_candidates_alone(story: RunView, make_view: Make) -> None:
    assert "1 slot: 0 trained, 0 refused, 0 failed, 1 open" in checked(make_view([story.candidates[-1]]))


def test_a_missing_ancestor_is_named(story: RunView, make_view: Make) -> None:
    text = checked(make_view([c for c in story.candidates if c.cycle == 2]))
    parent = story.candidates[-2].parent
    assert parent is not None
    assert f"the run does not hold its ancestor {parent[:8]}" in text
    assert "There is no difference to show" in text
    assert "not known: the run holds no score of it" in text


def test_an_untrained_ancestor_still_gives_the_difference(story: RunView, make_view: Make) -> None:
    failed = replace(story.candidates[0], outcome=Failed("crash", "gone", 1.0, 1.0, "A"))
    text = checked(make_view([failed, *story.candidates[1:]]))
    assert "The run holds no score of its baseline." in text
    assert "Difference from resnet" in text


def test_unknown_parameters_and_programs_are_said_to_be_unknown(make_view: Make) -> None:
    base, child = Program.of("x = 1"), Program.of("x = 2", transform="t = 1", prm='{"lr": 0.1}')
    score = Trained(0.5, 10, 0, 1, 1, "A")
    rows = [
        Candidate(0, 0, "baseline", None, Draft(base), (), replace(score, score=0.2)),
        Candidate(1, 0, "delta", base.id, Draft(child), (), score),
    ]
    text = checked(make_view(rows, (Final("f" * 16, score), Final(child.id, Failed("error", "no", 1, 1, "A")))))
    assert "parameters not recorded" in text
    assert "Difference from baseline 0" in text
    assert "transform" in text
    assert "ffffffff" in text
    assert "1.0 gave no final score (error): no" in text


def test_finals_that_all_failed(story: RunView) -> None:
    failed = Final(story.finals[0].program, Failed("memory", "too much", 1.0, 1.0, "A"))
    assert "No final training gave a score." in checked(replace(story, finals=(failed,)))


def test_an_accuracy_that_is_not_a_number_is_left_out(story: RunView, make_view: Make) -> None:
    broken = Trained(float("nan"), 1000, 0, 1.0, 1.0, "A")
    rows = [replace(c, outcome=broken) if isinstance(c.outcome, Trained) else c for c in story.candidates]
    assert "No network has been trained yet" in checked(make_view(rows, (Final(story.finals[0].program, broken),)))


def test_a_long_difference_is_cut_and_says_so(make_view: Make) -> None:
    base, child = Program.of("x = 1\n"), Program.of("".join(f"x = {i}\n" for i in range(2, 900)))
    rows = [
        Candidate(0, 0, "baseline", None, Draft(base), (), Trained(0.2, 10, 0, 1, 1, "A")),
        Candidate(1, 0, "delta", base.id, Draft(child), (), Trained(0.5, 10, 0, 1, 1, "A")),
    ]
    assert "500 more lines are not shown" in checked(make_view(rows))


def test_every_text_of_a_model_or_candidate_is_escaped(story: RunView) -> None:
    base = Program.of(baseline("resnet"), prm='{"</script>": 1}')
    child = base.edited("net", f"{base.net}\n# {PLANTED}\n").edited("transform", f"# {PLANTED}")
    child = Program(child.parts, (base.id,))
    attempt = Attempt(PLANTED, PLANTED, PLANTED, None, (Call(PLANTED, PLANTED, PLANTED, 1, 1, 1.0),))
    refusal = Refused("build", PLANTED)
    score = Trained(0.5, 1000, 0, 1.0, 1.0, "A")
    rows = (
        Candidate(0, 0, "baseline", None, Draft(base), (attempt,), replace(score, score=0.25), name=PLANTED),
        Candidate(1, 0, PLANTED, base.id, Draft(child), (attempt,), score),
        Candidate(1, 1, PLANTED, PLANTED, None, (replace(attempt, refusal=refusal),), refusal),
        Candidate(1, 2, PLANTED, base.id, None, (attempt,), Failed("error", PLANTED, 1.0, 1.0, PLANTED)),
    )
    view = RunView(PLANTED, True, {PLANTED: PLANTED, "config": {PLANTED: PLANTED}}, rows, {})
    view = replace(view, finals=(Final(child.id, score), Final(PLANTED, Failed("error", PLANTED, 1, 1, "A"))))
    text = checked(view)  # one script only, no handler attribute
    assert text.count("{{ 7*7 }}") > 10
    assert "<img" not in report.render(view)


def test_a_card_that_fails_leaves_the_others_standing(story: RunView, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(*_: object) -> NoReturn:
        raise RuntimeError("<b>the archive lies</b>")

    broken = tuple(replace(card, build=spoilt) if card.name == "costs" else card for card in cards.CARDS)
    monkeypatch.setattr(page, "CARDS", broken)
    html = report.render(story)
    assert "could not be computed: RuntimeError: &lt;b&gt;the archive lies&lt;/b&gt;" in html
    assert "Difference from resnet" in html


def test_an_elite_that_fails_leaves_the_others_standing(story: RunView, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Reading.lineage
    calls: list[str] = []

    def spoilt(reading: Reading, candidate: Candidate) -> object:
        calls.append("")
        # The first calls make the figures; then comes the first card.
        if len(calls) == 4:
            raise RuntimeError("no such line")
        return whole(reading, candidate)

    monkeypatch.setattr(Reading, "lineage", spoilt)
    text = " ".join(Tree(report.render(story)).text.split())
    assert "This network could not be shown: RuntimeError: no such line" in text
    assert "Full source of 1.0" in text


def test_two_thousand_candidates_render(story: RunView, make_view: Make) -> None:
    parent, score = story.candidates[0], Trained(0.5, 1000, 0, 1.0, 1.0, "A")
    assert parent.program is not None
    rows = [parent]
    for place in range(2000):
        program = Program.of(f"x = {place}")
        outcome = replace(score, score=0.5 + (place % 480) / 1000)
        rows.append(Candidate(1 + place // 100, place % 100, "delta", parent.program.id, Draft(program), (), outcome))
    html = report.render(make_view(rows))
    assert html.count("<tr><td") == 2001
    assert len(html) < 4_000_000
