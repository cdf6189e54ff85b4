"""Several programs as one: a mixture of experts in one source file. Pure text: nothing is executed.

Names of the module level are renamed by scope, so any programs fit together, several of one class name too. Each expert
keeps its text, its optimizer and its own hyperparameters. The order in which they are given is no part of the result.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from deltanas.program.canonical import canonical_source
from deltanas.program.heads import IMPORTS, RESERVED, Head, head_text
from deltanas.program.renaming import AssemblyError, Import, renamed, source_of

_NUMBERED = re.compile(r"_\d+$")
_HEADING = re.compile(r"^# Expert (?=\d+:)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Expert:
    """A program that becomes a part of a mixture. name: what comments and errors call it. prm: its hyperparameters."""

    name: str
    source: str
    prm: Mapping[str, float]


def assembled(experts: Sequence[Expert], head: Head | None = None) -> str:
    """The source of the mixture, by the LEMUR contract. Equal for equal experts in any order, but for their names.

    Raises:
        AssemblyError: an expert that can't share a file with others, with the line, or fewer than two of them.
    """
    if len(experts) < 2:
        raise AssemblyError(f"a mixture has two experts or more, and {len(experts)} was given", "name one more program")
    head = head or Head()
    placed = sorted(experts, key=lambda one: (_form(one.source), sorted(one.prm.items()), one.name))
    sources = [source_of(one.source, one.name) for one in placed]
    own = _clashes([source.imports for source in sources])
    parts = [renamed(one.source, one.name, number, own[number - 1]) for number, one in enumerate(placed, 1)]
    texts = _statements([*IMPORTS, *(one for part in parts for one in part.imports)])
    names = " + ".join(sorted(one.name for one in placed))
    heading = f'"""Mixture of {len(placed)} experts: {_plain(names)}."""\n'
    if any(source.annotations for source in sources):  # the sandbox reads all programs so
        texts.insert(0, "from __future__ import annotations")
    bodies = [
        f"# Expert {number}: {_plain(one.name)}\n\n{_HEADING.sub('# Its expert ', part.body)}"
        for number, (one, part) in enumerate(zip(placed, parts, strict=True), 1)
    ]
    end = head_text(head, [(part.net, dict(one.prm)) for one, part in zip(placed, parts, strict=True)])
    return "\n\n\n".join([heading + "\n" + "\n".join(texts), *bodies, end]) + "\n"


@lru_cache(maxsize=512)
def _form(source: str) -> str:
    return canonical_source(source)


def unfit(name: str, source: str) -> AssemblyError | None:
    """Why a program can't share a file with others; None where it can."""
    try:
        renamed(source, name, 1, frozenset())
    except AssemblyError as error:
        return error
    return None


def _clashes(imports: Sequence[Sequence[Import]]) -> list[frozenset[str]]:
    """For each expert the imported names that mean something else to the head, or to an expert before it.

    A builtin means something to all of them.
    """
    meant = {one.name: one.bound for one in IMPORTS}
    taken = {*RESERVED, *dir(builtins)}
    found: list[frozenset[str]] = []
    for those in imports:
        clashing = {one.name for one in those if one.name in taken or _NUMBERED.search(one.name)}
        clashing |= {one.name for one in those if meant.setdefault(one.name, one.bound) != one.bound}
        found.append(frozenset(clashing))
    return found


def _statements(imports: Sequence[Import]) -> list[str]:
    """Each import once, sorted; of two ways to say the same one."""
    texts: dict[str, set[str]] = {}
    for one in imports:
        texts.setdefault(one.name, set()).add(one.text)
    chosen: set[str] = set()
    for found in texts.values():
        plain = {text for text in found if text.startswith("import ") and " as " not in text}
        chosen |= plain or {min(found)}
    return sorted(chosen)


def _plain(name: str) -> str:
    """A name that can stand in a comment and in a docstring."""
    return re.sub(r'[\x00-\x1f\x7f\\"]', " ", name)
