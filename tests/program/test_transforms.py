"""The transform part is read as a list of known operations, or refused with the reason and what to write instead."""

from __future__ import annotations

import re

import pytest

from deltanas.program.transforms import (
    MENU,
    Parameter,
    Step,
    TransformError,
    read_transform,
    transform_faults,
    transform_text,
)


def transform(*calls: str, before: str = "", argument: str = "norm") -> str:
    return f"{before}def transform({argument}):\n    return transforms.Compose([{', '.join(calls)}])\n"


def test_calls_are_read_with_their_values_given_or_usual() -> None:
    text = transform(
        "transforms.RandomCrop(padding=0.25)",
        "transforms.RandomHorizontalFlip()",
        "RandomHorizontalFlip(1)",
        "RandomRotation([-20, +5])",
        before='"""Said."""\nimport torchvision.transforms as transforms\n',
    )
    assert read_transform(text) == (
        Step("RandomCrop", (0.25, 1.0)),
        Step("RandomHorizontalFlip", (0.5,)),
        Step("RandomHorizontalFlip", (1.0,)),
        Step("RandomRotation", ((-20.0, 5.0),)),
    )
    assert read_transform("") == ()
    assert read_transform(transform()) == ()


@pytest.mark.parametrize(
    "text",
    [
        "import torch\nimport torchvision.transforms as transforms\n\n" + transform("transforms.RandomInvert(p=0.5)"),
        "\ufeff" + transform("transforms.RandomInvert(p=0.5)").replace("\n", "\r\n"),
        "from torchvision import transforms as T\ndef transform(norm):\n    return T.Compose([T.RandomInvert()])\n",
        "from torchvision.transforms import v2\ndef transform(_):\n    return v2.Compose((v2.RandomInvert(),))\n",
        "from torchvision.transforms.v2 import Compose, RandomInvert as R\n"
        "def transform(_):\n    return Compose([R(.5)])",
        "import torchvision\ndef transform(norm: tuple) -> object:\n    'Said.'\n"
        "    return torchvision.transforms.Compose([torchvision.transforms.v2.RandomInvert()])\n",
        transform("RandomInvert()", "Resize((64,64))", "ToTensor()", "transforms.Normalize(*norm)"),
        transform("RandomInvert()", "transforms.Resize(size=[8, 8])"),
        transform("RandomInvert()", "transforms.Resize((8, 8), antialias=True)", "ToTensor()"),
        transform("RandomInvert()", "ToTensor()", "Normalize(*_)", argument="_"),
    ],
)
def test_the_usual_forms_of_a_file_mean_the_same(text: str) -> None:
    assert read_transform(text) == (Step("RandomInvert", (0.5,)),)


@pytest.mark.parametrize("strength", [0, 1, 2, None])
def test_a_text_of_operations_is_read_back_as_they_are(strength: int | None) -> None:
    for operation in MENU.values():
        values = (one.default if strength is None else one.at(strength) for one in operation.parameters)
        steps = (
            Step(operation.name, tuple(values)),
            Step("RandomAffine", ((-1 / 3, 2e-9), (0.1, 0.05), (1, 1), (0, 0))),
        )
        text = transform_text(steps)
        assert read_transform(text) == steps
        assert transform_text(read_transform(text)) == text
    assert read_transform(transform_text(())) == ()


