"""A program's source with the positions of its syntax tree: what the edits of the space are cut from."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from deltanas.program.edit_formats import is_marker
from deltanas.program.edits import apply_edit
from deltanas.program.net_class import net_class
from deltanas.program.program import Part, Program

Span = tuple[int, int, str]
"""Start and end in characters, and the text that stands there instead."""

APART = "\n...\n"
"""Between the places of an edit that has several."""
_NEAR = 2
"""Changed lines that are no further apart than this stand in one hunk."""

RECIPE_FUNCTIONS = frozenset({"train_setup", "learn", "supported_hyperparameters"})

_CLASS_COUNTS = ("out_shape", "classes", "num_class", "n_class")


@dataclass(frozen=True)
class SpaceEdit:
    """One edit of a program.

    Attributes:
        kind: what it does: "activation", "kernel", "width", ...
        part: name of the space that it is of: "net", "recipe", ...
        old: whole lines of the text, verbatim, that stand in it exactly once; where the edit has several places, one
            after the other, with a line `...` between them.
        new: the lines in their place, likewise.
        of: the part of the program whose text it changes. line: the first line that it changes, from 0.
    """

    kind: str
    part: Part
    old: str
    new: str
    of: Part = "net"
    line: int = field(default=0, compare=False)

    @property
    def text(self) -> str:
        """The SEARCH/REPLACE blocks that `apply_edit` takes, one a place."""
        return "".join(f"<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n" for old, new in self.places)

    @property
    def places(self) -> list[tuple[str, str]]:
        """The lines of each of its places, and what stands there instead."""
        return list(zip(self.old.split(APART), self.new.split(APART), strict=True))

    @property
    def steps(self) -> tuple[SpaceEdit, ...]:
        """The single edits that it is made of, each of what the ones before it made: itself."""
        return (self,)

    def apply(self, program: Program) -> Program:
        """What it makes of a program. Raises EditError where it does not apply."""
        return program.edited(self.of, apply_edit(program.editable(self.of), self.text).source)


@dataclass(frozen=True)
class Change:
    """An edit as spans of the source and their new texts: (start, end, text) in characters, not overlapping."""

    kind: str
    spans: tuple[Span, ...]
    part: Part = "net"


class Source:
    """Source text, its tree, and where each node stands in it."""

    def __init__(self, text: str, tree: ast.Module) -> None:
        self.text = text
        self.tree = tree
        self.lines = text.split("\n")
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self.parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}

    # Positions

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Start and end of a node in characters (the tree counts the bytes of UTF-8)."""
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
        return self._offset(node.lineno, node.col_offset), self._offset(end_line, end_column)

    def _offset(self, line: int, column: int) -> int:
        text = self.lines[line - 1]
        return self._starts[line - 1] + (column if text.isascii() else len(text.encode()[:column].decode()))

    def of(self, node: ast.expr | ast.stmt) -> str:
        """The text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def indentation(self, node: ast.expr | ast.stmt) -> str:
        """The blanks before the line that a node starts in."""
        line = self.lines[node.lineno - 1]
        return line[: len(line) - len(line.lstrip())]

    def starts_line(self, node: ast.expr | ast.stmt) -> bool:
        start, _ = self.span(node)
        return not self.text[self._starts[node.lineno - 1] : start].strip()

    # Changes

    def replaced(self, kind: str, node: ast.expr | ast.stmt, text: str, part: Part = "net") -> Change:
        return Change(kind, ((*self.span(node), text),), part)

    def appended(self, call: ast.Call, text: str) -> Span:
        """One more argument, or several, at the end of a call."""
        _, end = self.span(call)
        return end - 1, end - 1, (" " if self.text[: end - 1].rstrip().endswith(",") else ", ") + text

    def without(self, statement: ast.stmt) -> Span | None:
        """A statement's lines taken out; None where it shares them, or nothing else is left of its body."""
        start, end = self.span(statement)
        start -= len(self.indentation(statement))
        body = getattr(self.parents.get(statement), "body", ())
        alone = self.starts_line(statement) and self.text[end : end + 1] == "\n" and len(body) > 1
        return (start, end + 1, "") if alone else None

    def joined(self, texts: list[str], like: ast.expr) -> str:
        """Elements of a list or call, each on its own line where `like` is."""
        return (f",\n{self.indentation(like)}" if self.starts_line(like) else ", ").join(texts)

    def changed(self, change: Change) -> str:
        text = self.text
        for start, end, new in sorted(change.spans, reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def edit(self, change: Change) -> tuple[int, SpaceEdit] | None:
        """The change as whole lines, with enough lines around them to stand only once; with its first line (from 0)."""
        places = self._places(sorted(change.spans))
        if places is None or any(line == "..." or is_marker(line) for _, old, new in places for line in (*old, *new)):
            return None
        olds = APART.join("\n".join(old) for _, old, _ in places)
        news = APART.join("\n".join(new) for _, _, new in places)
        return places[0][0], SpaceEdit(change.kind, change.part, olds, news, line=places[0][0])

    def _places(self, spans: Sequence[Span]) -> list[tuple[int, list[str], list[str]]] | None:
        """(first line, old lines, new lines) of each hunk; changes that are near to one another share one."""
        hunks: list[tuple[int, int, list[Span]]] = []
        for span in spans:
            first, last = self._alone(*(self.text.count("\n", 0, at) for at in span[:2]))
            inside = [span]
            while hunks and 0 <= first <= hunks[-1][1] + _NEAR:
                start, end, before = hunks.pop()
                first, last = self._alone(start, max(end, last))
                inside = before + inside
            if first < 0:
                return None
            hunks.append((first, last, inside))
        placed = []
        for first, last, inside in hunks:
            new_lines = self.changed(Change("", tuple(inside))).split("\n")
            placed.append(
                (first, self.lines[first : last + 1], new_lines[first : len(new_lines) - len(self.lines) + last + 1])
            )
        return placed

    def _alone(self, first: int, last: int) -> tuple[int, int]:
        """The fewest lines around these that stand only once in the source; (-1, -1) where there are none."""
        size = len(self.lines)
        for extra in range(size):
            for up in range(extra + 1):
                a, b = first - up, last + extra - up
                if a >= 0 and b < size and self._count(self.lines[a : b + 1]) == 1:
                    return a, b
        return -1, -1

    def _count(self, block: list[str]) -> int:
        size = len(block)
        return sum(self.lines[start : start + size] == block for start in self._where[block[0]])

    @cached_property
    def _where(self) -> dict[str, list[int]]:
        """Each line's places."""
        found: dict[str, list[int]] = {}
        for place, line in enumerate(self.lines):
            found.setdefault(line, []).append(place)
        return found

    def pieces(self, change: Change) -> list[tuple[int, str]] | None:
        """(start, new text) of the top-level statements that a change lies in; None where it lies outside of one."""
        texts: dict[int, str] = {}
        for start, end, new in sorted(change.spans, reverse=True):
            place = bisect_right(self._tops, (start, len(self.text))) - 1
            if place < 0 or end > self._tops[place][1]:
                return None
            top, last = self._tops[place]
            text = texts.get(top, self.text[top:last])
            texts[top] = text[: start - top] + new + text[end - top :]
        return sorted(texts.items())

    @cached_property
    def _tops(self) -> list[tuple[int, int]]:
        """Start and end of each top-level statement, decorators included."""
        firsts = [min([n.lineno, *(d.lineno for d in getattr(n, "decorator_list", ()))]) for n in self.tree.body]
        return [(self._starts[first - 1], self.span(n)[1]) for first, n in zip(firsts, self.tree.body, strict=True)]

    # Names

    @cached_property
    def imports(self) -> dict[str, str]:
        """Local name to the dotted name that it stands for."""
        names: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    names[alias.asname or alias.name.split(".")[0]] = (
                        alias.name if alias.asname else alias.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return names

    def alias(self, dotted: str) -> str | None:
        """How the program can write a dotted name ("torch.nn" as "nn"), or None where no import leads there."""
        for name, target in self.imports.items():
            if target == dotted:
                return name
        head, _, last = dotted.rpartition(".")
        parent = self.alias(head) if head else None
        return f"{parent}.{last}" if parent else None

    def dotted(self, node: ast.AST) -> str:
        """The full dotted name that a name or attribute stands for, "" for anything else."""
        if isinstance(node, ast.Name):
            return self.imports.get(node.id, "")
        if isinstance(node, ast.Attribute):
            head = self.dotted(node.value)
            return f"{head}.{node.attr}" if head else ""
        return ""

    def layer(self, node: ast.AST | None) -> str:
        """The name of the torch.nn layer that a call makes ("Conv2d"), "" for anything else."""
        if isinstance(node, ast.Call):
            head, _, name = self.dotted(node.func).rpartition(".")
            if head == "torch.nn":
                return name
        return ""

    # Structure

    def walk(self, *, recipe: bool = False) -> Iterator[ast.AST]:
        """Every node of the network's code, or of its training's code."""
        for node in ast.walk(self.tree):
            if (self.function_of(node) in RECIPE_FUNCTIONS) == recipe:
                yield node

    def function_of(self, node: ast.AST) -> str:
        """The name of the outermost function around a node, "" for none."""
        return self._functions.get(node, "")

    @cached_property
    def _functions(self) -> dict[ast.AST, str]:
        found: dict[ast.AST, str] = {}
        for node in ast.walk(self.tree):  # outer ones first
            if isinstance(node, ast.FunctionDef) and node not in found:
                found.update((inner, node.name) for inner in ast.walk(node) if inner is not node)
        return found

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        above: ast.AST | None = node
        while above is not None and not isinstance(above, ast.ClassDef):
            above = self.parents.get(above)
        return above

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        return {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef)}

    @cached_property
    def parameters(self) -> dict[str, list[str]]:
        """Function or class to the names of its positional parameters, less `self`."""
        found: dict[str, list[str]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                owner = self.parents.get(node)
                made = isinstance(owner, ast.ClassDef) and node.name == "__init__"
                names = [argument.arg for argument in node.args.args]
                found[owner.name if isinstance(owner, ast.ClassDef) and made else node.name] = names[
                    names[:1] == ["self"] :
                ]
        return found

    @cached_property
    def attributes(self) -> dict[tuple[str, str], ast.expr]:
        """(class, attribute) to what `self.attribute` is set to, for attributes that are set once."""
        found: dict[tuple[str, str], list[ast.expr]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and (owner := self.class_of(node)):
                target = node.targets[0]
                if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                    found.setdefault((owner.name, target.attr), []).append(node.value)
        return {key: values[0] for key, values in found.items() if len(values) == 1}

    @cached_property
    def looked_into(self) -> set[str]:
        """Attributes with an attribute or an item that the program reads (`self.conv.weight`)."""
        nodes = (node.value for node in ast.walk(self.tree) if isinstance(node, ast.Attribute | ast.Subscript))
        return {node.attr for node in nodes if isinstance(node, ast.Attribute)}

    @cached_property
    def works_in_place(self) -> bool:
        """Whether the network overwrites tensors (`x += y`, `inplace=True`) that the gradient may need."""
        sums = (node for node in ast.walk(self.tree) if isinstance(node, ast.AugAssign))
        return "inplace=True" in self.text or any(self.function_of(node) == "forward" for node in sums)

    @cached_property
    def classifier(self) -> ast.Call | None:
        """The linear layer that gives the logits: the last one in `Net` that names the number of classes."""
        net = net_class(self.tree)
        linears = [n for n in ast.walk(net) if self.layer(n) in ("Linear", "LazyLinear")] if net else []
        calls = sorted((n for n in linears if isinstance(n, ast.Call)), key=lambda n: (n.lineno, n.col_offset))
        named = [call for call in calls if any(word in self.of(call) for word in _CLASS_COUNTS)]
        return named[-1] if named else None


def given(call: ast.Call, names: tuple[str, ...]) -> dict[str, ast.expr] | None:
    """A call's arguments by name, its positional ones named by `names`; None where stars hide them."""
    if any(isinstance(arg, ast.Starred) for arg in call.args) or len(call.args) > len(names):
        return None
    found = dict(zip(names, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None:
            return None
        found[keyword.arg] = keyword.value
    return found


def literal_int(node: ast.expr | None) -> int | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool):
        return node.value
    return None
