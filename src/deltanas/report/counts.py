"""What became of the proposals, counted step by step: for each strategy, level of decoding and model by itself.

Raw validity (of proposals) and yield (of slots) are two things and are never mixed: a slot may draw many proposals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deltanas.intervals import wilson
from deltanas.program import Stage, Trained
from deltanas.records import Attempt, Call, Candidate, RunView

_PASSED: dict[Stage, tuple[str, ...]] = {
    "parse": (),
    "apply": ("parsed",),
    "contract": ("parsed", "applied"),
    "build": ("parsed", "applied", "contract"),
    "step": ("parsed", "applied", "contract", "built"),
    "limit": ("parsed", "applied", "contract", "built", "step"),
    "novelty": ("parsed", "applied", "contract", "built", "step"),
    "ranked": ("parsed", "applied", "contract", "built", "step"),
}
"""What a proposal had passed before a gate refused it."""
EXACT = "exact"


@dataclass(frozen=True, slots=True)
class Step:
    """`count` of `of`, with the 95 % Wilson interval of that share; it is None where there are none."""

    name: str
    count: int
    of: int
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What the model was asked, in all. seconds: of wall clock, a batch's shared out among its replies.

    estimated: calls whose numbers of tokens are estimates.
    """

    calls: int
    prompt_tokens: int
    reply_tokens: int
    seconds: float
    estimated: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The proposals of one strategy, level of decoding and model.

    Attributes:
        decoding: of strategy `delta` alone. model: None where none was called.
        first: of the first round's proposals, which know of no refusal. proposals: of all. Steps, each of all that were
            proposed: "parsed" (an edit could be read), "applied", "changed" (the syntax tree differs from the
            parent's), "contract" (kept), "built" (and gave outputs of the right shape), "valid" (and trained a step),
            "effective" (and the function differs from the parent's; those without a known answer are left out of
            `of`), "distinct" (different traces among the effective), "passed" (all gates, novelty too).
        rungs: how the edits applied. repaired: by another rung than the exact one. retried: in a later round.
        slots: "filled" (a proposal passed) and "trained" (to a score), each of all slots that are settled as far.
    """

    strategy: str
    decoding: str | None
    model: str | None
    first: tuple[Step, ...]
    proposals: tuple[Step, ...]
    rungs: dict[str, int]
    repaired: int
    retried: int
    slots: tuple[Step, ...]
    cost: Cost


def counted(view: RunView) -> tuple[Counts, ...]:
    """One `Counts` for each group in the order in which they came; the baselines are no proposals."""
    groups: dict[tuple[str, str | None], list[Candidate]] = {}
    for candidate in view.candidates:
        if candidate.cycle:
            groups.setdefault((candidate.strategy, _model(candidate)), []).append(candidate)
    # A slot whose model was never reached belongs with the others of its strategy, if these have one model.
    for strategy, model in [key for key in groups if key[1] is None]:
        others = [key for key in groups if key[0] == strategy and key[1] is not None]
        if len(others) == 1:
            groups[others[0]] += groups.pop((strategy, model))
    return tuple(
        _counts(group, strategy, model, _decoding(view, strategy)) for (strategy, model), group in groups.items()
    )


def _model(candidate: Candidate) -> str | None:
    return next((call.model for attempt in candidate.attempts for call in attempt.calls), None)


def _decoding(view: RunView, strategy: str) -> str | None:
    match view.manifest.get("config"):
        case {"model": {"decoding": str(decoding)}} if strategy == "delta":
            return decoding
        case _:
            return None


def _counts(group: Sequence[Candidate], strategy: str, model: str | None, decoding: str | None) -> Counts:
    tried = [(attempt, candidate.parent) for candidate in group for attempt in candidate.attempts]
    rungs = Counter(attempt.rung for attempt, _ in tried if attempt.rung is not None)
    settled = [candidate for candidate in group if candidate.outcome is not None]
    return Counts(
        strategy=strategy,
        decoding=decoding,
        model=model,
        first=_steps([(attempt, parent) for attempt, parent in tried if attempt.round == 0]),
        proposals=_steps(tried),
        rungs=dict(rungs.most_common()),
        repaired=sum(count for rung, count in rungs.items() if rung != EXACT),
        retried=sum(attempt.round > 0 for attempt, _ in tried),
        slots=(
            _step("filled", sum(candidate.kept is not None for candidate in group), len(group)),
            _step("trained", sum(isinstance(candidate.outcome, Trained) for candidate in settled), len(settled)),
        ),
        cost=cost(call for attempt, _ in tried for call in attempt.calls),
    )


def cost(calls: Iterable[Call]) -> Cost:
    made = list(calls)
    return Cost(
        len(made),
        sum(call.prompt_tokens for call in made),
        sum(call.reply_tokens for call in made),
        sum(call.seconds for call in made),
        sum(call.estimated for call in made),
    )


def _steps(tried: Sequence[tuple[Attempt, str | None]]) -> tuple[Step, ...]:
    passed = [(attempt, _passed(attempt, parent)) for attempt, parent in tried]
    known = [(attempt, names) for attempt, names in passed if "valid" not in names or attempt.effective is not None]
    effective = [attempt for attempt, names in known if "valid" in names and attempt.effective]
    names = ("parsed", "applied", "changed", "contract", "built", "valid")
    return (
        *(_step(name, sum(name in held for _, held in passed), len(tried)) for name in names),
        _step("effective", len(effective), len(known)),
        _step("distinct", len({attempt.trace for attempt in effective}), len(known)),
        _step("passed", sum(attempt.passed for attempt, _ in passed), len(tried)),
    )


def _passed(attempt: Attempt, parent: str | None) -> set[str]:
    """The steps that a proposal passed; from "changed" on only what changed counts."""
    names = set(_PASSED[attempt.refusal.stage if attempt.refusal else "novelty"])
    # Archives of 0.1.0 lack the identity of refused proposals.
    changed = "applied" in names and (attempt.program is None or attempt.program != parent)
    if not changed:
        return names & {"parsed", "applied"}
    return names | {"changed"} | ({"valid"} if "step" in names else set())


def _step(name: str, count: int, of: int) -> Step:
    share = wilson(count, of) if of else None
    return Step(name, count, of, share.low if share else None, share.high if share else None)
