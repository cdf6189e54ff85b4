"""All that there is to read of one candidate: what became of it, its source, what it changes, what was proposed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from deltanas.prices import priced, prices
from deltanas.program import EMPTY, Failed, Program, Refused, Trained, diff, differing_parts
from deltanas.records import Attempt, Candidate
from deltanas.report.reading import Reading, label

_TITLES = {"net": "Source", "transform": "Transform", "prm": "Hyperparameters"}
LONGEST = 60_000
"""Characters of a text that are shown: a model may have written without end."""


def opened(reading: Reading, candidate: Candidate) -> dict[str, object]:
    """Plain data: `name`, `facts` (name and value) and `texts` (`title`, `text`, and `diff`: is it a difference).

    The page puts them in place as text, never as HTML, so nothing is escaped here.
    """
    return {"name": label(candidate), "facts": list(_facts(reading, candidate)), "texts": _texts(reading, candidate)}


def opened_within(reading: Reading, most: int) -> dict[str, object]:
    """The candidates by "cycle.index", the best first, whole as long as their texts come to `most` characters."""
    found: dict[str, object] = {}
    room = most
    for candidate in sorted(reading.view.candidates, key=reading.journal.rank):
        known = opened(reading, candidate)
        room -= len(json.dumps(known))
        if room < 0:
            break
        found[f"{candidate.cycle}.{candidate.index}"] = known
    return found


def _facts(reading: Reading, candidate: Candidate) -> Iterator[tuple[str, str]]:
    parents = [parent for identity in candidate.parents if (parent := reading.holder(identity))]
    if parents:
        yield "edited from" if len(parents) == 1 else "made from", ", ".join(map(label, parents))
    if reading.value(candidate) is not None:
        bounds = reading.interval(candidate)
        span = f" ({reading.metric.shown(bounds.low)} to {reading.metric.shown(bounds.high)})" if bounds else ""
        yield reading.metric.name, reading.told(candidate) + span
    match candidate.outcome:
        case None:
            yield "state", "open"
        case Refused(stage=stage, reason=reason):
            yield "refused", f"{stage}: {reason}"[:2_000]
        case Failed(kind=kind, reason=reason):
            yield "failed", f"{kind}: {reason}"[:2_000]
        case Trained(seconds=seconds, tier=tier):
            yield "trained", f"{seconds:.1f} s, sandbox tier {tier}"
    if candidate.draft and candidate.draft.params is not None:
        yield "parameters", f"{candidate.draft.params:,}"
    if candidate.draft and candidate.cycle:
        yield "price, in times of its baseline's", priced(prices(candidate, reading.journal))
    if candidate.kept and candidate.kept.aim:
        yield "goal", candidate.kept.aim
    if candidate.program:
        yield "program", candidate.program.id


def _texts(reading: Reading, candidate: Candidate) -> list[dict[str, object]]:
    program = candidate.program
    base = reading.view.programs.get(candidate.parent) if candidate.parent else None
    found = []
    if program is not None and base is not None:
        for part, old, new in differing_parts(base, program):
            what = "" if part == "net" else f": {_title(part).lower()}"
            found.append(_text(f"Difference from its parent{what}", _headless(diff(old, new)), is_diff=True))
    found += [_text(f"Proposal {n}{_fate(each)}", each.edit) for n, each in _proposals(candidate.attempts)]
    if program is not None:
        found += [_text(_title(part), text) for part, text in _parts(program) if text]
    return found


def _parts(program: Program) -> Iterator[tuple[str, str]]:
    """The usual parts first."""
    for part in dict.fromkeys((*EMPTY, *program.parts)):
        yield part, program.part(part)


def _title(part: str) -> str:
    return _TITLES.get(part, part.capitalize())


def _proposals(attempts: Iterable[Attempt]) -> list[tuple[int, Attempt]]:
    """Those with a text; the one that was kept is said by the difference already."""
    return [(n, each) for n, each in enumerate(attempts, 1) if each.edit and each.refusal is not None]


def _fate(attempt: Attempt) -> str:
    refusal = attempt.refusal
    return "" if refusal is None else f", refused ({refusal.stage}): {' '.join(refusal.reason.split())[:300]}"


def _headless(text: str) -> str:
    """A diff without the two lines of file names, which say nothing here."""
    return text.split("\n", 2)[2] if text else ""


def _text(title: str, text: str, *, is_diff: bool = False) -> dict[str, object]:
    cut = len(text) - LONGEST
    shown = text if cut <= 0 else f"{text[:LONGEST]}\n[{cut:,} more characters are not shown]"
    return {"title": title, "text": shown, "diff": is_diff}
