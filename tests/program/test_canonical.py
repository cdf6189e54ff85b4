from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltanas.nets import baselines
from deltanas.program import Program, canonical_source

BASE = '''
import torch
from torch import nn

class Net(nn.Module):
    """A network."""

    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        width = 32  # channels
        self.conv = nn.Conv2d(in_shape[1], width, 3, padding=1)
        self.blocks = nn.ModuleList([nn.Linear(width, width) for i in range(2)])

    def forward(self, x):
        def scale(a):
            return a * 2
        for block in self.blocks:
            x = block(x)
        return scale(x)
'''

SAME = {
    "comment": ("  # channels", ""),
    "docstring": ('    """A network."""\n', ""),
    "local": ("width", "c"),
    "comprehension variable": ("for i in", "for _ in"),
    "parameter of forward": ("    def forward(self, x):", "    def forward(this, x):"),
    "nested function": ("scale", "double"),
    "parameter of a nested function": (
        "def scale(a):\n            return a * 2",
        "def scale(b):\n            return b * 2",
    ),
    "loop variable": ("block in self.blocks:\n            x = block(x)", "b in self.blocks:\n            x = b(x)"),
    "formatting": ("in_shape[1], width, 3, padding=1", "in_shape[1],\n            width, 3, padding = 1"),
}

DIFFERENT = {
    "number": ("width = 32", "width = 48"),
    "kernel": ("3, padding=1", "5, padding=2"),
    "attribute": ("self.conv", "self.stem"),
    "wiring": ("x = block(x)", "x = x + block(x)"),
    "contract parameter": ("in_shape", "shape"),
    "layer": ("nn.Linear", "nn.Bilinear"),
    "order of arguments": ("in_shape[1], width", "width, in_shape[1]"),
}


def changed(old: str, new: str) -> str:
    assert old in BASE
    text = BASE.replace(old, new)
    if new.endswith("(this, x):"):
        head, tail = text.split("def forward")
        text = f"{head}def forward{tail.replace('self', 'this')}"
    return text


@pytest.mark.parametrize("name", SAME)
def test_what_cannot_change_behaviour_is_gone(name: str) -> None:
    assert canonical_source(changed(*SAME[name])) == canonical_source(BASE)


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_can_change_behaviour_is_kept(name: str) -> None:
    assert canonical_source(changed(*DIFFERENT[name])) != canonical_source(BASE)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("def f():\n    a = 1\n    return a", "def f():\n    a = 1\n    return b"),
        ("def f(a, b):\n    return a", "def f(a, b):\n    return b"),
        ("def f(*, k=3):\n    return k", "def f(*, size=3):\n    return size"),
        ("def f(k=3):\n    return k\nf(k=1)", "def f(q=3):\n    return q\nf(k=1)"),
        ("def f(k):\n    return k\nf(**{'k': 1})", "def f(q):\n    return q\nf(**{'k': 1})"),
        ("def f():\n    global a\n    a = 1", "def f():\n    global b\n    b = 1"),
        ("def f():\n    a = 1\n    return locals()", "def f():\n    b = 1\n    return locals()"),
        ("def f():\n    class A:\n        a = 1\n    return A", "def f():\n    class A:\n        b = 1\n    return A"),
        ("def f():\n    import os\n    return os", "def f():\n    import re\n    return re"),
        ("x = 1", "y = 1"),
    ],
)
def test_names_seen_from_outside_a_function_are_kept(one: str, two: str) -> None:
    assert canonical_source(one) != canonical_source(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (
            "def f():\n    n = 0\n    def g():\n        nonlocal n\n        n += 1\n    return g, n",
            "def f():\n    m = 0\n    def h():\n        nonlocal m\n        m += 1\n    return h, m",
        ),
        ("def f(x):\n    return [(y := a) for a in x], y", "def f(x):\n    return [(z := b) for b in x], z"),
        ("g = lambda a: a + b", "g = lambda c: c + b"),
        ("try:\n    f()\nexcept E as e:\n    pass", "try:\n    f()\nexcept E as e:\n    'ignored'"),
        (
            "def f():\n    try:\n        g()\n    except E as e:\n        h(e)",
            "def f():\n    try: g()\n    except E as x: h(x)",
        ),
        (
            "def f(x):\n    match x:\n        case [a, *b]: return a, b\n        case {'k': c, **d}: return c, d",
            "def f(x):\n    match x:\n        case [p, *q]: return p, q\n        case {'k': r, **s}: return r, s",
        ),
        ("def f():\n    import numpy as np\n    return np", "def f():\n    import numpy as n\n    return n"),
        ("def f():\n    v0 = 1\n    return v0, v1", "def f():\n    a = 1\n    return a, v1"),
    ],
)
def test_closures_and_bindings_of_every_sort_are_renamed_together(one: str, two: str) -> None:
    assert canonical_source(one) == canonical_source(two)


