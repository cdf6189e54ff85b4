"""What a language model is taught, and how likely it finds it; importing this costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deltanas.llm.model import Message, Model, Reply, Request


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the model is asked and what it should answer. family: what it belongs to; splits keep families whole."""

    messages: tuple[Message, ...]
    completion: str
    family: str


@dataclass(frozen=True, slots=True)
class Preference:
    """Of two answers to the same question the one that turned out `better`, and the one that turned out `worse`."""

    messages: tuple[Message, ...]
    better: str
    worse: str
    family: str


@dataclass(frozen=True, slots=True)
class Loss:
    """Negative log-likelihood of a completion, its end mark included: nats, summed over its `tokens`."""

    nll: float
    tokens: int


class Tunable(Model, Protocol):
    """A model on this machine. Its `name` tells which adapter is loaded."""

    def losses(self, lessons: Sequence[Lesson]) -> list[Loss]:
        """How unlikely it finds each lesson's completion, without dropout. Work that prompts share is done once."""

    def adapt(self, folder: Path | None) -> None:
        """Load the LoRA adapter in `folder` in place of the one loaded so far; None unloads it.

        Raises ModelError for an adapter that is missing, corrupt or of another base model; the loaded one stays.
        """


class Ranker(Model, Protocol):
    """A model on this machine that tells how likely it finds answers, in its choices."""

    def choose(self, requests: Sequence[Request], answers: Sequence[Sequence[str]]) -> list[Reply]:
        """For each request that one of its `answers` (one or more) which the loaded adapter made likeliest.

        That is the answer whose likelihood the adapter raised most over the base model's: the reward that DPO teaches,
        but for a factor (Rafailov et al., 2023, equation 5). Without an adapter it is the one likeliest per token.
        Nothing is drawn: of a request its messages alone count.
        """
