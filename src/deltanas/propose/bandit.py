"""A bandit over the kinds of edits, without a model: the control that learns which kind of edit pays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from deltanas.journal import Journal
from deltanas.program import kinds_of
from deltanas.propose.random import RANDOM, RandomProposer
from deltanas.seams import Ask
from deltanas.thompson import Known, thompson


class BanditProposer(RandomProposer):
    """An edit as the control draws it, of the kind whose gain, drawn from what the run knows of it, is the highest.

    Its space chooses kinds by `ThompsonKinds`.
    """

    strategy = "bandit"


class ThompsonKinds:
    """Chooses a slot's kind by what the earlier cycles know, which is read once a cycle, not once a slot."""

    def __init__(self) -> None:
        self._read: tuple[Journal, int] | None = None
        self._known = Known.of({})

    def __call__(self, ask: Ask) -> Callable[[Sequence[str]], str]:
        earlier = ask.journal.before(ask.cycle)
        if self._read is None or self._read[0] is not earlier or self._read[1] != len(earlier):
            self._read, self._known = (earlier, len(earlier)), Known.of(by_step(earlier.gains("kind")))
        return thompson(self._known, ask.rng("kind"))


def by_step(gains: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """The gains by kind, where each step of a composite edit has an equal share of its gain."""
    found: dict[str, list[float]] = {}
    for kind, values in gains.items():
        kinds = kinds_of(kind)
        for one in kinds:
            found.setdefault(one, []).extend(value / len(kinds) for value in values)
    return found


BANDIT = replace(
    RANDOM,
    name="bandit",
    about="the same draws; the kind of edit by Thompson sampling over the kinds' gains",
    build=lambda context: BanditProposer(context.space(ThompsonKinds())),
)
