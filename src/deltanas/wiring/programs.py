"""From settings to programs, with the hyperparameters that are given and the usual ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deltanas import nets
from deltanas.assess import assumed_of, told_assumed
from deltanas.config import SearchConfig
from deltanas.errors import UsageError
from deltanas.program import Program, assumed, prm_text
from deltanas.program.assembly import unfit
from deltanas.program.transforms.space import START_NAMES, STARTS
from deltanas.sources import chosen_sources
from deltanas.wiring.choosing import joins_of

AUGMENTED = "resnet"
"""The network of a search of transforms, if none is named: the published searches trained a ResNet, and convolutions
gain from images that are shifted and turned.
"""


def builtin_programs(prm: Mapping[str, float]) -> dict[str, Program]:
    return {name: program_of(source, prm) for name, source in nets.baselines().items()}


def programs_of(config: SearchConfig, tell: Callable[[str], None] | None = None) -> dict[str, Program]:
    """The baselines that the settings name, all built-in ones if they name none.

    Where nothing but the transform is edited, each network comes with each of the transforms that such a search begins
    with (`STARTS`, or those of the setting `transforms`), and is one network if none is named. tell: told of each
    hyperparameter that is declared and that nobody gave, and of trials that suggestions leave out.

    Raises UsageError as `chosen_sources` does, where two have one name, and where the strategy needs more of them.
    """
    augmenting = config.edits == ("transform",)
    names = config.baselines or ((AUGMENTED,) if augmenting else _searched(config.task))
    chosen = config.transforms or START_NAMES
    starts = {name: STARTS[name] for name in STARTS if (name or "none") in chosen} if augmenting else {"": ""}
    programs: dict[str, Program] = {}
    for name, source, prm in chosen_sources(config.model_copy(update={"baselines": names}), tell):
        program = program_of(source, prm)
        for start, transform in starts.items():
            label, begun = f"{name} {start}".rstrip(), Program({**program.parts, "transform": transform})
            if programs.setdefault(label, begun) != begun:
                raise UsageError(
                    f"two baselines that differ have one name, {name}",
                    "give one file, or the folder of one run, another name",
                )
        if tell:
            for line in told_assumed(assumed_of(program, prm)):
                tell(f"{name}: {line}")
    if least := joins_of(config):
        _require_fit(config, programs, least, tell)
    return programs


def _require_fit(
    config: SearchConfig, programs: Mapping[str, Program], least: int, tell: Callable[[str], None] | None
) -> None:
    """Raises UsageError where too few of the programs can be joined; tells of each that can't be."""
    faults = {name: fault for name, program in programs.items() if (fault := unfit(name, program.net))}
    if len(programs) - len(faults) < least:
        reasons = "".join(f"; {fault.message}: {fault.hint}" for fault in faults.values())
        suggests = any(name.partition(":")[0] == "suggested" for name in config.baselines)
        raise UsageError(
            f"strategy {config.strategy} joins {least} baselines, and {len(programs) - len(faults)} are given that fit",
            (f"take `--set suggested_programs={least + len(faults)}`, or " if suggests else "")
            + f"give {least} or more --baselines, or leave them out for all built-in ones{reasons}",
        )
    if tell:
        for fault in faults.values():
            tell(f"in no mixture: {fault.message}; {fault.hint}")


def _searched(task: str) -> tuple[str, ...]:
    """The baselines of a task that a search begins with."""
    return tuple(name for name in nets.baselines(task) if name != nets.TEACHER)


def program_of(source: str, prm: Mapping[str, float] | None = None) -> Program:
    """A program with the default recipe, but for what `prm` replaces, and the usual values of what it declares."""
    values = {**nets.DEFAULT_PRM, **(prm or {})}
    return Program.of(net=source, prm=prm_text({**assumed(source, values), **values}))
