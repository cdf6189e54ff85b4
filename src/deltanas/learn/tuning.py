"""How a model is tuned, and the result; importing this costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from deltanas.settings import Section

Schedule = Literal["cosine", "linear", "constant"]
Packing = Literal["prefix", "none"]


class Tuning(Section):
    """One tuning by LoRA (Hu et al., 2021) with AdamW.

    A step's loss is the mean over its completions' tokens, however the step is cut into batches. Lessons with the same
    messages but the last are of one program, and packing finds them only among neighbours.
    """

    rank: int = Field(16, ge=1, description="rank of the adapter")
    alpha: int = Field(32, ge=1, description="scale of the adapter's output, as alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout of the adapter's input")
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        ("all-linear",),
        description="layers that get an adapter, as q_proj or lm_head; all-linear: all but the output layer",
    )
    rate: float = Field(2e-4, gt=0, description="highest learning rate")
    schedule: Schedule = Field("cosine", description="learning rate after the warm-up: cosine | linear | constant")
    warmup: int = Field(0, ge=0, description="number of warm-up steps")
    decay: float = Field(0.01, ge=0, description="AdamW's weight decay")
    clip: float = Field(1.0, gt=0, description="largest norm of a step's gradient")
    epochs: int = Field(1, ge=1, description="number of passes over the lessons")
    steps: Annotated[int, Field(ge=1)] | None = Field(
        None, description="number of optimizer steps, in place of the epochs"
    )
    batch: int = Field(8, ge=1, description="number of lessons in a batch")
    accumulation: int = Field(1, ge=1, description="number of batches in an optimizer step")
    together: int = Field(8, ge=1, description="number of lessons of one program that stay side by side, to share work")
    packing: Packing = Field("prefix", description="prefix (compute shared parts of prompts once) | none")
    max_length: int = Field(4096, ge=16, description="longest lesson, tokens; longer ones are left out")
    checkpointing: bool = Field(False, description="recompute activations: saves memory, costs about a third more time")

    @property
    def step(self) -> int:
        """Number of lessons in an optimizer step."""
        return self.batch * self.accumulation


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
