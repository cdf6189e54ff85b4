"""The table of augmentation policies: what it enumerates."""

from __future__ import annotations

from collections import Counter

from benchmarks.policies import policies
from deltanas.program.transforms import MENU, read_transform


def test_the_policies_of_grey_images_leave_out_what_needs_colour() -> None:
    grey, colour = policies(1), policies(3)
    assert {step.name for policy in colour for step in policy.steps} == set(MENU)
    assert {step.name for policy in grey for step in policy.steps} == {one.name for one in MENU.values() if one.singles}
    assert [policy.name for policy in grey[:4]] == ["none", "flip", "crop+flip", "TrivialAugment"]


def test_no_two_policies_are_alike_and_each_is_of_the_menu() -> None:
    found = policies(3)
    assert len({policy.text for policy in found}) == len({policy.name for policy in found}) == len(found)
    for policy in found:
        assert read_transform(policy.text) == policy.steps
    assert Counter(policy.kind for policy in found).keys() == {"usual", "single", "pair"}
