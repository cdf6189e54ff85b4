"""Which edits are measured at length: fair draws of every part, in rounds over the families."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import cast

from benchmarks.table import Row
from deltanas.program import Part, Program, apply_edit
from deltanas.propose import Space
from deltanas.seams import Ask, Builds, Built

CYCLE = ("net", "recipe", "composite", "net", "transform", "net", "composite", "recipe", "net", "transform")
"""The parts that the draws of a family go through; a composite is of several edits, each of any part."""
STEPS = 3
"""Edits of a composite."""
ANY_PART: Sequence[Part] = ("net", "net", "net", "recipe", "transform")
"""What the part of each is drawn from."""
GROWTH = 1.5
"""Half of the draws have at most so many times the parameters and the FLOPs of their root; the others are free."""
DEAR = ("coatnet", "densenet", "mixer", "vit")
"""Families that cost the most seconds a training; they are drawn from in every second round alone."""
TRIES = 20
"""Draws for one place before it is left empty."""


def alike_kinds(ask: Ask) -> Callable[[Sequence[str]], str]:
    """Each kind that is there as likely as the others, so that rare ones are seen too."""
    rng = ask.rng("kind")
    return lambda kinds: rng.choice(sorted(set(kinds)))


def program_of(row: Row, root: Program) -> Program:
    """The program that the steps of a row make of its root."""
    program = root
    for step in cast("list[dict[str, str]]", row["steps"]):
        program = program.edited(step["of"], apply_edit(program.editable(step["of"]), step["edit"]).source)
    return program


def drawn_round(
    number: int, roots: Mapping[str, Program], known: Sequence[Row], builds: Builds
) -> Iterator[tuple[Row, Program]]:
    """The edits of a round, one a family, and the programs that they make; those of `known` are not drawn again."""
    space = Space(builds, alike_kinds)
    sizes = dict(zip(roots, builds.build(list(roots.values())), strict=True))
    seen = {str(row["program"]) for row in known}
    for place, (family, root) in enumerate(roots.items()):
        if family in DEAR and number % 2:
            continue
        visit, size = number // 2 if family in DEAR else number, sizes[family]
        assert isinstance(size, Built)
        row: Row = {"draw": number * len(roots) + place, "round": number, "family": family}
        row |= {"part": CYCLE[visit % len(CYCLE)], "growth": None if (visit + visit // len(CYCLE)) % 2 else GROWTH}
        found = _drawn(row, root, size, space, builds, seen)
        if found is not None:
            seen.add(found.id)
            yield row, found


def _drawn(row: Row, root: Program, size: Built, space: Space, builds: Builds, seen: set[str]) -> Program | None:
    """The edited program; its steps and sizes are added to the row."""
    for attempt in range(TRIES):
        program, steps = _stepped(row, attempt, root, space)
        if not steps or program.id in seen:
            continue
        (built,) = builds.build([program])
        if not isinstance(built, Built):
            continue
        ratios = (built.params / size.params, built.flops / size.flops)
        if row["growth"] is None or max(ratios) <= GROWTH:
            row |= {"steps": steps, "program": program.id, "params": built.params, "flops": built.flops}
            row |= {"params_ratio": round(ratios[0], 4), "flops_ratio": round(ratios[1], 4)}
            return program
    return None


def _stepped(row: Row, attempt: int, root: Program, space: Space) -> tuple[Program, list[dict[str, str]]]:
    program, steps = root, []
    parts = Random(f"lengths:{row['draw']}:{attempt}:parts")
    composite = row["part"] == "composite"
    for step in range(STEPS if composite else 1):
        part: Part = parts.choice(ANY_PART) if composite else str(row["part"])
        ask = Ask(0, int(str(row["draw"])), attempt, f"lengths:{row['draw']}:{step}:{attempt}", program, parts=(part,))
        (edit,) = space.draw([ask])
        if edit is None:
            return program, []
        program = program.edited(edit.of, apply_edit(program.editable(edit.of), edit.text).source)
        steps.append({"part": edit.part, "of": edit.of, "kind": edit.kind, "edit": edit.text})
    return program, steps
