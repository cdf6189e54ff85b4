"""From settings to programs, with the hyperparameters that are given and the usual ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deltanas import nets
from deltanas.assess import assumed_of, told_assumed
from deltanas.config import SearchConfig
from deltanas.program import Program, assumed, prm_text
from deltanas.sources import chosen_sources


def builtin_programs(prm: Mapping[str, float]) -> dict[str, Program]:
    return {name: program_of(source, prm) for name, source in nets.baselines().items()}


def programs_of(config: SearchConfig, tell: Callable[[str], None] | None = None) -> dict[str, Program]:
    """The baselines that the settings name. tell: told of each hyperparameter that is declared, and that nobody gave.

    Raises UsageError as `chosen_sources` does.
    """
    programs: dict[str, Program] = {}
    for name, source, prm in chosen_sources(config):
        programs[name] = program_of(source, prm)
        if tell:
            for line in told_assumed(assumed_of(programs[name], prm)):
                tell(f"{name}: {line}")
    return programs


def program_of(source: str, prm: Mapping[str, float] | None = None) -> Program:
    """A program with the default recipe, but for what `prm` replaces, and the usual values of what it declares."""
    values = {**nets.DEFAULT_PRM, **(prm or {})}
    return Program.of(net=source, prm=prm_text({**assumed(source, values), **values}))
