"""A language model is asked on which of two data sets a network stands higher, frozen and tuned; resumes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from deltanas.errors import UsageError, aside
from deltanas.learn import Tuning, tune
from deltanas.llm import HeldModel, Lesson, Tunable
from deltanas.study.questions import (
    KINDS,
    Asked,
    Kind,
    Question,
    asked_of,
    messages_of,
    plan_of,
    questions_of,
    right_of,
)
from deltanas.study.standing import Label, Scores, compared
from deltanas.whole import append_rows, read_rows

_AT_ONCE = 8
"""Questions between two times that answers are kept."""
Told = Callable[[str], None]


def asked(
    model: Tunable,
    scores: Scores,
    sources: Mapping[str, str],
    into: Path,
    *,
    label: Label,
    epochs: int,
    kinds: Sequence[Kind] = KINDS,
    taught: int = 400,
    number: int = 500,
    tuning: Tuning | None = None,
    told: Told = lambda _: None,
) -> Asked:
    """Answers are kept in `into`, which the same call goes on with.

    Of each kind of prompt: the answers of the model as it is, then of the model tuned on the taught examples, after the
    last step. taught, number: of examples, of families apart.

    Raises:
        LackingError: there is too little to compare. UsageError: `into` holds other answers. ModelError: the model
            can't be tuned.
    """
    table, examples = compared(scores, label)
    plan = plan_of(table, examples, taught, number)
    held, shown = (questions_of(table, examples, rows) for rows in (plan.asked, plan.taught))
    words = [
        (messages_of(one, kind, table, examples, sources, epochs), one.right)
        for one in (*held, *shown)
        for kind in KINDS
    ]
    kept = _Kept(into, {
        "model": model.name, "weights": model.digest if isinstance(model, HeldModel) else "", "label": label,
        "epochs": epochs, "taught": plan.taught.tolist(), "asked": plan.asked.tolist(),
        "datasets": list(table.datasets), "questions": sha256(json.dumps(words).encode()).hexdigest(),
    })  # fmt: skip
    answers: dict[tuple[str, bool], list[float]] = {}
    for kind in kinds:

        def lessons(some: Sequence[Question], *, right: bool, kind: Kind = kind) -> list[Lesson]:
            return [
                Lesson(
                    messages_of(one, kind, table, examples, sources, epochs),
                    one.right if right else one.wrong,
                    one.family,
                )
                for one in some
            ]

        for tuned in (False, True):
            if tuned and kept.lacking(kind, True, held):
                learned = lessons(shown, right=True)
                told(f"{kind}: tuning on {len(learned)} prompts")
                adapter = tune(model, learned, tuning or Tuning(max_length=2048), into / kind, None, 0)
                model.adapt(adapter.folder)
            for some in kept.lacking(kind, tuned, held):
                pairs = zip(
                    model.losses(lessons(some, right=True)), model.losses(lessons(some, right=False)), strict=True
                )
                kept.add(kind, tuned, some, [bad.nll / bad.tokens - good.nll / good.tokens for good, bad in pairs])
                told(f"{kind}, {'tuned' if tuned else 'frozen'}: {kept.count(kind, tuned)} of {len(held)}")
            answers[kind, tuned] = right_of(kept.margins(kind, tuned), plan.asked)
        model.adapt(None)
    return asked_of(model.name, table, examples, plan, answers)


class _Kept:
    """The answers so far, in a file that grows; a line that a kill cut short is dropped."""

    def __init__(self, into: Path, plan: Mapping[str, object]) -> None:
        into.mkdir(parents=True, exist_ok=True)
        self._file = into / "answers.jsonl"
        self._margins: defaultdict[tuple[str, bool], dict[tuple[int, str], float]] = defaultdict(dict)
        try:
            rows = read_rows(self._file)
            known = [((row["kind"], row["tuned"]), (row["example"], row["first"]), row["margin"]) for row in rows[1:]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UsageError(
                f"{self._file} holds a line that is no answer: {error!r}",
                f"name another --out, or put it aside: {aside(into)}",
            ) from None
        if rows and rows[0] != json.loads(json.dumps(plan)):
            raise UsageError(
                f"{into} holds answers of another model, or to other questions",
                f"name another --out, or put it aside: {aside(into)}",
            )
        for asked_as, which, margin in known:
            self._margins[asked_as][which] = margin
        if not rows:
            append_rows(self._file, [plan])

    def lacking(self, kind: str, tuned: bool, questions: Sequence[Question]) -> list[Sequence[Question]]:
        known = self._margins[kind, tuned]
        left = [one for one in questions if (one.number, one.shown[0]) not in known]
        return [left[place : place + _AT_ONCE] for place in range(0, len(left), _AT_ONCE)]

    def add(self, kind: str, tuned: bool, questions: Sequence[Question], margins: Sequence[float]) -> None:
        rows = []
        for one, margin in zip(questions, margins, strict=True):
            self._margins[kind, tuned][one.number, one.shown[0]] = margin
            rows.append({"kind": kind, "tuned": tuned, "example": one.number, "first": one.shown[0], "margin": margin})
        append_rows(self._file, rows)

    def count(self, kind: str, tuned: bool) -> int:
        return len(self._margins[kind, tuned])

    def margins(self, kind: str, tuned: bool) -> dict[int, list[float]]:
        found: defaultdict[int, list[float]] = defaultdict(list)
        for (number, _), margin in self._margins[kind, tuned].items():
            found[number].append(margin)
        return found
