"""The six diagnostics of one table."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from deltanas.study.concentration import Concentration, concentration
from deltanas.study.estimate import Absent, Floats, LackingError, plain, tried
from deltanas.study.monotone import Monotone, monotone
from deltanas.study.nll import EliteNll, TuningNll
from deltanas.study.novelty import Novelty
from deltanas.study.reliability import Reliability, reliability, unknown
from deltanas.study.trials import Texts, Trials
from deltanas.study.validity import Validity, validity

Column = TypeVar("Column", Floats, Texts)

NO_NLL = "the likelihood of the elites under the model before and after a tuning was not recorded"
NO_TEXTS = "a table holds no texts of programs to compare: give a run's folder"


@dataclass(frozen=True, slots=True)
class Convergence:
    """The six results of the theory as diagnostics; one that can't be computed is `Absent` and says why.

    `nll` is that of the last tuning, for elites held out if there are enough; `tunings` has each tuning's.
    """

    nll: EliteNll | Absent
    monotone: Monotone | Absent
    concentration: Concentration | Absent
    validity: Validity | Absent
    novelty: Novelty | Absent
    reliability: Reliability
    tunings: tuple[TuningNll, ...] = ()


def convergence(
    trials: Trials, *, repeats: int = 1, tunings: tuple[TuningNll, ...] = (), novelty: Novelty | Absent | None = None
) -> Convergence:
    """The diagnostics of a table. `tunings` and `novelty` need what a table does not hold, and are computed apart.

    Args:
        repeats: number of trainings whose mean is the score.
    """
    rows = trials.candidates()
    first = [group[0] for group in rows]

    def quality() -> Floats:
        proxy = _column(trials.proxy, "proxy")
        return np.array([_mean(proxy[group]) for group in rows])

    return Convergence(
        nll=max(tunings, key=lambda one: (one.cycle, one.held_out)).nll if tunings else Absent(NO_NLL),
        monotone=tried(lambda: monotone(_column(trials.cycle, "cycle")[first], quality())),
        concentration=tried(
            lambda: concentration(_column(trials.cycle, "cycle")[first], _column(trials.elite, "elite")[first])
        ),
        validity=tried(
            lambda: validity(
                None if trials.generator is None else [trials.generator[row] or "(not named)" for row in first],
                _column(trials.tokens, "tokens")[first],
                _column(trials.valid, "valid")[first],
            )
        ),
        novelty=novelty or Absent(NO_TEXTS),
        reliability=_reliability(trials, repeats),
        tunings=tunings,
    )


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _column(column: Column | None, name: str) -> Column:
    if column is None:
        raise LackingError(f"no column `{name}`")
    return column


def _reliability(trials: Trials, repeats: int) -> Reliability:
    try:
        program, proxy = _column(trials.program, "program"), _column(trials.proxy, "proxy")
    except LackingError as lacking:
        return unknown(lacking.message, repeats)
    rows = [row for row in trials.trainings() if program[row]]
    target = None if trials.target is None else trials.target[rows]
    return reliability([program[row] for row in rows], proxy[rows], target, repeats=repeats)


def as_json(found: Convergence) -> dict[str, object]:
    """Plain data for JSON: no infinity and no NaN; what is absent says why. `nll` holds those of all `tunings`."""
    parts = {field.name: getattr(found, field.name) for field in fields(found) if field.name != "tunings"}
    told = {name: {"why": part.why} if isinstance(part, Absent) else plain(part) for name, part in parts.items()}
    if isinstance(nll := told["nll"], dict) and found.tunings:
        nll["tunings"] = plain(found.tunings)
    return told
