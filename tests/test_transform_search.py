"""A search of transforms: what it begins with, what it excludes, and that whoever proposes it ends and resumes."""

from __future__ import annotations

from typing import Any

import pytest

from deltanas.config import read_config
from deltanas.errors import UsageError
from deltanas.novelty import NoveltyGate
from deltanas.program import Program, Refused
from deltanas.program.transforms import MENU, Step, transform_text
from deltanas.program.transforms.space import STARTS
from deltanas.records import Draft
from deltanas.settings import given_settings
from deltanas.wiring import programs_of

ONE = ["resnet", "resnet flip", "resnet crop+flip", "resnet TrivialAugment", "resnet RandAugment"]


def config(**options: Any) -> Any:
    return read_config(given_settings(options=options))


def test_a_search_of_transforms_begins_with_five_of_them_on_one_network() -> None:
    programs = programs_of(config(edits="transform"))
    assert list(programs) == ONE
    assert [program.transform for program in programs.values()] == list(STARTS.values())
    assert len({program.net for program in programs.values()}) == 1
    assert programs["resnet"].id == programs_of(config(baselines=["resnet"]))["resnet"].id, "none is no transform"


def test_each_network_that_is_named_gets_them() -> None:
    programs = programs_of(config(edits="transform", baselines=["mlp", "vgg"]))
    assert list(programs) == [name.replace("resnet", net) for net in ("mlp", "vgg") for name in ONE]


def test_a_setting_picks_the_transforms_that_they_begin_with() -> None:
    programs = programs_of(config(edits="transform", transforms="RandAugment,none, none"))
    assert list(programs) == ["resnet", "resnet RandAugment"]
    with pytest.raises(UsageError, match=r"transforms.*no 'Flip'.*known: none, flip, crop\+flip"):
        config(edits="transform", transforms=["Flip"])
    with pytest.raises(UsageError, match="needs edits of the transform alone") as caught:
        config(edits="net,transform", transforms="flip")
    assert "--edits transform" in caught.value.hint
    assert config(edits="transform", transforms="flip").transforms == ("flip",)
    assert config(edits="net,transform").transforms == ()


def test_where_networks_are_edited_too_they_come_as_they_are() -> None:
    assert list(programs_of(config(edits="net,transform", baselines=["mlp", "vgg"]))) == ["mlp", "vgg"]
    assert list(programs_of(config(edits="net,transform"))) == list(programs_of(config()))


@pytest.mark.parametrize("edits", ["transform", "net,transform"])
def test_augmentation_of_the_run_and_edits_of_transforms_exclude_one_another(edits: str) -> None:
    options = {"edits": edits, "train.augment": ["flip"]}
    with pytest.raises(UsageError, match="exclude one another") as caught:
        config(**options)
    assert "leave train.augment out" in caught.value.hint
    assert config(**{name: value for name, value in options.items() if name != "train.augment"}).edits
    assert config(**{"train.augment": ["flip"]}).train.augment == ("flip",)


def test_a_strategy_that_edits_networks_alone_says_so() -> None:
    with pytest.raises(UsageError, match="edits net alone") as caught:
        config(strategy="channels", edits="transform")
    assert "--edits net" in caught.value.hint
    assert config(strategy="channels", edits="net").strategy == "channels"
    assert config(strategy="channels", edits="net,transform").strategy == "channels"


def test_a_model_that_ranks_gives_no_reasons() -> None:
    options = {"model.reason": True, "model.choice": "ranked"}
    with pytest.raises(UsageError, match="writes nothing") as caught:
        config(**options)
    assert "model.choice=any" in caught.value.hint
    assert config(**{**options, "model.choice": "any"}).model.reason
    assert not config(**{"model.choice": "ranked"}).model.reason


def drafts(net: str, *transforms: str) -> list[Draft]:
    return [Draft(Program({"net": net, "transform": transform})) for transform in transforms]


def test_near_copies_of_one_network_are_told_by_their_transforms() -> None:
    """All transforms of one network share its thousand tokens; what is compared is what differs."""
    net = "\n".join(f"x{number} = nn.Linear({number}, {number + 1})" for number in range(200))
    names = ("RandomRotation", "RandomCrop", "GaussianBlur")
    first = transform_text([Step(name, MENU[name].at(1)) for name in names])
    near = transform_text([Step(name, MENU[name].at(2 if name == "RandomCrop" else 1)) for name in names])
    far = transform_text([Step("RandomHorizontalFlip", (0.5,)), Step("RandomInvert", (0.1,))])
    known, close, apart, none = drafts(net, first, near, far, "")
    (elsewhere,) = drafts(net.replace("Linear", "Conv2d").replace("x", "y"), first)
    (moved,) = drafts(net.replace("nn.Linear(7, 8)", "nn.Linear(7, 9)"), first)
    gate = NoveltyGate(0.75)
    gate.remember([known])
    refused = [isinstance(one, Refused) for one in gate.judge([close, apart, none, elsewhere, moved])]
    assert refused == [True, False, False, False, True]
    (why,) = gate.judge([close])
    assert isinstance(why, Refused)
    assert known.program.id in why.reason
