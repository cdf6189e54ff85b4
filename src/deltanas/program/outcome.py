"""What became of a candidate. A refusal is a record; a failure is a status, never a score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal["apply", "contract", "build", "novelty"]
"""Where a candidate can be refused, in this order: its edit, the static contract, the build check, novelty."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Not trained: `stage` says which gate refused it and `reason` why, in words that can go back to the model."""

    stage: Stage
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Training began and gave no score.

    Attributes:
        kind: "timeout", "memory", "crash", "error" (the program raised), "output" (logits of a wrong
            size or not finite).
        seconds, cpu_seconds: wall and CPU time, measured by the parent of the child process.
        tier: the sandbox's strength, "A" to "C" (docs/security.md).
    """

    kind: Literal["timeout", "memory", "crash", "error", "output"]
    reason: str
    seconds: float
    cpu_seconds: float
    tier: str


@dataclass(frozen=True, slots=True)
class Trained:
    """A score.

    Attributes:
        accuracy: share of `n` evaluation images whose largest logit is at the label, in [0, 1].
        n: number of evaluation images.
        seed: seed of the initial weights and of the order of the batches.
        seconds, cpu_seconds: wall and CPU time, measured by the parent of the child process.
        tier: the sandbox's strength, "A" to "C".
    """

    accuracy: float
    n: int
    seed: int
    seconds: float
    cpu_seconds: float
    tier: str


Outcome = Refused | Failed | Trained
