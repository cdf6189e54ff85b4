"""Lessons out of measured edits: no leakage between what is learned and what is held out; what is dropped says why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltanas.errors import DataError
from deltanas.learn.corpus import corpus_of, held_families, preferences_of
from deltanas.learn.measured import MeasuredEdit
from deltanas.llm import Lesson, Message
from deltanas.program import Program, Refused
from deltanas.seams import Ask


class Plain:
    """Asks with the parent's text; refuses edits that say so."""

    def lesson(self, ask: Ask, edit: str, goal: str, family: str) -> Lesson | Refused:
        if "refuse" in edit:
            return Refused("apply", "refused for a reason\nat length")
        return Lesson((Message("user", ask.parent.net),), edit, family)


def measured(family: str, old: int, new: int, word: str = "") -> MeasuredEdit:
    edit = f"<<<<<<< SEARCH\nx = {old}\n=======\nx = {new}  # {word}\n>>>>>>> REPLACE\n"
    return MeasuredEdit(family, f"x = {old}\n", edit, gain=0.1, accuracy=0.5)


def test_lessons_are_split_by_family_and_what_is_dropped_is_counted() -> None:
    edits = [
        measured("a", 1, 2),
        measured("b", 10, 11),
        measured("a", 1, 2, "again"),
        measured("a", 3, 4, "refuse"),
        measured("a", 5, 5),
        replace(measured("a", 6, 7), source="y = 6\n"),
        measured("a", 8, 10),
    ]
    corpus = corpus_of(edits, Plain(), ["b"])
    assert [one.completion for one in corpus.tuning] == [edits[0].edit]
    assert [one.completion for one in corpus.held_out] == [edits[1].edit]
    assert corpus.dropped == {
        "measured more than once": 1,
        "refused for a reason": 1,
        "the edit changes nothing that counts": 1,
        "Edit 1 quotes lines that the file does not have.": 1,
        "a program of a family that is held out": 1,
    }


def test_a_program_is_held_out_whatever_its_edits_brought() -> None:
    edits = [measured("a", 1, 2), measured("a", 1, 3), measured("b", 10, 2), measured("a", 1, 4), measured("b", 10, 11)]
    chosen = [*edits[:2], *edits[3:]]
    baselines = [Program.of("x = 3\n", prm='{"lr": 0.1}')]
    assert len(corpus_of(chosen, Plain(), ["b"]).tuning) == 3
    corpus = corpus_of(chosen, Plain(), ["b"], edits, baselines)
    assert [one.completion for one in corpus.tuning] == [edits[3].edit]
    assert [one.completion for one in corpus.held_out] == [edits[4].edit]
    assert corpus.dropped == {"a program of a family that is held out": 2}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_nothing_is_on_both_sides(rows: list[tuple[str, int, int]]) -> None:
    edits = [measured(*each) for each in rows]
    corpus = corpus_of(edits, Plain(), ["a"])
    by_edit = {(one.source, one.edit): one for one in edits}

    def programs(lessons: tuple[Lesson, ...]) -> set[str]:
        found = [by_edit[lesson.messages[0].content, lesson.completion] for lesson in lessons]
        return {program.id for one in found for program in (one.parent, one.child)}

    assert {one.family for one in corpus.held_out} <= {"a"}
    assert not {one.family for one in corpus.tuning} & {"a"}
    assert not programs(corpus.tuning) & programs(corpus.held_out)
    assert len(corpus.tuning) + len(corpus.held_out) + sum(corpus.dropped.values()) == len(edits)


def test_a_corpus_without_a_pair_says_why() -> None:
    with pytest.raises(DataError, match="no pair to learn from\n  2 x refused for a reason"):
        corpus_of([measured("a", 3, 4, "refuse"), measured("a", 4, 5, "refuse")], Plain(), []).require()
    with pytest.raises(DataError, match="no measured edit"):
        corpus_of([], Plain(), []).require()


def test_the_digest_knows_the_lessons() -> None:
    one, other = (corpus_of([measured("a", 1, value)], Plain(), []) for value in (2, 3))
    assert one.digest != other.digest
    assert one.digest == corpus_of([measured("a", 1, 2), measured("b", 7, 8)], Plain(), ["b"]).digest


def test_families_are_held_out_by_share_and_seed() -> None:
    names = [f"family {n}" for n in range(17)]
    held = held_families(names, 0.2, 0)
    assert len(held) == 3
    assert held == held_families(reversed(names), 0.2, 0)
    assert held != held_families(names, 0.2, 1)
    assert held_families(["a", "b"], 0.2, 0) == []
    assert len(held_families(["a", "b"], 0.5, 0)) == 1


def test_a_parent_is_known_by_its_text() -> None:
    assert measured("a", 1, 2).parent == Program.of("x = 1\n")
    assert measured("a", 1, 2).ask.parent.net == "x = 1\n"


def test_preferences_are_of_one_question_and_beyond_noise() -> None:
    gains = {2: 0.3, 3: -0.2, 4: 0.1, 5: 0.09, 6: 0.0}
    edits = [replace(measured("a", 1, new), gain=gain, noise=0.02) for new, gain in gains.items()]
    edits += [replace(measured("a", 1, 7), gain=0.9), replace(measured("a", 8, 9), gain=-0.9, noise=0.02)]
    edits += [replace(measured("b", 20, new), gain=gain, noise=0.02) for new, gain in ((21, 0.1), (22, 0.0))]
    tuning, held_out = preferences_of(edits, Plain(), ["b"])
    by_new = {2: 3, 4: 6}
    assert [(one.better, one.worse) for one in tuning] == [
        (measured("a", 1, good).edit, measured("a", 1, bad).edit) for good, bad in by_new.items()
    ]
    assert [(one.better, one.family) for one in held_out] == [(measured("b", 20, 21).edit, "b")]
    assert preferences_of(edits, Plain(), [], beyond=100) == ((), ())
