"""From measured edits to lessons: split by family, none on both sides, each put as the strategy would have asked."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypeVar

from deltanas.errors import DataError, EditError
from deltanas.learn.measured import MeasuredEdit
from deltanas.llm import Lesson, Message, Preference
from deltanas.program import Program, Refused
from deltanas.seams import Ask

T = TypeVar("T")


class Phrasing(Protocol):
    """How a strategy asks for an edit, and the answer that makes it: a model is taught what it will be asked."""

    def lesson(self, ask: Ask, edit: str, goal: str, family: str) -> Lesson | Refused: ...


@dataclass(frozen=True, slots=True)
class Corpus:
    """What there is to learn.

    Attributes:
        tuning, held_out: lessons of different families and of different programs.
        dropped: how many edits gave no lesson, by the reason.
    """

    tuning: tuple[Lesson, ...]
    held_out: tuple[Lesson, ...]
    dropped: Mapping[str, int]

    @property
    def digest(self) -> str:
        """Digest of the lessons that are learned from, 16 hexadecimal digits."""
        rows = [[[list(message) for message in one.messages], one.completion] for one in self.tuning]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]

    def require(self) -> Corpus:
        """Raises DataError, with the reasons, where there is nothing to learn from."""
        if self.tuning:
            return self
        reasons = [f"{count} x {reason}" for reason, count in self.dropped.items()]
        raise DataError("the corpus holds no pair to learn from", "\n  ".join(reasons) or "it holds no measured edit")


def corpus_of(
    edits: Sequence[MeasuredEdit],
    phrasing: Phrasing,
    held: Iterable[str],
    measured: Sequence[MeasuredEdit] = (),
    programs: Iterable[Program] = (),
) -> Corpus:
    """The lessons of `edits`. Those of the families `held` are held out.

    An edit that was measured more than once gives one lesson, the first. Where a program of a family that is held out
    is also one of a family that is not, the edits that touch it are dropped from those to learn from.

    Args:
        measured: all that was measured, `edits` among it; if not given, `edits`.
        programs: further ones of families held out.
    """
    taught, dropped = _taught(edits, phrasing, set(held), measured, programs)
    tuning = tuple(lesson for edit, lesson, outside in taught if not outside)
    held_out = tuple(lesson for edit, lesson, outside in taught if outside)
    return Corpus(tuning, held_out, dict(dropped.most_common()))


def preferences_of(
    edits: Sequence[MeasuredEdit], phrasing: Phrasing, held: Iterable[str], beyond: float = 1.645
) -> tuple[tuple[Preference, ...], tuple[Preference, ...]]:
    """Pairs of edits that answer the same question, one with a higher gain beyond noise: (tuning, held out).

    For each question the best edit is paired with the worst, the second best with the second worst, and so on: an edit
    is in one pair at most. Edits whose noise is not known are in none. What is held out is as with lessons. The two of
    a pair may be of different families, as edits of an absent transform are; the pair counts to that of the better.
    """
    known = [edit for edit in edits if edit.noise is not None]
    questions: dict[tuple[bool, tuple[Message, ...]], list[tuple[MeasuredEdit, Lesson]]] = {}
    for edit, lesson, outside in _taught(known, phrasing, set(held), edits)[0]:
        questions.setdefault((outside, lesson.messages), []).append((edit, lesson))
    pairs: tuple[list[Preference], list[Preference]] = ([], [])
    for (outside, messages), answers in questions.items():
        answers.sort(key=lambda one: -one[0].gain)
        for (good, better), (bad, worse) in zip(answers[: len(answers) // 2], reversed(answers), strict=False):
            if good.gain - bad.gain > beyond * math.hypot(good.noise or 0.0, bad.noise or 0.0):
                pairs[outside].append(Preference(messages, better.completion, worse.completion, good.family))
    return tuple(pairs[0]), tuple(pairs[1])


def _taught(
    edits: Sequence[MeasuredEdit],
    phrasing: Phrasing,
    apart: set[str],
    measured: Sequence[MeasuredEdit] = (),
    programs: Iterable[Program] = (),
) -> tuple[list[tuple[MeasuredEdit, Lesson, bool]], Counter[str]]:
    """Edits with their lessons and whether they are held out; and how many gave none, by the reason."""
    dropped: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    usable: list[tuple[MeasuredEdit, tuple[str, str]]] = []
    for edit in edits:
        try:
            pair = edit.pair
        except EditError as error:
            dropped[error.message] += 1
            continue
        if pair[0] == pair[1]:
            dropped["the edit changes nothing that counts"] += 1
        elif pair in seen:
            dropped["measured more than once"] += 1
        else:
            usable.append((edit, pair))
        seen.add(pair)
    hidden = _hidden(measured or edits, apart)
    for program in programs:
        bare = Program({part: text for part, text in program.parts.items() if part != "prm"})
        hidden |= {program.id, bare.id}  # as in `MeasuredEdit.pair`
    # A part that is absent is of no family: edits of many begin there.
    hidden -= {edit.pair[0] for edit, _ in usable if not edit.parent.part(edit.part)}
    taught = []
    for edit, pair in usable:
        outside = edit.family in apart
        if not edit.ask.parts:
            dropped[f"no space of edits for the part {edit.part}"] += 1
            continue
        if not outside and not hidden.isdisjoint(pair):
            dropped["a program of a family that is held out"] += 1
            continue
        lesson = phrasing.lesson(edit.ask, edit.edit, edit.goal, edit.family)
        if isinstance(lesson, Refused):
            dropped[lesson.reason.partition("\n")[0]] += 1
        else:
            taught.append((edit, lesson, outside))
    return taught, dropped


def _hidden(edits: Sequence[MeasuredEdit], apart: set[str]) -> set[str]:
    """Identities of the programs of the families `apart`."""
    hidden: set[str] = set()
    for edit in edits:
        if edit.family in apart:
            with suppress(EditError):
                hidden.update(edit.pair)
    return hidden


def held_families(families: Iterable[str], share: float, seed: int) -> list[str]:
    """The families to hold out: this share of them, rounded, drawn by the seed."""
    names = sorted(set(families), key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    return names[: round(share * len(names))]


def some_of(those: Sequence[T], most: int, chance: Random) -> list[T]:
    """At most `most` of those, drawn."""
    return chance.sample(those, min(most, len(those)))
