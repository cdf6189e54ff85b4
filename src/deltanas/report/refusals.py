"""What turned proposals back, and made trainings fail: the reasons, counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from deltanas.program import Failed, Refused, Stage
from deltanas.records import Candidate


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason for refusal or failure: how often, and one text as it was. Texts that differ in numbers only are one.

    `stage` is the gate, or the kind of failure of a training.
    """

    stage: str
    count: int
    text: str


def reasons(search: Sequence[Candidate]) -> list[Reason]:
    """Why attempts were refused and trainings failed: by stage in the order of the gates, commonest first."""
    found: Counter[tuple[str, str]] = Counter()
    example: dict[tuple[str, str], str] = {}
    for stage, text in _turned_back(search):
        line = next((part.strip() for part in text.splitlines() if part.strip()), "(no reason given)")
        key = stage, re.sub(r"\d+(\.\d+)?", "#", line)
        found[key] += 1
        example.setdefault(key, line)
    order: dict[str, int] = {stage: place for place, stage in enumerate(get_args(Stage))}
    ranked = sorted(found.items(), key=lambda item: (order.get(item[0][0], len(order)), -item[1], item[0]))
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
