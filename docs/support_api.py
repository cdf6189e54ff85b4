"""The Python API as Markdown, from signatures and docstrings. `make docs` writes docs/api.md, `make check` compares.

The text is read from the source, so nothing but the standard library is needed and no module is run for it.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
WIDTH = 110
_SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):$")


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the public surface.

    Attributes:
        name: dotted name.
        names: what to show of it, in this order; all that it defines without an underscore, if empty.
    """

    name: str
    names: tuple[str, ...] = ()


def api(modules: Sequence[Module]) -> str:
    """A chapter a module: its docstring, then every public name with signature and docstring."""
    # Three brackets end a block of cog.
    return "\n".join(_chapter(module) for module in modules).replace("]]]", "]] ]")


def _chapter(module: Module) -> str:
    tree = _tree(module.name)
    found = dict(_definitions(tree))
    lines = [f"## {module.name}", "", *_text(ast.get_docstring(tree) or "")]
    for name in module.names or [name for name in found if not name.startswith("_")]:
        lines += ["", *_entry(name, *found[name])]
    return "\n".join(lines) + "\n"


def _tree(name: str) -> ast.Module:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None, f"{name} is no module"
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def _definitions(tree: ast.Module) -> Iterator[tuple[str, tuple[Definition, str]]]:
    """What a module defines, with the docstring: that of an alias or a constant stands behind it."""
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                if not any("overload" in ast.unparse(each) for each in node.decorator_list):
                    yield name, (node, ast.get_docstring(node) or "")
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name, (node, _string(after))


def _string(node: ast.stmt | None) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
        case _:
            return ""


def _entry(name: str, node: Definition, text: str) -> list[str]:
    lines = [f"### {name}", "", "```python", *_signature(node), "```"]
    return [*lines, "", *_text(text)] if text else lines


def _signature(node: Definition) -> list[str]:
    match node:
        case ast.FunctionDef():
            return _function(node)
        case ast.ClassDef():
            bases = f"({', '.join(ast.unparse(base) for base in node.bases)})" if node.bases else ""
            lines = [f"class {node.name}{bases}:", *_indented(_members(node))]
            return lines if len(lines) > 1 else [f"class {node.name}{bases}: ..."]
        case _:
            return _broken(_code(node))


def _members(node: ast.ClassDef) -> Iterator[str]:
    """Fields, then methods with the first paragraph of their docstring as a comment."""
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and not ast.unparse(each.target).startswith("_"):
            yield from _broken(_code(each))
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and (each.name == "__init__" or not each.name.startswith("_")):
            marks = [ast.unparse(mark) for mark in each.decorator_list]
            if "overload" in marks:
                continue
            yield from (f"@{mark}" for mark in marks)
            yield from _function(each)
            first = (ast.get_docstring(each) or "").partition("\n\n")[0].replace("\n", " ")
            yield from textwrap.wrap(first, WIDTH - 10, initial_indent="    # ", subsequent_indent="    # ")


def _function(node: ast.FunctionDef) -> list[str]:
    returns = f" -> {_code(node.returns)}" if node.returns else ""
    parts = _parameters(node.args)
    whole = f"def {node.name}({', '.join(parts)}){returns}: ..."
    if len(whole) <= WIDTH:
        return [whole]
    return [f"def {node.name}(", *_indented(f"{part}," for part in parts), f"){returns}: ..."]


def _parameters(given: ast.arguments) -> list[str]:
    """Each parameter by itself, with blanks around `=` as behind an annotation."""
    parts: list[str] = []
    depth, start, text = 0, 0, _code(given)
    for place, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and not depth:
            parts.append(text[start:place].strip())
            start = place + 1
    parts.append(text[start:].strip())
    return [re.sub(r"^(\w+: [^=]+)=", r"\1 = ", part) for part in parts if part]


def _code(node: ast.AST) -> str:
    """The source of it, with the quotes of this project."""
    text = ast.unparse(node)
    return text if '"' in text else text.replace("'", '"')


def _broken(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _text(docstring: str) -> list[str]:
    """Paragraphs as they are, code that is indented as a block, sections as lists."""
    lines: list[str] = []
    for paragraph in docstring.strip().split("\n\n"):
        head, *rest = paragraph.splitlines()
        if _SECTION.match(head):
            lines += [f"{head[:-1]}:", "", *(f"- {item}" for item in _items(rest))]
        else:
            lines += [head, *rest]
        lines.append("")
    return lines[:-1]


def _items(lines: Iterable[str]) -> list[str]:
    """The items of a section; a line that is indented further goes on with the item before it."""
    items: list[str] = []
    for line in lines:
        if line.startswith("     ") and items:
            items[-1] += f" {line.strip()}"
        else:
            items.append(line.strip())
    return [re.sub(r"^([\w, `]+):", r"**\1**:", item) for item in items]
