"""Sixteen lessons for the tiny model, and how it is tuned on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from deltanas.learn import Tuned, Tuning, tune
from deltanas.llm import Lesson, Message
from deltanas.llm.local import LocalModel

BASE = Tuning(rank=4, alpha=8, rate=5e-3, epochs=2, batch=8, targets=("q_proj", "v_proj", "lm_head"))


def ask(source: str, goal: str) -> tuple[Message, ...]:
    return (Message("user", f"The file:\n{source * 10}"), Message("assistant", "And?"), Message("user", goal))


def lessons(files: Sequence[str] = ("conv", "pool", "norm", "head")) -> list[Lesson]:
    """Four of each file; answers about a file begin alike, and few have one length."""
    return [
        Lesson(ask(source, f"goal {number % 2}"), f"{source}=>" + "ab" * (1 + number + place), source)
        for place, source in enumerate(files)
        for number in range(4)
    ]


def tuned(model: LocalModel, settings: Tuning, into: Path, after: Path | None = None) -> Tuned:
    return tune(model, lessons(), settings, into, after, seed=3)


def total(model: LocalModel, some: Sequence[Lesson]) -> float:
    return sum(loss.nll for loss in model.losses(some))


def weights(one: Tuned) -> dict[str, torch.Tensor]:
    return dict(load_file(one.folder / "adapter_model.safetensors"))
