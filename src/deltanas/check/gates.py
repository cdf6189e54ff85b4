"""The two checks as gates of the loop."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Sequence
from dataclasses import replace
from math import isnan, nan
from typing import NamedTuple

from deltanas.check.contract import contract_faults
from deltanas.program import SHOWN, USUAL, Program, Refused, Stage, declared
from deltanas.program.hyperparameters import prm_faults
from deltanas.program.transforms import transform_faults
from deltanas.records import Draft
from deltanas.seams import Builds, Built, Gate


class ContractGate(Gate):
    """Refuses a program whose parts do not fulfil their contracts. Static: microseconds, nothing runs."""

    stage: Stage = "contract"

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        return [
            Refused("contract", "; ".join(faults)) if (faults := _faults(draft.program)) else draft for draft in drafts
        ]


def _faults(program: Program) -> tuple[str, ...]:
    return (*contract_faults(program.net), *transform_faults(program.transform), *prm_faults(program.prm))


class BuildGate(Gate):
    """Builds each network in the sandbox, checks its output shape and runs its first training steps.

    What passes comes back with its parameters, FLOPs, the hash of its traced operations, its probe and, where its
    parent is known, whether it trains otherwise than that.
    """

    stage: Stage = "build"

    def __init__(self, builds: Builds) -> None:
        self._builds = builds
        self._known: dict[str, _Known] = {}

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        results = self._builds.build([draft.program for draft in drafts])
        return [
            _explained(draft.program, result) if isinstance(result, Refused) else self._passed(draft, result)
            for draft, result in zip(drafts, results, strict=True)
        ]

    def remember(self, drafts: Sequence[Draft]) -> None:
        self._known |= {draft.program.id: _known(draft) for draft in drafts}

    def _passed(self, draft: Draft, built: Built) -> Draft:
        parent = self._known.get(draft.program.parent or "")
        return replace(
            draft,
            params=built.params,
            flops=built.flops,
            trace=built.trace,
            probe=built.probe,
            effective=None if parent is None else _effective(draft.program, built, parent),
        )


def _explained(program: Program, refusal: Refused) -> Refused:
    """With what mends it, where the program asks for a hyperparameter that it declares and nobody gave."""
    missing = re.search(r"KeyError: '(\w+)'", refusal.reason)
    if not missing or missing[1] in program.hyperparameters or missing[1] not in declared(program.net):
        return refusal
    name = missing[1]
    mend = f"give --prm {name}={USUAL.get(name, 'VALUE')}, or let the program read prm.get({name!r}, VALUE)"
    return replace(refusal, reason=f"{refusal.reason}, as the program declares {name}, and nobody gave it: {mend}")


class _Known(NamedTuple):
    """What an edit of a program is compared with. others: its further parts. probe: as float64, NaN for no figure."""

    prm: str
    others: str
    built: tuple[int, int, str] | None
    probe: bytes


def _known(draft: Draft) -> _Known:
    whole = draft.params is not None and draft.flops is not None and draft.trace is not None and draft.probe is not None
    built = (draft.params, draft.flops, draft.trace) if whole else None
    figures = array("d", [nan if figure is None else figure for figure in draft.probe or ()])
    return _Known(draft.program.prm, draft.program.besides("net", "transform", "prm"), built, figures.tobytes())  # type: ignore[arg-type]


def _effective(program: Program, built: Built, parent: _Known) -> bool | None:
    """None where the parent's probe is not known: its run was begun by an older version.

    Another batch trains differently, even where two steps don't show it, and so may hyperparameters that are not known
    here. The others act through the program's code, which the probe shows; so does what only the child declares.
    """
    then, now = json.loads(parent.prm), program.hyperparameters
    differs = {name for name in then.keys() | now.keys() if then.get(name) != now.get(name)}
    if program.besides("net", "transform", "prm") != parent.others or differs - SHOWN - (USUAL.keys() - then.keys()):
        return True
    if parent.built is None:
        return None
    probe = tuple(None if isnan(figure) else figure for figure in array("d", parent.probe))
    return built.differs(Built(*parent.built, probe))
