"""Grammars for llama.cpp: the same texts as ours, as llguidance reads GBNF."""

from __future__ import annotations

import pytest
from llguidance import LLMatcher, LLTokenizer
from llguidance.gbnf_to_lark import gbnf_to_lark

from deltanas.llm.gbnf import gbnf
from deltanas.nets import baselines
from deltanas.program import SpaceEdit
from deltanas.propose.grammar import anchored_grammar, typed_grammar

ODD = 'class A:\n    x_1 = "a\\n\\"é"  # \\d{2}\t[^a]\n\n    y = f"{x}/%"\n'
EDITS = [("    a = 1", "    a = 2"), ("    a = 1", '    a = "é\\n"'), ("\tb = [1]", "\tb = {2}\n    c = 3")]


def allows(grammar: str, text: str) -> bool:
    matcher = LLMatcher(LLTokenizer("byte"), grammar)
    assert not matcher.is_error(), matcher.get_error()
    tokens = list(text.encode())
    return matcher.validate_tokens(tokens) == len(tokens) and matcher.consume_tokens(tokens) and matcher.is_accepting()


def block(old: str, new: str) -> str:
    return f"<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE"


@pytest.mark.parametrize("source", [ODD, baselines()["mlp"]])
def test_anchored(source: str) -> None:
    ours = anchored_grammar(source)
    theirs = gbnf(ours)
    assert theirs is not None
    lines = source.splitlines(keepends=True)
    texts = [
        *(block("".join(lines[i:j]), "new = 1\n\n    x\n") for i in range(3) for j in (i + 1, i + 2, len(lines))),
        block(lines[0], ""),
        block("", "x\n"),
        block("invented\n", "x\n"),
        block(lines[0][1:], "x\n"),
        block(lines[0] + lines[2], "x\n"),
        block(lines[0], "> x\n"),
        block(lines[0], "x\n" * 24),
        block(lines[0], "x\n" * 25),
        block(lines[0], "x\n") + "\n",
        "prose",
    ]
    expected = [allows(ours, text) for text in texts]
    assert {True, False} == set(expected)
    assert [allows(gbnf_to_lark(theirs), text) for text in texts] == expected


@pytest.mark.parametrize("source", [ODD, baselines()["mlp"]])
def test_anchored_to_lines(source: str) -> None:
    place = "\n".join(source.split("\n")[:2])
    ours = anchored_grammar(source, place)
    theirs = gbnf(ours)
    assert theirs is not None
    same = block(f"{place}\n", f"{place}\n")
    texts = [block(f"{place}\n", "new = 1\n"), block(f"{place}\n", ""), block("x\n", "y\n"), same]
    assert [allows(ours, text) for text in texts] == [True, True, False, False]
    assert [allows(gbnf_to_lark(theirs), text) for text in texts] == [True, True, False, True]


def test_typed() -> None:
    edits = [SpaceEdit("insert", "net", old, new) for old, new in EDITS]
    ours = typed_grammar(edits)
    theirs = gbnf(ours)
    assert theirs is not None
    right = [f"{old}\n=>\n{new}" for old, new in EDITS]
    for grammar in (ours, gbnf_to_lark(theirs)):
        assert all(allows(grammar, text) for text in right)
        assert not any(
            allows(grammar, text) for text in (right[0] + " ", right[0][1:], "    a = 1\n=>\n    b = {2}", "")
        )


@pytest.mark.parametrize(
    "grammar",
    [
        "start: /a.c/",
        "start: /(?i:a)/",
        "start: A & /b/\nA: /[a-z]+/",
        "%import common.WORD",
        'start: %json {"a": 1}',
        "start: ~A",
    ],
)
def test_what_it_can_not_say(grammar: str) -> None:
    assert gbnf(grammar) is None


def test_regular_expressions() -> None:
    theirs = gbnf('start: A B_2\nA: /(ab)?[^\\n\\]]+\\[\\n/\nB_2: "x"{2,3}\n')
    assert theirs is not None
    grammar = gbnf_to_lark(theirs)
    assert [allows(grammar, text) for text in ("abz[\nxx", "z[\nxxx", "z[\nx", "\n[\nxx")] == [True, True, False, False]
