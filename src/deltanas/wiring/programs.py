"""From settings to programs, with the hyperparameters that are given and the usual ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deltanas import nets
from deltanas.assess import assumed_of, told_assumed
from deltanas.config import SearchConfig
from deltanas.program import Program, assumed, prm_text
from deltanas.program.transforms.space import START_NAMES, STARTS
from deltanas.sources import chosen_sources

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
    hyperparameter that is declared, and that nobody gave.

    Raises UsageError as `chosen_sources` does.
    """
    augmenting = config.edits == ("transform",)
    names = config.baselines or ((AUGMENTED,) if augmenting else tuple(nets.baselines()))
    chosen = config.transforms or START_NAMES
    starts = {name: STARTS[name] for name in STARTS if (name or "none") in chosen} if augmenting else {"": ""}
    programs: dict[str, Program] = {}
    for name, source, prm in chosen_sources(config.model_copy(update={"baselines": names})):
        program = program_of(source, prm)
        for start, transform in starts.items():
            programs[f"{name} {start}".rstrip()] = Program({**program.parts, "transform": transform})
        if tell:
            for line in told_assumed(assumed_of(program, prm)):
                tell(f"{name}: {line}")
    return programs


def program_of(source: str, prm: Mapping[str, float] | None = None) -> Program:
    """A program with the default recipe, but for what `prm` replaces, and the usual values of what it declares."""
    values = {**nets.DEFAULT_PRM, **(prm or {})}
    return Program.of(net=source, prm=prm_text({**assumed(source, values), **values}))
