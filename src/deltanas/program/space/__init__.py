"""The space of simple edits of a program, by analysis of its source: one space, for every driver.

A driver (a uniform sampler, a language model under a grammar) picks one of these edits; none can miss its place. Not
every edit need build: a check in the sandbox follows.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from functools import lru_cache
from types import CodeType

from deltanas.program.canonical import parsed
from deltanas.program.space.convolution import convolution_changes
from deltanas.program.space.coupled import coupled_changes
from deltanas.program.space.layers import layer_changes
from deltanas.program.space.numbers import number_changes
from deltanas.program.space.recipe import recipe_changes
from deltanas.program.space.removal import removal_changes
from deltanas.program.space.restoration import restoration_changes
from deltanas.program.space.schedule import schedule_changes
from deltanas.program.space.sizes import size_changes
from deltanas.program.space.source import Change, Source, SpaceEdit
from deltanas.program.space.stages import stage_changes
from deltanas.program.space.structure import structure_changes
from deltanas.program.space.vectors import WidthGroup, WidthVectors, width_vectors
from deltanas.program.space.wiring import wiring_changes

__all__ = ["SpaceEdit", "WidthGroup", "WidthVectors", "edits_of", "width_vectors"]

_GENERATORS = (
    layer_changes,
    convolution_changes,
    size_changes,
    coupled_changes,
    number_changes,
    structure_changes,
    removal_changes,
    wiring_changes,
    recipe_changes,
    stage_changes,
    schedule_changes,
    restoration_changes,
)


@lru_cache(maxsize=256)
def edits_of(source: str) -> tuple[SpaceEdit, ...]:
    """Every simple edit of `source`, ordered by line, kind and text; empty where it does not parse.

    Each one applies at the rung "exact", parses, and changes the canonical source; no two give the same program.
    """
    text = source.replace("\r\n", "\n")
    tree = parsed(text)
    if tree is None or "\r" in text:
        return ()
    program = Source(text, tree)
    found = [(*place, change) for make in _GENERATORS for change in make(program) if (place := program.edit(change))]
    found.sort(key=lambda one: (one[0], one[1].kind, one[1].new))
    seen: set[Hashable] = {None}
    kept = []
    for _, edit, change in found:
        fingerprint = _changed(program, change)
        if fingerprint not in seen:
            seen.add(fingerprint)
            kept.append(edit)
    return tuple(kept)


def _changed(program: Source, change: Change) -> Hashable:
    """Equal for changes that make the same program; None for one that makes the program itself, or none at all.

    Only the top-level statements that change are compiled.
    """
    pieces = program.pieces(change)
    if pieces is None:
        whole = _fingerprint(program.changed(change))
        return None if whole == _fingerprint(program.text) else whole
    made = [(start, _fingerprint(text)) for start, text in pieces]
    before = program.pieces(Change("", tuple((start, start, "") for start, _ in pieces)))
    if any(code is None for _, code in made) or before is None:
        return None
    differing = [one for one, (_, text) in zip(made, before, strict=True) if one[1] != _fingerprint(text)]
    return tuple(differing) or None


@lru_cache(maxsize=64)
def _fingerprint(source: str) -> Hashable:
    """Equal for programs that differ in formatting only; None where the source does not compile.

    Much faster than the canonical form, and as good here: no edit of the space renames a variable.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _code(compile(source, "", "exec", dont_inherit=True))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _code(code: CodeType) -> Hashable:
    constants = tuple(_code(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants
