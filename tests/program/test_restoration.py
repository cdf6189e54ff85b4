"""Edits that networks need which give images back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from deltanas import nets
from deltanas.program import apply_edit
from deltanas.program.space import SpaceEdit, edits_of

DENOISERS = nets.baselines("denoise")
UP = DENOISERS["half"].replace(
    """            nn.Conv2d(width, 4 * out_shape[0], kernel_size=3, padding=1),
            nn.PixelShuffle(2),
""",
    """            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(width, out_shape[0], kernel_size=3, padding=1),
""",
)


def found(source: str, kind: str) -> list[SpaceEdit]:
    return [edit for edit in edits_of(source) if edit.kind == kind]


def trained(source: str) -> Any:
    module: dict[str, Any] = {"__name__": "edited"}
    exec(compile(source, "edited.py", "exec"), module)
    torch.manual_seed(0)
    prm: Mapping[str, float] = nets.DEFAULT_PRM
    net = module["Net"]((1, 3, 16, 16), (3, 16, 16), prm, torch.device("cpu"))
    net.train_setup(prm)
    net.learn([(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16))])
    return net


@pytest.mark.parametrize(
    ("source", "number"), [(DENOISERS["half"], 2), (UP, 3), (DENOISERS["lite"], 1), (DENOISERS["teacher"], 2)]
)
def test_a_map_is_made_larger_otherwise(source: str, number: int) -> None:
    edits = found(source, "upsampling")
    assert len(edits) == number
    for edit in edits:
        assert edit.part == "net"
        edited = apply_edit(source, edit.text).source
        assert trained(edited)(torch.rand(1, 3, 32, 16)).shape == (1, 3, 32, 16)
        assert found(edited, "upsampling"), "it can be taken back"


def test_losses_between_images() -> None:
    edits = found(DENOISERS["plain"], "loss")
    assert {edit.part for edit in edits} == {"recipe"}
    a, b = torch.tensor([0.0, 0.5]), torch.tensor([0.25, 0.5])
    losses = []
    for edit in edits:
        edited = apply_edit(DENOISERS["plain"], edit.text).source
        losses.append(float(trained(edited).criteria(a, b)))
        assert len(found(edited, "loss")) == 2
    wanted = [0.125, ((0.25**2 + 1e-6) ** 0.5 + 1e-3) / 2]
    assert sorted(losses) == pytest.approx(sorted(wanted))


def test_classifiers_have_none_of_these() -> None:
    kinds = Counter(edit.kind for source in nets.baselines().values() for edit in edits_of(source))
    assert "upsampling" not in kinds
    assert all("Charbonnier" not in edit.new for edit in edits_of(nets.baseline("resnet")))
