"""From settings to how much is searched, and how often candidates are trained."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from deltanas.allocation import Allocation
from deltanas.config import SearchConfig
from deltanas.objective import objectives_of
from deltanas.plan import Plan
from deltanas.task import TASKS, Metric
from deltanas.wiring.choosing import joins_of
from deltanas.wiring.proposing import parent_rule_of, proposals_of


def plan_of(config: SearchConfig, metric: Metric, *, outside: bool = False) -> Plan:
    """outside: the slots are filled by `ask` and `tell`."""
    return Plan(
        cycles=config.cycles,
        candidates=config.candidates,
        seed=config.seed,
        retries=0 if joins_of(config) else config.retries,
        finals=config.finals,
        objectives=objectives_of(config.objectives, TASKS[config.task]),
        parent=parent_rule_of(config),
        proposals=proposals_of(config),
        allocation=allocation_of(config),
        final_epochs=config.final_epochs,
        metric=metric,
        parts=config.parts,
        outside=outside,
    )


def allocation_of(config: SearchConfig) -> Allocation:
    """`seeds` = auto: one training of each candidate at a rung, and a budget of repeats, unless the settings say one.

    That is half as many as candidates come to the last rung.
    """
    once = Allocation(top=max(1, config.finals), rungs=config.lengths, share=config.promote)
    longest = once.sizes(config.candidates)[-1]
    each, budget = (1, ceil(longest / 2)) if config.seeds == "auto" else (config.seeds, 0)
    return replace(once, each=each, budget=budget if config.seeds_budget is None else config.seeds_budget)
