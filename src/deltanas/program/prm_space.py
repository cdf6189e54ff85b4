"""The simple edits of the hyperparameters: the batch, the rate, both together, and what else the program was given.

A larger batch takes fewer steps of less noise. The rate that suits it is larger: by as much as the batch (P. Goyal et
al. (2017), "Accurate, large minibatch SGD", arXiv 1706.02677), or by its root, which keeps the variance of a step (A.
Krizhevsky (2014), "One weird trick for parallelizing convolutional neural networks", arXiv 1404.5997) and suits Adam
(S. Malladi et al. (2022), "On the SDEs and scaling rules for adaptive gradient algorithms", NeurIPS). So both are moved
in one edit too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

from deltanas.program.hyperparameters import prm_faults
from deltanas.program.program import Part, Program, prm_text, prm_values
from deltanas.program.space import SpaceEdit

BATCH, RATE, BOTH, MOMENTUM, DROPOUT = "batch", "rate", "batch and rate", "momentum", "dropout"
"""The kinds of edits."""
LEAST_BATCH, MOST_BATCH = 4, 512
_BATCHES = (0.5, 2.0, 4.0)
_RATES = (0.3, 0.5, 2.0, 3.0)
_OTHERS = {MOMENTUM: (0.8, 0.9, 0.95), DROPOUT: (0.0, 0.1, 0.2, 0.3)}


@dataclass(frozen=True, slots=True)
class PrmSpace:
    """Edits of the hyperparameters that a program has; none where their text can't be read."""

    part: Part = "prm"
    of: Part = "prm"

    def edits(self, program: Program) -> tuple[SpaceEdit, ...]:
        return _edits(program.editable(self.of))


@lru_cache(maxsize=256)
def _edits(text: str) -> tuple[SpaceEdit, ...]:
    if prm_faults(text):
        return ()
    values = prm_values(text)
    if text != prm_text(values):
        return ()
    made = {text}
    found = []
    for kind, changed in _changes(values):
        new = prm_text({**values, **changed})
        if new not in made:
            made.add(new)
            found.append(SpaceEdit(kind, "prm", text, new, line=0, of="prm"))
    return tuple(found)


def _changes(values: dict[str, float]) -> Iterator[tuple[str, dict[str, float]]]:
    batch, rate = values.get("batch"), values.get("lr")
    batches = [(factor, round(batch * factor)) for factor in _BATCHES] if batch else []
    for factor, size in batches:
        if LEAST_BATCH <= size <= MOST_BATCH:
            yield BATCH, {"batch": size}
            for moved in (factor, sqrt(factor)) if rate else ():
                yield BOTH, {"batch": size, "lr": _rounded((rate or 0) * moved)}
    for factor in _RATES if rate else ():
        yield RATE, {"lr": _rounded((rate or 0) * factor)}
    for name, choices in _OTHERS.items():
        yield from ((name, {name: value}) for value in choices if name in values)


def _rounded(rate: float) -> float:
    return float(f"{rate:.3g}")
