"""Stages, blocks of other families and schedules: where they stand, what they compute, and that rates fall as said."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch

from deltanas.nets import DEFAULT_PRM, baseline
from deltanas.program import SpaceEdit, apply_edit, edits_of

PER_EPOCH = 10


def of_kind(source: str, kind: str) -> list[SpaceEdit]:
    return [edit for edit in edits_of(source) if edit.kind == kind]


def made(source: str) -> Any:
    module = ModuleType("candidate")
    exec(compile(source, "net.py", "exec"), module.__dict__)
    torch.manual_seed(0)
    net = module.Net((1, 1, 12, 12), (10,), DEFAULT_PRM, torch.device("cpu"))
    net.train_setup(DEFAULT_PRM)
    return net


def rates(source: str, epochs: int) -> list[float]:
    """The learning rate of each step, as a share of the first one's base."""
    net = made(source)
    data = [(torch.randn(4, 1, 12, 12), torch.arange(4)) for _ in range(PER_EPOCH)]
    found: list[float] = []
    net.optimizer.register_step_pre_hook(
        lambda optimizer, *_: found.append(optimizer.param_groups[0]["lr"] / DEFAULT_PRM["lr"])
    )
    for _ in range(epochs):
        net.learn(data)
    return found


def test_a_rate_falls_within_each_epoch_and_starts_anew() -> None:
    source = baseline("mlp")
    texts = [apply_edit(source, edit.text).source for edit in of_kind(source, "schedule")]
    cosine = next(text for text in texts if "cos(" in text)
    cycle = next(text for text in texts if "min((step" in text)
    linear = next(text for text in texts if "lambda step: 1 - step" in text)
    for text in (cosine, linear):
        found = rates(text, 3)
        assert found[:PER_EPOCH] == found[PER_EPOCH : 2 * PER_EPOCH] == found[2 * PER_EPOCH :]
        assert found[0] == 1
        assert found[:PER_EPOCH] == sorted(found[:PER_EPOCH], reverse=True)
        assert found[PER_EPOCH - 1] <= 0.1
    assert rates(linear, 1) == pytest.approx([1 - step / PER_EPOCH for step in range(PER_EPOCH)])
    up = rates(cycle, 2)
    assert up[:PER_EPOCH] == up[PER_EPOCH:]
    assert max(up) == pytest.approx(1) == up[2]
    assert up[0] == pytest.approx(1 / 3)


def test_a_warm_up_is_of_the_first_steps_alone() -> None:
    source = baseline("mlp")
    texts = [apply_edit(source, edit.text).source for edit in of_kind(source, "schedule")]
    found = rates(next(text for text in texts if "/ 30)" in text), 4)
    assert found == pytest.approx([min(1, (step + 1) / 30) for step in range(4 * PER_EPOCH)])


def test_schedules_need_a_text_that_shows_which_rate_moves() -> None:
    source = baseline("mlp")
    assert len(of_kind(source, "schedule")) == 5
    assert {edit.part for edit in of_kind(source, "schedule")} == {"recipe"}
    for old, new in (
        ("self.optimizer.step()", "self.other.step()"),
        ("for inputs, labels in train_data:", "for inputs, labels in list(self.data):"),
        ("self.optimizer.step()", "self.optimizer.step()\n            self.optimizer.step()"),
        ("self.optimizer.step()", "self.optimizer.step()  # the lr_scheduler follows"),
    ):
        assert old in source
        assert of_kind(source.replace(old, new), "schedule") == []
    once = apply_edit(source, of_kind(source, "schedule")[0].text).source
    assert of_kind(once, "schedule") == [], "one at a time"
    late = source.replace("from collections", "from __future__ import annotations\nfrom collections", 1)
    assert len(of_kind(late, "schedule")) == 4, "what needs an import has no place"


@pytest.mark.parametrize("name", ["resnet", "convnext", "vgg"])
def test_stages_and_blocks_leave_what_follows_as_it_is(name: str) -> None:
    source, shown = baseline(name), torch.randn(2, 1, 12, 12)
    size = sum(value.numel() for value in made(source).parameters())
    for kind in ("stage", "block"):
        edits = of_kind(source, kind)
        assert edits
        for edit in edits[:: max(1, len(edits) // 3)]:
            net = made(apply_edit(source, edit.text).source)
            assert net(shown).shape == (2, 10)
            assert sum(value.numel() for value in net.parameters()) > size


def test_a_stage_repeats_the_programs_own_block_at_twice_the_width() -> None:
    texts = [edit.new for edit in of_kind(baseline("resnet"), "stage")]
    assert any("Block(2 * 2 * width, 2 * 2 * width, stride=1)" in text for text in texts)
    assert all("stride=2" in text for text in texts)


def test_a_second_block_of_a_kind_needs_no_second_class() -> None:
    source = baseline("vgg")
    first = next(edit for edit in of_kind(source, "block") if "InvertedResidual" in edit.new)
    twice = [
        edit for edit in of_kind(apply_edit(source, first.text).source, "block") if "InvertedResidual(" in edit.new
    ]
    assert twice
    assert all(edit.new.count("class InvertedResidual") <= edit.old.count("class InvertedResidual") for edit in twice)


def test_networks_without_maps_of_known_width_get_none() -> None:
    assert of_kind(baseline("mlp"), "stage") == of_kind(baseline("mlp"), "block") == []
