"""The space of edits as the proposers see it: fair draws among the edits of a slot's parent that were seen to hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from itertools import islice

from deltanas.program import Program, Refused, SpaceEdit, acting
from deltanas.propose.composed import Kinds, composed
from deltanas.propose.edits import open_edits
from deltanas.propose.prior import KINDS, RecipePrior
from deltanas.seams import Ask, Builds, Built

WIDTHS = 0.25
"""Share of the draws that change a width, where a program has such edits. The rest of the space is drawn uniformly."""

MOST_LOOKED_AT = 60
"""Edits that are verified for one slot; where none of them holds, the slot stays empty."""

Aim = Callable[[Ask, Sequence[SpaceEdit]], tuple[str, Sequence[SpaceEdit]]]
"""Given edits of one kind, what a slot asks for, and those of them that fit."""

_Choice = Generator[Sequence[SpaceEdit], Sequence[bool], tuple[str, tuple[SpaceEdit, ...]]]


def fair_kinds(ask: Ask) -> Callable[[Sequence[str]], str]:
    """A width with probability `WIDTHS`, any other kind as often as edits are of it."""
    rng = ask.rng("kind")

    def drawn(kinds: Sequence[str]) -> str:
        others = [kind for kind in kinds if kind != "width"]
        width = len(others) < len(kinds) and (not others or rng.random() < WIDTHS)
        return "width" if width else rng.choice(others)

    return drawn


class Space:
    """Draws edits of a slot's parent, none that was tried on it before, and not the same for two slots.

    Same asks, same draws, as long as no check runs out of time. Slots of one call with the same parent share an edit
    only where nothing else is left: what a slot gets depends on the slots before it.

    The kind of an edit comes first, by `kinds`; then any edit of the kind, each as likely as the others. What is drawn
    is verified then and there: an edit whose program does not build, or computes what its parent computes, is passed
    over, a kind that has no other too. So the draws are those from the space of all edits that hold, at the cost of
    those that were looked at. Where the parent itself does not build, no edit holds.

    With several steps each edit is a composite, drawn step by step (`composed`) and verified as a whole; then no goal
    is aimed at.
    """

    def __init__(
        self, builds: Builds | None, kinds: Kinds = fair_kinds, prior: RecipePrior | None = None, steps: int = 1
    ) -> None:
        """builds: what verifies the edits; None leaves them unverified. prior: what makes some likelier than others.

        steps: number of edits, one after another, that a draw is made of.
        """
        self._builds = builds
        self.steps = steps
        self._prior = prior
        self._kinds = kinds

    def draw(self, asks: Sequence[Ask]) -> list[SpaceEdit | None]:
        """One edit a slot; None where none is left."""
        return [offered[0] if offered else None for offered in self.offer(asks, 1)]

    def offer(self, asks: Sequence[Ask], most: int) -> list[tuple[SpaceEdit, ...]]:
        """Up to `most` edits of one kind a slot, in the order of the source; none where no edit is left."""
        return [edits for _, edits in self.aimed(asks, most, lambda _, edits: ("", edits))]

    def aimed(self, asks: Sequence[Ask], most: int, aim: Aim) -> list[tuple[str, tuple[SpaceEdit, ...]]]:
        """What `aim` makes each slot ask for, and up to `most` edits that fit, as `offer` gives them; else ("", ())."""
        if self.steps > 1:
            return self._driven(asks, lambda ask, given: self._composites(ask, most, given))
        return self._driven(asks, lambda ask, given: self._choice(ask, most, aim, given))

    def mixed(self, asks: Sequence[Ask], most: int) -> list[tuple[SpaceEdit, ...]]:
        """Up to `most` edits a slot, each drawn as `draw` draws one: of any kinds, in the order of the source."""
        drawn = self._draws if self.steps == 1 else self._composites
        return [edits for _, edits in self._driven(asks, lambda ask, given: drawn(ask, most, given))]

    def _driven(
        self, asks: Sequence[Ask], chooser: Callable[[Ask, set[str]], _Choice]
    ) -> list[tuple[str, tuple[SpaceEdit, ...]]]:
        """What each slot's choice comes to. What the slots need is verified together, so that the workers share it."""
        origins = self._builds.build([ask.parent for ask in asks]) if self._builds else [None] * len(asks)
        slots = [slot for slot, origin in enumerate(origins) if not isinstance(origin, Refused)]
        given: defaultdict[str, set[str]] = defaultdict(set)
        choices = {slot: chooser(asks[slot], given[asks[slot].parent.id]) for slot in slots}
        chosen: dict[int, tuple[str, tuple[SpaceEdit, ...]]] = {}
        answers: dict[int, Sequence[bool] | None] = dict.fromkeys(slots)
        while answers:
            wanted: dict[int, Sequence[SpaceEdit]] = {}
            for slot, answer in answers.items():
                try:
                    wanted[slot] = choices[slot].send(answer)  # type: ignore[arg-type]  # None starts it
                except StopIteration as ended:
                    chosen[slot] = ended.value
            answers = self._hold([(asks[slot].parent, origins[slot], slot, edits) for slot, edits in wanted.items()])
        return [chosen.get(slot, ("", ())) for slot in range(len(asks))]

    def _choice(self, ask: Ask, most: int, aim: Aim, given: set[str]) -> _Choice:
        """Yields edits to verify and takes whether each holds; returns what is chosen.

        given: texts of the edits that some slot of this parent looked at; those of this one are added.
        """
        space = open_edits(ask)
        order = {edit.text: place for place, edit in enumerate(space)}
        drawn_kind = self._kinds(ask)
        left = MOST_LOOKED_AT
        while space and left > 0:
            fresh = [edit for edit in space if edit.text not in given]
            shared = not fresh
            kind = drawn_kind([edit.kind for edit in fresh or space])
            goal, fitting = aim(ask, [edit for edit in fresh or space if edit.kind == kind])
            waiting = self._shuffled(ask, kind, fitting)
            kept: list[SpaceEdit] = []
            while len(kept) < most and left > 0:
                waiting = [edit for edit in waiting if shared or edit.text not in given]
                tried, waiting = waiting[: most - len(kept)], waiting[most - len(kept) :]
                if not tried:
                    break
                given.update(edit.text for edit in tried)
                held = yield tried
                left -= len(tried)
                kept += [edit for edit, holds in zip(tried, held, strict=True) if holds]
                space = [edit for edit in space if edit not in tried]
            if kept:
                return goal, tuple(sorted(kept, key=lambda edit: order[edit.text]))
        return "", ()

    def _weights(self, ask: Ask, kind: str, edits: Sequence[SpaceEdit]) -> list[float] | None:
        return self._prior.weights(ask.parent, edits) if self._prior and kind in KINDS else None

    def _shuffled(self, ask: Ask, kind: str, edits: Sequence[SpaceEdit]) -> list[SpaceEdit]:
        rng = ask.rng(f"edit:{kind}")
        if self._prior and kind in KINDS:
            return self._prior.ordered(ask.parent, edits, rng)
        waiting = list(edits)
        rng.shuffle(waiting)
        return waiting

    def _draws(self, ask: Ask, most: int, given: set[str]) -> _Choice:
        """As `_choice`, with a kind drawn for each edit."""
        space = open_edits(ask)
        order = {edit.text: place for place, edit in enumerate(space)}
        drawn_kind, rng = self._kinds(ask), ask.rng("edit")
        kept: list[SpaceEdit] = []
        left = MOST_LOOKED_AT
        while space and left > 0 and len(kept) < most:
            tried: list[SpaceEdit] = []
            while space and len(tried) < min(left, most - len(kept)):
                open_ = [edit for edit in space if edit.text not in given] or space
                kind = drawn_kind([edit.kind for edit in open_])
                alike = [edit for edit in open_ if edit.kind == kind]
                weights = self._weights(ask, kind, alike)
                tried.append(rng.choices(alike, weights)[0] if weights else rng.choice(alike))
                space = [edit for edit in space if edit is not tried[-1]]
            given.update(edit.text for edit in tried)
            held = yield tried
            left -= len(tried)
            kept += [edit for edit, holds in zip(tried, held, strict=True) if holds]
        return "", tuple(sorted(kept, key=lambda edit: order[edit.text]))

    def _composites(self, ask: Ask, most: int, given: set[str]) -> _Choice:
        """As `_draws`, with several steps for each edit; those that hold come in the order of the draws."""
        known = {attempt.edit for attempt in ask.earlier} | ask.journal.tried(ask.parent.id, ask.part)
        kept: list[SpaceEdit] = []
        number = 0
        while number < MOST_LOOKED_AT and len(kept) < most:
            tried: list[SpaceEdit] = []
            while number < MOST_LOOKED_AT and len(tried) < most - len(kept):
                edit = composed(ask, number, self.steps, self._kinds, self._prior)
                number += 1
                if edit and edit.text not in known and edit.text not in given:
                    given.add(edit.text)
                    tried.append(edit)
            held = yield tried
            kept += [edit for edit, holds in zip(tried, held, strict=True) if holds]
        return "", tuple(kept)

    def _hold(
        self, wanted: Sequence[tuple[Program, Built | Refused | None, int, Sequence[SpaceEdit]]]
    ) -> dict[int, Sequence[bool] | None]:
        """Whether each edit's program builds and trains otherwise than its parent, by slot."""
        if self._builds is None:
            return {slot: [True] * len(edits) for _, _, slot, edits in wanted}
        made = [edit.apply(parent) for parent, _, _, edits in wanted for edit in edits]
        results = iter(zip(made, self._builds.build(made), strict=True))
        return {
            slot: [
                isinstance(child, Built)
                and isinstance(origin, Built)
                and child.differs(origin)
                and not _idle(program, edit, child)
                for edit, (program, child) in zip(edits, islice(results, len(edits)), strict=True)
            ]
            for _, origin, slot, edits in wanted
        }


def _idle(program: Program, edit: SpaceEdit, built: Built) -> bool:
    """Whether it was given a transform that does nothing, such as grey on images of one channel."""
    return edit.of == "transform" and bool(program.transform) and not acting(built.trace)
