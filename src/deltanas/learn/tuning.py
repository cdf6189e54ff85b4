"""How a model is tuned and what came of it; importing this costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deltanas.errors import UsageError

Schedule = Literal["cosine", "linear", "constant"]
Packing = Literal["prefix", "none"]


@dataclass(frozen=True, slots=True)
class Tuning:
    """Settings of one tuning by LoRA (Hu et al., 2021) with AdamW.

    Attributes:
        rank, alpha, dropout: of the adapter; its output is scaled by alpha / rank.
        targets: names of the layers that get one ("q_proj", "lm_head"); "all-linear": all but the output layer.
        rate: highest learning rate. schedule: how it goes to 0 (or stays) after `warmup` steps that lead up to it.
        decay: AdamW's weight decay. clip: largest norm of a step's gradient.
        epochs: passes over the lessons. steps: optimizer steps in place of that, where given.
        batch: lessons that go through the model at once. accumulation: batches of an optimizer step. A step's loss is
            the mean over its completions' tokens, however it is cut into batches.
        together: lessons with the same messages but the last (of one program, that is) that stay side by side in the
            random order, so that packing finds them; 1: none.
        packing: "prefix": what the prompts (and answers) of a batch begin with alike goes through the model once;
            "none": a padded row a lesson.
        max_length: longer lessons are left out, in tokens; the result counts them.
        checkpointing: recompute activations rather than keep them: less memory, about a third more time.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    targets: tuple[str, ...] = ("all-linear",)
    rate: float = 2e-4
    schedule: Schedule = "cosine"
    warmup: int = 0
    decay: float = 0.01
    clip: float = 1.0
    epochs: int = 1
    steps: int | None = None
    batch: int = 8
    accumulation: int = 1
    together: int = 8
    packing: Packing = "prefix"
    max_length: int = 4096
    checkpointing: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError for a number that can't be."""
        least_one = ("rank", "alpha", "batch", "accumulation", "together", "max_length", "epochs", "steps")
        low = [name for name in least_one if (value := getattr(self, name)) is not None and value < 1]
        low += [name for name in ("rate", "clip") if not getattr(self, name) > 0]
        low += [name for name in ("warmup", "decay") if getattr(self, name) < 0]
        low += [] if 0 <= self.dropout < 1 else ["dropout"]
        low += [] if self.targets else ["targets"]
        if low:
            raise UsageError(f"A tuning can't have {low[0]} {getattr(self, low[0])}.")


@dataclass(frozen=True, slots=True)
class Tuned:
    """A finished tuning.

    Attributes:
        folder: the adapter, as PEFT saves it, with `lineage.json`.
        losses: nats per token of the completions of each optimizer step, before the step.
        tokens: completion tokens learned from, over all steps; of preferences: pairs.
        seconds: of wall clock, interruptions left out.
        left_out: lessons that were longer than `max_length`.
    """

    folder: Path
    losses: tuple[float, ...]
    steps: int
    tokens: int
    seconds: float
    left_out: int = 0