REFUSED = [
    ("def transform(norm:\n", r"line 1: syntax error: '\(' was never closed"),
    ("x = 1\n", "line 1: the transform is not one function"),
    (f"import os\nsize = 32\n{transform()}", "line 2: the transform is not one function"),
    (f"{transform()}size = 32\n", "line 3: the transform is not one function"),
    (f"{transform()}{transform()}", "line 3: the transform is not one function"),
    ("import os\n", "is not one function"),
    (f"import os\nos.system('x')\n{transform()}", "is not one function"),
    (f"@print\n{transform()}", "is not one function"),
    (f"async {transform()}", "is not one function"),
    (transform(argument=""), "line 1: `transform` does not take one argument"),
    (transform(argument="norm, more"), "does not take one argument"),
    (transform(argument="norm=print(1)"), "does not take one argument"),
    (transform(argument="*norm"), "does not take one argument"),
    (transform(argument="norm: print(1)"), "line 1: an annotation that is no plain type"),
    (transform().replace("):", ") -> print(1):", 1), "line 1: an annotation that is no plain type"),
    (transform(f"RandomSolarize(threshold=0x{'f' * 3600})"), "line 2: syntax error: a whole number of more than 4,300"),
    (transform("RandomCrop()", f"0x{'f' * 3600}"), "line 2: syntax error: a whole number of more than 4,300"),
    ("def transform(norm):\n    print(1)\n    return transforms.Compose([])\n", "does more than return"),
    ("def transform(norm):\n    return [f() for f in norm]\n", "does more than return"),
    ("def transform(norm):\n    'Said.'\n", "does more than return"),
    ("def transform(norm):\n    return transforms.Compose(norm)\n", "one list"),
    (transform(*["RandomCrop()"] * 17), "17 operations; 16 are allowed"),
    (transform() + "#" * 20_000, "characters; 20,000 are allowed"),
    (transform("a" + ".b" * 700), "nested too deep"),
    (transform(f"RandomInvert(p={'+'.join('1' * 700)})"), "nested too deep"),
    (transform("transforms.Normalize(*norm)", "RandomCrop()"), "line 2: `transforms.Normalize.* is not an operation"),
    (transform("Resize(norm)"), "is not an operation of the menu"),
    (transform("ToTensor()", "Normalize((0.5,), (0.5,))"), re.escape("`Normalize((0.5,), (0.5,))` is not")),
    (transform("Normalize(*norm)", argument="other"), "is not an operation of the menu"),
    (transform("transforms.RandomErasing(0.2)"), "line 2: `transforms.RandomErasing.* is not an operation of the menu"),
    (transform("os.RandomCrop()"), "not an operation of the menu"),
    (transform("RandomCrop()", before="from os import RandomCrop\n"), "not an operation of the menu"),
    (transform("(lambda: 1)()"), "not an operation of the menu"),
    (transform("RandomCrop()", before="from .transforms import RandomCrop\n"), "not an operation of the menu"),
    (transform("RandomCrop()", before="import RandomCrop\n"), "not an operation of the menu"),
    (transform("RandomCrop()", before="import transforms\n"), "does more than return"),
    (transform("RandomCrop()", argument="transforms"), "does more than return"),
    (transform("RandomCrop"), "not an operation of the menu"),
    (transform("RandomCrop()", "Resize()"), "not an operation of the menu"),
    (transform("RandomCrop()", "Resize(8, other=True)"), "not an operation of the menu"),
    (transform("*norm"), "not an operation of the menu"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_what_is_not_of_the_menu_is_refused_with_the_reason_and_a_hint(text: str, reason: str) -> None:
    with pytest.raises(TransformError, match=reason) as caught:
        read_transform(text)
    assert caught.value.hint
    assert transform_faults(text) == (str(caught.value),)


VALUES = [
    ("CenterCrop(0.5, 0.9)", "takes size, each once"),
    ("CenterCrop(0.5, size=0.9)", "takes size, each once"),
    ("RandomCrop(0.5)", "takes padding, size, each once and by its name"),
    ("RandomCrop(width=4)", "takes padding, size, each once"),
    ("RandomCrop(**norm)", "takes padding, size, each once"),
    ("RandomResizedCrop(size=32)", "takes scale, ratio, each once"),
    ("Grayscale(3)", "takes nothing"),
    ("CenterCrop(*norm)", "not a number"),
    ("RandomCrop(padding=0.6)", "`padding` is `0.6`, not a number from 0 to 0.5"),
    ("CenterCrop(28)", "`size` is `28`, not a number from 0.25 to 1"),
    ("RandomHorizontalFlip(p=True)", "not a number"),
    ("RandomHorizontalFlip(p=norm[0])", "not a number"),
    ("RandomHorizontalFlip(p='0.5')", "not a number"),
    ("RandomHorizontalFlip(p=1e999)", "not a number"),
    ("RandomHorizontalFlip(p=(0.1, 0.5))", "not a number"),
    ("RandomHorizontalFlip(p=-0.5)", "not a number"),
    ("RandomPosterize(bits=4.5)", "not a whole number from 1 to 8"),
    ("GaussianBlur(4)", "not one of 3, 5, 7"),
    ("Pad(padding_mode='wrap')", "not one of 'constant', 'edge', 'reflect', 'symmetric'"),
    ("ColorJitter(0.2)", re.escape("not a range (low, high) from 0 to 3")),
    ("ColorJitter(hue=(0.1, -0.1))", re.escape("not a range (low, high) from -0.5 to 0.5")),
    ("RandomRotation(15)", re.escape("not a range (low, high) from -180 to 180")),
    ("RandomRotation((1, 2, 3))", re.escape("not a range (low, high) from -180 to 180")),
    ("RandomRotation((1, '2'))", re.escape("not a range (low, high) from -180 to 180")),
    ("RandomAffine(translate=(0.1, 2))", "not two numbers from 0 to 1"),
]


@pytest.mark.parametrize(("call", "reason"), VALUES)
def test_a_wrong_parameter_is_refused_and_what_the_hint_gives_stands_in_its_place(call: str, reason: str) -> None:
    with pytest.raises(TransformError, match=reason) as caught:
        read_transform(transform(call))
    (offered,) = re.findall("`(.*?)`", caught.value.hint)
    name = call.partition("(")[0]
    mended = offered if offered.startswith("transforms.") else f"{name}({offered})"
    assert read_transform(transform(mended))[0].name == name


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("transforms.HorizontalFlip(p=0.5)", "RandomHorizontalFlip"),
        ("transforms.TrivialAugment()", "TrivialAugmentWide"),
        ("transforms.ColourJitter()", "ColorJitter"),
        ("GrayScale()", "Grayscale"),
        ("Rotation((-5, 5))", "RandomRotation"),
        *((f"transforms.{name}", name) for name in MENU),
    ],
)
def test_of_a_name_that_is_nearly_one_of_the_menu_that_one_is_offered(call: str, name: str) -> None:
    with pytest.raises(TransformError) as caught:
        read_transform(transform(call))
    (offered,) = re.findall("`(.*?)`", caught.value.hint)
    assert [step.name for step in read_transform(transform(offered))] == [name]


