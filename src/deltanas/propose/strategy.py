"""What a strategy says of itself: a record that stands beside it. All that depends on the strategy asks its record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from deltanas.errors import UsageError
from deltanas.llm import Model
from deltanas.program import Part
from deltanas.propose.asking import LONGEST_REPLY, Asking
from deltanas.propose.composed import Kinds
from deltanas.propose.prior import RecipePrior
from deltanas.propose.screen import Screen
from deltanas.propose.space import Space, fair_kinds
from deltanas.seams import Builds, Choose, ParentRule, Proposer
from deltanas.settings import Section

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a search gives to its strategy.

    Attributes:
        builds: verifies edits of the space; None: nothing does. unlimited: the same without limits of size, which shows
            what an edit moves even where the edited network is too large; None: there are no limits.
        model: the language model, opened; None for a strategy that asks none.
        asking: how the model is asked. settings: the strategy's own; see `own`.
        prior: what makes some edits of loss and optimizer likelier than others; None: they are as likely.
        steps: number of edits of the space, one after another, that one proposal is made of.
        screen: what ranks draws of the space before they are verified; None: they are taken as they come.
        seed: of the search. candidates: number of slots in a cycle.
    """

    builds: Builds | None = None
    unlimited: Builds | None = None
    model: Model | None = None
    asking: Asking = field(default_factory=Asking)
    settings: Section | None = None
    prior: RecipePrior | None = None
    steps: int = 1
    screen: Screen | None = None
    seed: int = 0
    candidates: int = 1

    def own(self, kind: type[S]) -> S:
        """The strategy's own settings, the defaults if none were given."""
        return self.settings if isinstance(self.settings, kind) else kind()

    def space(self, kinds: Kinds = fair_kinds) -> Space:
        """The edits that the strategy draws from. kinds: what chooses the kind of each."""
        return Space(self.builds, kinds, self.prior, self.steps, self.screen)

    @property
    def asked(self) -> Model:
        """The language model. Raises UsageError if the strategy's record says that it asks none."""
        if self.model is None:
            raise UsageError("the strategy asks a language model, and its record says none", "set `calls` of Strategy")
        return self.model


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A strategy of search.

    Attributes:
        name: as in the settings; also the name of the section with its own settings.
        about: what it proposes, in a few words.
        build: makes the proposer.
        settings: its own settings, if it has some.
        calls: number of calls of a language model for one proposal; 0: it asks none.
        held: whether replies are held to a grammar.
        longest_reply: tokens of the longest reply where the settings give no number.
        taught: whether the model can be tuned on what the search measured: the proposer is a `TaughtProposer`.
        ranks: whether the model says how likely it finds an answer, which one behind a server can't.
        parent: makes the rule by which parents are chosen; None: by rank. blind: that rule asks for no score, so it
            takes several objectives too.
        only: names of the spaces of edits that it can draw from; (): any.
        weighs: whether its draws go by `Context.prior`. screens: whether they go by `Context.screen`.
        composes: whether its proposals are made of `Context.steps` edits of the space.
        draws: least number of proposals that a slot draws in each round.
        choose: makes what takes one of a slot's passing proposals; None: the first is taken.
        joins: number of baselines that a proposal is made of, its parents; 0: it edits one parent. Then a slot is asked
            once, and the limit of growth counts from all of them together.
    """

    name: str
    about: str
    build: Callable[[Context], Proposer]
    settings: type[Section] | None = None
    calls: int = 0
    held: Callable[[Context], bool] = lambda _: False
    longest_reply: Callable[[Context], int] = lambda _: LONGEST_REPLY
    taught: bool = False
    ranks: Callable[[Context], bool] = lambda _: False
    parent: Callable[[Context], ParentRule] | None = None
    blind: bool = False
    only: tuple[Part, ...] = ()
    weighs: bool = False
    composes: Callable[[Context], bool] = lambda _: False
    screens: Callable[[Context], bool] = lambda _: False
    draws: Callable[[Context], int] = lambda _: 1
    choose: Callable[[Context, Proposer], Choose | None] = lambda _, __: None
    joins: Callable[[Context], int] = lambda _: 0
