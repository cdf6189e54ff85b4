"""The space of edits as the proposers see it: fair draws among the edits of a slot's parent that were seen to hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Sequence
from functools import partial
from itertools import islice
from random import Random

from deltanas.program import Program, Refused, SpaceEdit, acting, kinds_of, unshown
from deltanas.propose.composed import Kinds, Pick, by_chance, composed
from deltanas.propose.edits import open_edits, tried_before
from deltanas.propose.prior import KINDS, RecipePrior
from deltanas.propose.screen import Screen
from deltanas.seams import Ask, Builds, Built

WIDTHS = 0.25
"""Share of the draws that change a width, where a program has such edits. The rest of the space is drawn uniformly."""

MOST_LOOKED_AT = 60
"""Edits that are verified for one slot; where none of them holds, the slot stays empty."""

Aim = Callable[[Ask, Sequence[SpaceEdit]], tuple[str, Sequence[SpaceEdit]]]
"""Given edits of one kind, what a slot asks for, and those of them that fit."""

_Choice = Generator[Sequence[SpaceEdit], Sequence[bool], tuple[str, tuple[SpaceEdit, ...]]]
_Chooser = Callable[[Ask, set[str]], _Choice]


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

    With a screen many draws, of a composite many of each step, are ranked before any is verified, and the best that
    hold are given.
    """

    def __init__(
        self,
        builds: Builds | None,
        kinds: Kinds = fair_kinds,
        prior: RecipePrior | None = None,
        steps: int = 1,
        screen: Screen | None = None,
    ) -> None:
        """builds: what verifies the edits; None leaves them unverified. prior: what makes some likelier than others.

        steps: number of edits, one after another, that a draw is made of.
        """
        self._builds = builds
        self.steps = steps
        self.screen = screen
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
        drawn = partial(self._choice, most=most, aim=aim) if self.steps == 1 else partial(self._composites, most=most)
        return self._driven(asks, self._screening(asks, most, aim, drawn))

    def mixed(self, asks: Sequence[Ask], most: int) -> list[tuple[SpaceEdit, ...]]:
        """Up to `most` edits a slot, each drawn as `draw` draws one: of any kinds, in the order of the source."""
        drawn = partial(self._draws if self.steps == 1 else self._composites, most=most)
        return [edits for _, edits in self._driven(asks, self._screening(asks, most, None, drawn))]

    def _screening(self, asks: Sequence[Ask], most: int, aim: Aim | None, otherwise: _Chooser) -> _Chooser:
        """What chooses by the screen, and as `otherwise` does where it knows too little, or nothing of it holds."""
        if self.screen is None:
            return otherwise
        screen, spread = self.screen, self.screen.spread(asks)

        def chosen(ask: Ask, given: set[str]) -> _Choice:
            if self.steps > 1:
                pick = partial(self._best_step, screen, spread) if screen.knows(ask.parts[0]) else None
                return (yield from self._composites(ask, given, most, pick, spread))
            goal, edits = yield from self._screened(screen, ask, most, aim, given, spread)
            return (goal, edits) if edits else (yield from otherwise(ask, given))

        return chosen

    def _screened(
        self, screen: Screen, ask: Ask, most: int, aim: Aim | None, given: set[str], spread: Counter[str]
    ) -> _Choice:
        """The best `most` of the draws; with an aim those of the best one's kind that fit it.

        spread: number of edits of each kind in the cycle. The best one that holds is added.
        """
        space = open_edits(ask)
        order = {edit.text: place for place, edit in enumerate(space)}
        ranked, goal = screen.ranked(ask, self._pool(screen, ask, space, given)), ""
        if ranked and aim:
            (first,) = screen.best(ranked, spread, 1)
            goal, fitting = aim(ask, [edit for edit in ranked if edit.kind == first.kind])
            ranked = [edit for edit in ranked if edit in fitting]
        kept: list[SpaceEdit] = []
        while len(kept) < most and (ranked := [edit for edit in ranked if edit.text not in given]):
            tried = screen.best(ranked, spread, most - len(kept))
            given.update(edit.text for edit in tried)
            first = tried[0]
            spread[first.kind] += not kept
            held = yield tried
            spread[first.kind] -= not kept and not held[0]
            kept += [edit for edit, holds in zip(tried, held, strict=True) if holds]
        return goal, tuple(sorted(kept, key=lambda edit: order[edit.text]))

    def _best_step(
        self, screen: Screen, spread: Counter[str], ask: Ask, number: int, edits: Sequence[SpaceEdit]
    ) -> SpaceEdit:
        """The best of draws from the edits of the program so far; of fewer with each try, so that they differ."""
        drawn_kind, rng = self._kinds(ask), ask.rng("screen")
        left = list(edits)
        drawn: list[SpaceEdit] = []
        while left and len(drawn) < max(1, screen.draws // (number + 1)):
            drawn.append(self._one(ask, left, set(), drawn_kind, rng))
            left.remove(drawn[-1])
        (best,) = screen.best(screen.ranked(ask, drawn), spread, 1)
        return best

    def _pool(self, screen: Screen, ask: Ask, space: Sequence[SpaceEdit], given: set[str]) -> list[SpaceEdit]:
        """Draws as `_draws` takes them, all of the part that the first one is of; none if the screen knows it not."""
        drawn_kind, rng = self._kinds(ask), ask.rng("screen")
        drawn: list[SpaceEdit] = []
        left = list(space)
        while left and len(drawn) < screen.draws:
            drawn.append(self._one(ask, left, given, drawn_kind, rng))
            if not screen.knows(drawn[0].part):
                return []
            left = [edit for edit in left if edit is not drawn[-1] and edit.part == drawn[0].part]
        return drawn

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

    def _choice(self, ask: Ask, given: set[str], most: int, aim: Aim) -> _Choice:
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

    def _draws(self, ask: Ask, given: set[str], most: int) -> _Choice:
        """As `_choice`, with a kind drawn for each edit."""
        space = open_edits(ask)
        order = {edit.text: place for place, edit in enumerate(space)}
        drawn_kind, rng = self._kinds(ask), ask.rng("edit")
        kept: list[SpaceEdit] = []
        left = MOST_LOOKED_AT
        while space and left > 0 and len(kept) < most:
            tried: list[SpaceEdit] = []
            while space and len(tried) < min(left, most - len(kept)):
                tried.append(self._one(ask, space, given, drawn_kind, rng))
                space = [edit for edit in space if edit is not tried[-1]]
            given.update(edit.text for edit in tried)
            held = yield tried
            left -= len(tried)
            kept += [edit for edit, holds in zip(tried, held, strict=True) if holds]
        return "", tuple(sorted(kept, key=lambda edit: order[edit.text]))

    def _composites(
        self, ask: Ask, given: set[str], most: int, pick: Pick | None = None, spread: Counter[str] | None = None
    ) -> _Choice:
        """As `_draws`, with several steps for each edit; those that hold come in the order of the draws.

        pick: what chooses a step, by chance if not given. spread: the kinds of the steps of the best one are added.
        """
        known = tried_before(ask)
        pick = pick or by_chance(self._kinds, self._prior)
        spread = Counter() if spread is None else spread
        kept: list[SpaceEdit] = []
        number = 0
        while number < MOST_LOOKED_AT and len(kept) < most:
            tried: list[SpaceEdit] = []
            while number < MOST_LOOKED_AT and len(tried) < most - len(kept):
                edit = composed(ask, number, self.steps, pick)
                number += 1
                if edit and edit.text not in known and edit.text not in given:
                    given.add(edit.text)
                    tried.append(edit)
            counted = kinds_of(tried[0].kind) if tried and not kept else ()
            spread.update(counted)
            held = yield tried
            spread.subtract(counted if tried and not held[0] else ())
            kept += [edit for edit, holds in zip(tried, held, strict=True) if holds]
        return "", tuple(kept)

    def _one(
        self,
        ask: Ask,
        space: Sequence[SpaceEdit],
        given: set[str],
        drawn_kind: Callable[[Sequence[str]], str],
        rng: Random,
    ) -> SpaceEdit:
        """A draw, kind first; one that no slot of this parent looked at, as long as there is any."""
        fresh = [edit for edit in space if edit.text not in given] or space
        kind = drawn_kind([edit.kind for edit in fresh])
        alike = [edit for edit in fresh if edit.kind == kind]
        weights = self._weights(ask, kind, alike)
        return rng.choices(alike, weights)[0] if weights else rng.choice(alike)

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
                and (child.differs(origin) or unshown(program.prm) != unshown(parent.prm))
                and not _idle(program, edit, child)
                for edit, (program, child) in zip(edits, islice(results, len(edits)), strict=True)
            ]
            for parent, origin, slot, edits in wanted
        }


def _idle(program: Program, edit: SpaceEdit, built: Built) -> bool:
    """Whether it was given a transform that does nothing, such as grey on images of one channel."""
    return edit.of == "transform" and bool(program.transform) and not acting(built.trace)
