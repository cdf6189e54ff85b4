"""The steps of a tuning: which lessons each takes, and its learning rate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from deltanas.learn import Tuning
from deltanas.learn.loop import rate_of, steps_of
from support import but

BASE = Tuning(rank=4, alpha=8, rate=5e-3, epochs=2, batch=8, targets=("q_proj", "v_proj", "lm_head"))


def test_the_order_of_lessons_is_random_whole_and_keeps_prompts_together() -> None:
    prompts = [number // 6 for number in range(24)]
    settings = but(BASE, batch=4, epochs=3, together=3)
    steps = steps_of(prompts, settings, seed=0)
    assert steps == steps_of(prompts, but(settings, batch=1, accumulation=4, packing="none"), seed=0)
    assert steps != steps_of(prompts, settings, seed=1)
    order = [place for step in steps for place in step]
    for epoch in (order[:24], order[24:48], order[48:]):
        assert sorted(epoch) == list(range(24))
        assert all(len({prompts[place] for place in epoch[start : start + 3]}) == 1 for start in range(0, 24, 3))
    assert len(steps_of(prompts, but(settings, steps=20), seed=0)) == 20
    assert steps_of(prompts, but(settings, steps=2), seed=0) == steps[:2]


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_rates_are_those_of_transformers(schedule: Any) -> None:
    settings = but(BASE, schedule=schedule, warmup=3, rate=0.5)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler: Any = transformers.get_scheduler(schedule, optimizer, 3, 10)
    for step in range(10):
        assert rate_of(step, 10, settings) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
