"""Code blocks of a reply: which of them is the whole program, and whether the others are a part of the answer."""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
from dataclasses import dataclass

from deltanas.program import names_bound
from deltanas.program.canonical import parsed
from deltanas.program.thoughts import PROGRAM

_BLOCK = re.compile(r"^ *(?:```|~~~) *([^\n]*)\n(.*?)(?:^ *(?:```|~~~)|\Z)", re.MULTILINE | re.DOTALL)
_NET = re.compile(r"^class Net\b", re.MULTILINE)
_PYTHON = ("", "py", "python", "python3", "pytorch")
METHODS = {"__init__", "forward", "train_setup", "learn"}
"""What a class `Net` has, itself or by inheritance."""


@dataclass(frozen=True, slots=True)
class _Block:
    number: int
    code: str
    tree: ast.Module | None


def extracted(reply: str) -> str | None:
    """The program in a reply; None where there is none.

    That is its code block, whose end may be missing; of several the first that defines `Net`, else the longest. Without
    a block it is everything from the first line that begins a program.
    """
    blocks: list[str] = [code for _, code in _BLOCK.findall(reply)]
    if blocks:
        return next((block for block in blocks if "class Net" in block), max(blocks, key=len))
    begins = PROGRAM.search(reply)
    return reply[begins.start() :] if begins else None


def left_out(reply: str, program: str, parent: str) -> str:
    """Why `program`, taken from the reply, is not all of its answer; "" where it is.

    Other blocks may show what to run, what the parent has, or what the program has.
    """
    if len(_NET.findall(program)) > 1:
        return "the reply holds several programs; write one"
    blocks = [
        _Block(number, code, parsed(textwrap.dedent(code)))
        for number, (tag, code) in enumerate(_BLOCK.findall(reply), start=1)
        if tag.strip().lower() in _PYTHON
    ]
    main = next((block for block in blocks if block.code == program), None)
    for other in blocks:
        if main is None or other.code == program:
            continue
        if _NET.search(other.code) and _NET.search(program) and not _said_in(other, (program, parent)):
            return f"the reply holds several programs (code blocks {main.number} and {other.number}); write one"
        if main.tree and other.tree and _needs(main.tree, other.tree):
            return (
                f"the program is split over code blocks {main.number} and {other.number}; write it whole in one block"
            )
        if other.tree and _changes(other.tree) and not _said_in(other, (program, parent)):
            return (
                f"code block {other.number} changes what code block {main.number} writes; write the whole program once"
            )
    return ""


def _said_in(other: _Block, texts: tuple[str, ...]) -> bool:
    """Whether a block stands in one of the texts, but for comments, empty lines and what it leaves out by `...`."""
    runs = f"\n{_bare(other.code)}\n".split("\n...\n")
    return any(all(f"\n{run.strip()}\n" in f"\n{_bare(text)}\n" for run in runs if run.strip()) for text in texts)


def _bare(code: str) -> str:
    lines = (line.partition("#")[0].strip() for line in code.split("\n"))
    return "\n".join(line for line in lines if line)


def _needs(main: ast.Module, other: ast.Module) -> bool:
    """Whether `main` lacks a name that it uses, or a method of `Net`, that `other` binds outside its functions."""
    bound, used = set(dir(builtins)), {"supported_hyperparameters"}
    for node in ast.walk(main):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name):
                bound.add(name)
            case ast.arg(arg=name):
                bound.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                bound |= {(alias.asname or alias.name).partition(".")[0] for alias in names}
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
    return bool((used | METHODS - bound) & (names_bound(other) - bound))


def _changes(tree: ast.Module) -> bool:
    """Whether a block reads as an excerpt to put into a program: methods, or lines about `self`."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.args.args[:1] and node.args.args[0].arg == "self":
            return True
        if any(isinstance(one, ast.Name) and one.id == "self" for one in ast.walk(node)) and not isinstance(
            node, ast.ClassDef
        ):
            return True
    return False