def test_shadowed_names_stay_apart() -> None:
    outer = "def f(a):\n    def g(b):\n        return a\n    return g"
    inner = "def f(a):\n    def g(a):\n        return a\n    return g"
    assert canonical_source(outer) != canonical_source(inner)


@pytest.mark.parametrize("source", ["", "def f(", "x = 1\n  y", "\x00", "(" * 5000, "'\ud800'", "x = 1 + \\ \n2"])
def test_source_that_does_not_parse_comes_back_as_it_is(source: str) -> None:
    assert canonical_source(f"{source} \n\n") == source.rstrip()


def test_a_doubtful_escape_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert canonical_source('x = "\\d"') == "x = '\\\\d'"


@pytest.mark.parametrize("name", sorted(baselines()))
def test_idempotent_on_the_baselines(name: str) -> None:
    once = canonical_source(baselines()[name])
    assert canonical_source(once) == once
    assert Program.of(once).id == Program.of(baselines()[name]).id


EVERYTHING = """
import numpy.linalg as la
from torch import nn
def outer(first, *rest, key=None, **more):
    "Gone."
    total: int = 0
    def inner(item, scale=2):
        nonlocal total
        total += item * scale
        return [pair[0] for pair in rest if (found := pair) is not None], found
    try:
        with open(first) as file, la.norm(total) as size:
            pass
    except (ValueError, OSError) as error:
        raise RuntimeError(f"{error!r:>{size}}") from error
    else:
        global shared; shared = {name: value for name, value in more.items()}
    finally:
        "Idle."
    match inner(1, scale=3):
        case [one, *others] if others: pass
        case {"key": held, **left}: return held, left
        case nn.Linear(in_features=width) as layer: return width, layer, one
    async def later():
        async for thing in first: yield lambda thing, *, only=0: thing + only
    while total: total -= 1
    else: del total
class Net(nn.Module, metaclass=type):
    "Gone too."
    def learn(self, train_data):
        for inputs, labels in train_data: self.loss = labels if inputs else not labels
"""


def test_identities_stay() -> None:
    """Archives refer to programs by them: another canonical form would make known programs new."""
    assert Program.of(EVERYTHING).id == "49ee574780286442"


FRAGMENTS = [
    "a = 1", "b = a", "return a", "return a + b", "for a in b:", "def f(a):", "def g(b, a=a):", "class C:",
    "nonlocal a", "global b", "lambda a: b", "[a for a in b]", "[(b := a) for a in c]", "'doc'", "pass", "f(a=b)",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(FRAGMENTS)), max_size=8))
def test_idempotent_on_small_programs(lines: list[tuple[int, str]]) -> None:
    once = canonical_source("\n".join("    " * depth + text for depth, text in lines))
    assert canonical_source(once) == once


@settings(max_examples=300, deadline=None)
@given(st.text("ab:=( \n\t\\#'\f\r", max_size=20))
def test_idempotent_on_any_text(text: str) -> None:
    once = canonical_source(text)
    assert canonical_source(once) == once
