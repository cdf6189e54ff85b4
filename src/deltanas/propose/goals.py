"""What a proposal is asked to do: goals by kind of edit, each with what an edit must be like to fit it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from deltanas.program import Part, SpaceEdit
from deltanas.propose.prompt import prompt_text
from deltanas.records import Telemetry
from deltanas.seams import Ask

_KIND = re.compile(r"^# (.+)\n", re.MULTILINE)
_GOAL = re.compile(r"- (?P<text>.*?)(?: \[(?P<which>more|less|/.+/)\])?$")
_TOKEN = re.compile(r"[^\W\d]\w*|\d+(?:\.\d+)?|\S")


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of `prompts/goals.md`, or of the file of another part.

    Attributes:
        text: what the model is told.
        which: the edits of its kind that fit: "more" or "less" (of code, else of its numbers), "/PATTERN/" (what an
            edit brings in, its new tokens joined by blanks, matches), "" (all of them).
    """

    text: str
    which: str = ""

    def fits(self, edit: SpaceEdit) -> bool:
        old, new = _TOKEN.findall(edit.old), _TOKEN.findall(edit.new)
        match self.which:
            case "":
                return True
            case "more":
                return _amount(new) > _amount(old)
            case "less":
                return _amount(new) < _amount(old)
            case pattern:
                brought = Counter(new) - Counter(old)
                return re.search(pattern.strip("/"), " ".join(token for token in new if brought[token])) is not None


def _amount(tokens: Sequence[str]) -> tuple[int, float]:
    return len(tokens), sum(float(token) for token in tokens if token[0].isdigit())


@cache
def goals(of: Part = "net") -> dict[str, tuple[Goal, ...]]:
    """What to ask for, by kind of edit, where edits are of this part of a program."""
    _, *parts = _KIND.split(prompt_text("goals", of))
    return {
        kind: tuple(
            Goal(match["text"], match["which"] or "") for line in text.split("\n") if (match := _GOAL.match(line))
        )
        for kind, text in zip(parts[::2], parts[1::2], strict=True)
    }


@cache
def general_goal(of: Part = "net") -> str:
    """What any edit of this part is asked to do."""
    return _KIND.split(prompt_text("goals", of))[0].strip()


def drawn_goal(ask: Ask, edits: Sequence[SpaceEdit]) -> tuple[str, tuple[SpaceEdit, ...]]:
    """A goal that some of `edits`, all of one kind and at least one, fit, with those that do.

    Goals whose candidates gained so far come twice as often as untried ones, these twice as often as those that lost.
    """
    kind = edits[0].kind
    possible = [goal for goal in goals(ask.part).get(kind, ()) if any(map(goal.fits, edits))]
    gains = [ask.telemetry.gains.get(goal.text, 0.0) for goal in possible]
    weights = [2.0 ** ((gain > 0) - (gain < 0)) for gain in gains]
    goal = ask.rng("goal").choices(possible, weights)[0] if possible else Goal(f"Change the {kind}.")
    return goal.text, tuple(filter(goal.fits, edits))


def any_goal(ask: Ask) -> str:
    """For a program that has no edit of the space."""
    known = goals(ask.part)
    kind = ask.rng("kind").choice(sorted(known))
    return ask.rng("goal").choice(known[kind]).text


def facts(goal: str, telemetry: Telemetry) -> list[str]:
    """What the earlier cycles measured of the parent and of this goal, in words; nothing where nothing was measured."""
    told = []
    if telemetry.score is not None:
        size = "" if telemetry.params is None else f" with {telemetry.params:,} parameters"
        told.append(f"The network reaches {telemetry.metric.said(telemetry.score)}{size}.")
    if goal in telemetry.gains:
        told.append(f"Edits for this goal moved it by {telemetry.metric.moved(telemetry.gains[goal])} on average.")
    return told
