"""Groups of widths that are set together: each place once, sums with all their parts, exact edits."""

from __future__ import annotations

import pytest

from deltanas.nets import baselines
from deltanas.program import apply_edit, width_vectors

SOURCE = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        width = 8
        self.one = nn.Conv2d(in_shape[1], 16, 3, padding=1)
        self.two = nn.Conv2d(in_shape[1], width, 3, padding=1)
        self.three = nn.Conv2d(16 + width, 24, 1)
        self.four = nn.Conv2d(24, 32, 1)
        self.head = nn.Linear(32, out_shape[0])

    def forward(self, x):
        one = self.one(x)
        two = self.two(x)
        x = self.three(torch.cat([one, two], dim=1))
        x = self.four(x)
        return self.head(x.mean(dim=(2, 3)))
"""


def test_a_vector_sets_every_place_of_its_groups_and_the_sums_they_are_in() -> None:
    vectors = width_vectors(SOURCE)
    assert vectors is not None
    flows, numbers, together = vectors.families
    assert [(group.line, group.value) for group in flows] == [(9, 16), (10, None), (11, 24), (12, 32)]
    assert [group.value for group in numbers] == [8, 16, 24, 32]
    assert [group.value for group in together] == [8]
    edit = vectors.edit({flows[0]: (5, 4), flows[1]: (3, 2), flows[2]: (1, 2)})
    assert edit is not None
    applied = apply_edit(SOURCE, edit.text)
    assert applied.rung == "exact"
    layers = [line.strip() for line in applied.source.splitlines() if "self." in line and "nn." in line]
    assert layers == [
        "self.one = nn.Conv2d(in_shape[1], 20, 3, padding=1)",
        "self.two = nn.Conv2d(in_shape[1], 3 * width // 2, 3, padding=1)",
        "self.three = nn.Conv2d(16 + width + 4 + 1 * (3 * width // 2 - (width)), 12, 1)",
        "self.four = nn.Conv2d(12, 32, 1)",
        "self.head = nn.Linear(32, out_shape[0])",
    ]


def test_nothing_to_set_is_no_edit_and_no_network_has_no_groups() -> None:
    vectors = width_vectors(SOURCE)
    assert vectors is not None
    assert vectors.edit({}) is None
    assert width_vectors("x = (") is None
    assert width_vectors("x = 1\n") is None


@pytest.mark.parametrize("name", sorted(baselines()))
def test_all_groups_of_a_family_can_be_set_at_once(name: str) -> None:
    vectors = width_vectors(baselines()[name])
    assert vectors is not None
    for groups in vectors.families:
        edit = vectors.edit(dict.fromkeys(groups, (2, 1)))
        assert edit is not None
        assert apply_edit(baselines()[name], edit.text).rung == "exact"
