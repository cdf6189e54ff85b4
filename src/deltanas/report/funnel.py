"""How many proposals passed each gate, counted by attempt and by slot, and what turned the others back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deltanas.program import Failed, Outcome, Refused, Trained
from deltanas.report.intervals import wilson
from deltanas.seams import Attempt, Candidate

STEPS = ("proposed", "applied", "contract", "built", "novel", "trained")
_PASSED_BEFORE = {"parse": 0, "apply": 0, "contract": 1, "build": 2, "step": 2, "novelty": 3}
_NOVEL, _TRAINED = 4, 5


@dataclass(frozen=True, slots=True)
class Step:
    """`passed` of the `of` that came to this step, with the 95 % Wilson interval of that share.

    `of` is what the step before let pass, less what is still open. The interval is None where nothing came.
    """

    name: str
    passed: int
    of: int
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Funnel:
    """The same steps counted three ways, which are never added up or mixed.

    Attributes:
        first: the first attempt of each slot: what one proposal is worth, without retries.
        attempts: every attempt, retries included.
        slots: each slot once, by the attempt that came furthest.
    """

    first: tuple[Step, ...]
    attempts: tuple[Step, ...]
    slots: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason for refusal or failure: how often, and one text as it was. Texts that differ in numbers only are one.

    `stage` is the gate, or the kind of failure of a training.
    """

    stage: str
    count: int
    text: str


def funnel(search: Sequence[Candidate]) -> Funnel:
    """The funnel of the candidates of the search (the baselines are not proposals)."""
    first = [(_depth(c.attempts[0], c.outcome), _pending(c, c.attempts[0])) for c in search if c.attempts]
    attempts = []
    for candidate in search:
        # A slot trains at most one of its attempts: the first that passed.
        chosen = next((i for i, a in enumerate(candidate.attempts) if a.refusal is None), -1)
        for position, attempt in enumerate(candidate.attempts):
            outcome = candidate.outcome if position == chosen else None
            attempts.append((_depth(attempt, outcome), position == chosen and _pending(candidate, attempt)))
    slots = [(_slot_depth(c), c.outcome is None) for c in search]
    return Funnel(_steps(first), _steps(attempts), _steps(slots))


def rungs(search: Sequence[Candidate]) -> list[tuple[str, int]]:
    """How the edits that applied did so, commonest first; every attempt counts."""
    return Counter(a.rung for c in search for a in c.attempts if a.rung is not None).most_common()


def reasons(search: Sequence[Candidate]) -> list[Reason]:
    """Why attempts were refused and trainings failed: by stage in the order of the funnel, commonest first."""
    found: Counter[tuple[str, str]] = Counter()
    example: dict[tuple[str, str], str] = {}
    for stage, text in _turned_back(search):
        line = next((part.strip() for part in text.splitlines() if part.strip()), "(no reason given)")
        key = stage, re.sub(r"\d+(\.\d+)?", "#", line)
        found[key] += 1
        example.setdefault(key, line)
    ranked = sorted(found.items(), key=lambda item: (_PASSED_BEFORE.get(item[0][0], _NOVEL), -item[1], item[0]))
    return [Reason(key[0], count, example[key]) for key, count in ranked]


def _turned_back(search: Sequence[Candidate]) -> Iterable[tuple[str, str]]:
    for candidate in search:
        refusals = [attempt.refusal for attempt in candidate.attempts if attempt.refusal is not None]
        match candidate.outcome:
            case Refused() as refused if not refusals:
                refusals = [refused]
            case Failed(kind=kind, reason=reason):
                yield kind, reason
        for refusal in refusals:
            yield refusal.stage, refusal.reason


def _pending(candidate: Candidate, attempt: Attempt) -> bool:
    return candidate.outcome is None and attempt.refusal is None


def _depth(attempt: Attempt, outcome: Outcome | None) -> int:
    """The last of `STEPS` that the attempt passed; `outcome` is that of its training."""
    if attempt.refusal is not None:
        return _PASSED_BEFORE[attempt.refusal.stage]
    return _TRAINED if isinstance(outcome, Trained) else _NOVEL


def _slot_depth(candidate: Candidate) -> int:
    match candidate.outcome:
        case Refused(stage=stage):
            return max([_PASSED_BEFORE[stage], *(_depth(a, None) for a in candidate.attempts)])
        case Failed():
            return _NOVEL
        case Trained():
            return _TRAINED
        case None:
            return max((_depth(a, None) for a in candidate.attempts), default=_NOVEL)


def _steps(reached: Sequence[tuple[int, bool]]) -> tuple[Step, ...]:
    """Steps from (depth, still open) of each attempt or slot."""
    steps = []
    came = len(reached)
    for position, name in enumerate(STEPS):
        passed = sum(depth >= position for depth, _ in reached)
        of = came - (sum(still for depth, still in reached if depth == _NOVEL) if position == _TRAINED else 0)
        share = wilson(passed, of) if of else None
        steps.append(Step(name, passed, of, share.low if share else None, share.high if share else None))
        came = passed
    return tuple(steps)