def test_the_line_is_that_of_the_argument_and_the_ending_is_that_of_this_transform() -> None:
    with pytest.raises(TransformError, match=r"line 4: `brightness` is `0\.2`"):
        read_transform(transform("ColorJitter(\ncontrast=(0.5, 1.5),\nbrightness=0.2)"))
    with pytest.raises(TransformError) as caught:
        read_transform(transform("Normalize(*norm)", argument="stats"))
    assert "Normalize(*stats)" in caught.value.hint
    with pytest.raises(TransformError) as caught:
        read_transform(transform("RandomAffine(degrees=(-5, 5), translate=0)"))
    assert "torchvision takes" not in caught.value.hint


def test_of_any_other_name_the_menu_is_told() -> None:
    with pytest.raises(TransformError) as caught:
        read_transform(transform("transforms.ElasticTransform()"))
    assert caught.value.hint == f"the menu: {', '.join(MENU)}"


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        ("ColorJitter(brightness=0.2)", "brightness=(0.8, 1.2)"),
        ("ColorJitter(1, saturation=0.1)", "brightness=(0, 2)"),
        ("ColorJitter(hue=0.1)", "hue=(-0.1, 0.1)"),
        ("RandomRotation(15)", "degrees=(-15, 15)"),
    ],
)
def test_one_number_for_a_range_is_refused_with_the_range_that_torchvision_makes_of_it(call: str, meant: str) -> None:
    with pytest.raises(TransformError) as caught:
        read_transform(transform(call))
    name, _, values = meant.partition("=")
    assert caught.value.hint.endswith(f" for {values}")
    steps = read_transform(transform(f"{call.partition('(')[0]}({meant})"))
    place = [one.name for one in MENU[steps[0].name].parameters].index(name)
    assert steps[0].values[place] == tuple(float(one) for one in values.strip("()").split(","))


def test_a_menu_of_21_operations_whose_every_value_is_within_its_bounds() -> None:
    assert len(MENU) == 21
    assert [one.name for one in MENU.values() if not one.singles] == ["Grayscale", "RandomGrayscale"]
    for operation in MENU.values():
        for parameter in operation.parameters:
            assert len(parameter.grid) >= 3
            assert_within(operation.name, parameter)


def assert_within(name: str, parameter: Parameter) -> None:
    for value in (parameter.default, *parameter.grid, *parameter.choices):
        values = tuple(value if one is parameter else one.default for one in MENU[name].parameters)
        assert read_transform(transform_text([Step(name, values)])) == (Step(name, values),)
