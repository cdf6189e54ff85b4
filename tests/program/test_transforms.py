"""The transform part is read as a list of known operations, or refused with the reason and the menu."""

from __future__ import annotations

import pytest

from deltanas.program.transforms import MENU, Step, TransformError, read_transform, transform_faults


def transform(*calls: str, before: str = "") -> str:
    return f"{before}def transform(norm):\n    return transforms.Compose([{', '.join(calls)}])\n"


def test_calls_are_read_with_their_values_given_or_usual() -> None:
    text = transform(
        "transforms.RandomCrop(padding=0.25)",
        "transforms.RandomHorizontalFlip()",
        "RandomHorizontalFlip(1)",
        before='"""Said."""\nimport torchvision.transforms as transforms\n',
    )
    with pytest.raises(TransformError, match="not one function"):
        read_transform(text)
    steps = (Step("RandomCrop", (0.25,)), Step("RandomHorizontalFlip", (0.5,)), Step("RandomHorizontalFlip", (1.0,)))
    assert read_transform(text.replace('"""Said."""\n', "")) == steps
    assert read_transform("") == ()
    assert read_transform(transform()) == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def transform(norm:\n", "does not parse"),
        ("x = 1\n", "is not one function"),
        (f"import os\nos.system('x')\n{transform()}", "is not one function"),
        (f"@print\n{transform()}", "is not one function"),
        ("def transform(norm):\n    print(1)\n    return transforms.Compose([])\n", "does more than return"),
        ("def transform(norm):\n    return [f() for f in norm]\n", "does more than return"),
        ("def transform(norm):\n    return transforms.Compose(norm)\n", "one list"),
        (transform("transforms.ColorJitter(0.2)"), "line 2: `transforms.ColorJitter.* is not an operation of the menu"),
        (transform("os.RandomCrop()"), "not an operation of the menu"),
        (transform("(lambda: 1)()"), "not an operation of the menu"),
        (transform("RandomCrop"), "not an operation of the menu"),
        (transform("RandomCrop(0.1, 0.2)"), "takes padding"),
        (transform("RandomCrop(0.1, padding=0.2)"), "takes padding"),
        (transform("RandomCrop(size=4)"), "takes padding"),
        (transform("RandomCrop(**norm)"), "takes padding"),
        (transform("RandomCrop(*norm)"), "not a plain number"),
        (transform("RandomCrop(padding=0.6)"), "not a plain number from 0 to 0.5"),
        (transform("RandomHorizontalFlip(p=True)"), "not a plain number"),
        (transform("RandomHorizontalFlip(p=norm[0])"), "not a plain number"),
        (transform("RandomHorizontalFlip(p='0.5')"), "not a plain number"),
        (transform("RandomHorizontalFlip(p=1e999)"), "not a plain number"),
        (transform(*["RandomCrop()"] * 17), "17 operations; 16 are allowed"),
    ],
)
def test_what_is_not_of_the_menu_is_refused_with_the_reason_and_the_menu(text: str, reason: str) -> None:
    with pytest.raises(TransformError, match=reason) as caught:
        read_transform(text)
    assert all(name in caught.value.hint for name in MENU)
    assert transform_faults(text) == (str(caught.value),)
