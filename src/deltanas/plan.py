"""How much a search does, and by which rules it chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deltanas.allocation import ONCE, Allocation
from deltanas.objective import Objective
from deltanas.policy import by_rank
from deltanas.program import Part
from deltanas.seams import ParentRule
from deltanas.task import CLASSIFY, Metric


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to search.

    Attributes:
        cycles, candidates: number of cycles, and slots to fill in each.
        seed: the root of all chance.
        retries: how often to ask again when every proposal for a slot was refused; the reasons go along.
        finals: number of elites retrained and scored on the test split, with their baselines and the best baseline.
        objectives: what is better; one or none: the score.
        parent: chooses the parent of a slot, given its place and the journal of all earlier cycles.
        proposals: number drawn for a slot in each round; None: by what the journal measured.
        allocation: how often candidates are trained, and for how long.
        final_epochs: length of the final training; None: the longest one of the search.
        metric: what ranks them.
        parts: names of the spaces of edits; a slot gets one of them (`policy.PartsByGain`).
        outside: slots are filled by others, who ask and tell: a search trains what is there, and ends the run once
            every slot is filled.
    """

    cycles: int
    candidates: int
    seed: int
    retries: int = 2
    finals: int = 3
    objectives: Sequence[Objective] = ()
    parent: ParentRule = by_rank
    proposals: int | None = 1
    allocation: Allocation = ONCE
    final_epochs: int | None = None
    metric: Metric = CLASSIFY.metric
    parts: tuple[Part, ...] = ("net",)
    outside: bool = False
