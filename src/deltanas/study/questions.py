"""What a language model is asked of suitability, in five kinds that differ in what they tell, and what it answered."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

import numpy as np

from deltanas.errors import UsageError
from deltanas.llm.model import Message
from deltanas.program.net_class import net_class
from deltanas.study.estimate import Integers, LackingError
from deltanas.study.predictors import Fold, majority, right
from deltanas.study.standing import Examples, Label, Table
from deltanas.study.suitability import PUBLISHED, Figure, figure

Kind = Literal["code", "metadata", "names", "leaked", "nonsense"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ENOUGH_FAMILIES = 10
LEAKED = 0.98
"""Share that a model has to have after it was tuned on prompts that hold both standings, or the harness is broken."""
_LONGEST = 2_400
"""Characters of code in a prompt: the constructor and the forward pass, half of each."""
METADATA = {
    "celeba-gender": (162_770, 178, 3, 2),
    "cifar-10": (50_000, 32, 3, 10),
    "cifar-100": (50_000, 32, 3, 100),
    "imagenette": (9_469, 320, 3, 10),
    "mnist": (60_000, 28, 1, 10),
    "places365": (1_803_460, 256, 3, 365),
    "svhn": (73_257, 32, 3, 10),
}
"""Training images, side, channels and classes of LEMUR's data sets."""


@dataclass(frozen=True, slots=True)
class Question:
    """An example as it is asked, with the names in one order.

    number: of the example. shown: the two names in this order. right: the one that is the answer.
    """

    number: int
    family: str
    shown: tuple[str, str]
    right: str

    @property
    def wrong(self) -> str:
        return self.shown[0] if self.shown[1] == self.right else self.shown[1]


@dataclass(frozen=True, eq=False)
class Plan:
    """Which examples are taught and which are asked, by their rows: of families apart."""

    taught: Integers
    asked: Integers


@dataclass(frozen=True, slots=True)
class OfKind:
    """What a model answered to one kind of prompt, before and after it was tuned on it: shares of right answers."""

    kind: str
    frozen: Figure
    tuned: Figure


@dataclass(frozen=True, slots=True)
class Asked:
    """A language model's answers on held-out families.

    code_less_names: tuned on code, less tuned on the names alone, paired. sound: the leaked standings are read.
    """

    model: str
    taught: int
    families: int
    majority: Figure
    kinds: tuple[OfKind, ...]
    code_less_names: Figure | None
    sound: bool | None


def kinds_of(names: Sequence[str]) -> tuple[Kind, ...]:
    """The kinds that are named; all, if none are. Raises UsageError for a name that is none."""
    if unknown := [name for name in names if name not in KINDS]:
        raise UsageError(f"there is no kind of prompt {unknown[0]!r}", f"known: {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if not names or kind in names)


def plan_of(table: Table, examples: Examples, taught: int, asked: int, seed: int = 0) -> Plan:
    """Families are dealt out: some are asked, `ENOUGH_FAMILIES` or more and `asked` examples if there are so many, the
    others taught.

    Raises LackingError where there are so few families that half of them have no spread.
    """
    rng = Random(f"{seed}:suitability")
    names = sorted(set(table.families[examples.program].tolist()))
    if len(names) < 4:
        raise LackingError(
            f"a language model is asked about half of the families, and there are {len(names)}; four are the least",
            "leave --llm out, or take trials of more families",
        )
    rng.shuffle(names)
    held: set[str] = set()
    families = table.families[examples.program]
    for name in names:
        enough = np.isin(families, sorted(held)).sum() >= asked and len(held) >= ENOUGH_FAMILIES
        if enough or len(held) >= max(1, len(names) // 2):
            break
        held.add(name)
    inside = np.isin(families, sorted(held))
    return Plan(_some(np.flatnonzero(~inside), taught, rng), _some(np.flatnonzero(inside), asked, rng))


def _some(rows: Integers, count: int, rng: Random) -> Integers:
    return np.array(sorted(rng.sample(rows.tolist(), min(count, len(rows)))), int)


def questions_of(table: Table, examples: Examples, rows: Integers) -> list[Question]:
    """Each example twice, with the names in both orders."""
    found = []
    for row in rows.tolist():
        names = table.datasets[examples.first[row]], table.datasets[examples.second[row]]
        right = names[0] if examples.higher[row] else names[1]
        family = str(table.families[examples.program[row]])
        found += [Question(row, family, shown, right) for shown in (names, names[::-1])]
    return found


def messages_of(
    question: Question, kind: Kind, table: Table, examples: Examples, sources: Mapping[str, str], epochs: int
) -> tuple[Message, ...]:
    """The prompt. Nonsense is the code with its words in disorder; metadata and leaked hold the code too."""
    one, other = question.shown
    program = table.programs[examples.program[question.number]]
    lines = []
    if kind != "names":
        lines += ["A network:", _code(sources[program], shuffled=program if kind == "nonsense" else ""), ""]
    lines.append(f"It was trained for {epochs} epoch{'s' if epochs > 1 else ''} on {one} and on {other}.")
    if kind == "metadata":
        lines += [_described(name) for name in question.shown if name in METADATA]
    if kind == "leaked":
        place = examples.program[question.number]
        for name in question.shown:
            lines.append(f"It stands at {examples.standing[place, table.datasets.index(name)]:.3f} on {name}.")
    lines.append(
        "A standing compares it with the other networks on the same data set. On which of the two does it stand higher?"
        f" Answer with the name alone: {one} or {other}."
    )
    return (Message("user", "\n".join(lines)),)


def _described(name: str) -> str:
    images, side, channels, classes = METADATA[name]
    return f"{name}: {images:,} training images of {side} x {side} x {channels}, {classes} classes."


def _code(source: str, shuffled: str = "") -> str:
    """Constructor and forward pass of the network; of a text that has none, its begin. shuffled: a seed, if not ""."""
    try:
        found = net_class(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = None
    methods = [] if found is None else [node for node in found.body if isinstance(node, ast.FunctionDef)]
    parts = [ast.unparse(one)[: _LONGEST // 2] for one in methods if one.name in ("__init__", "forward")]
    text = "\n".join(parts) or source[:_LONGEST]
    if shuffled:
        words = text.split()
        Random(shuffled).shuffle(words)
        text = " ".join(words)
    return text


def right_of(margins: Mapping[int, Sequence[float]], asked: Integers) -> list[float]:
    """1, 0 or one half for each example. margins: by example, nats a token of the right name over the wrong, one for
    each order of the names; their mean counts.
    """
    means = [float(np.mean(margins[row])) for row in asked.tolist()]
    return [0.5 if mean == 0 else float(mean > 0) for mean in means]


def asked_of(
    model: str, table: Table, examples: Examples, plan: Plan, answers: Mapping[tuple[str, bool], Sequence[float]]
) -> Asked:
    """answers: 1, 0 or one half for each asked example, by kind of prompt and whether the model was tuned."""
    families = table.families[examples.program[plan.asked]]
    chances = majority(examples, Fold(plan.taught, plan.asked), np.zeros((0, 0)))
    named = right(chances, 0.5, examples.higher[plan.asked])
    kinds = [kind for kind in KINDS if (kind, True) in answers]
    made = {key: np.array(those, float) for key, those in answers.items()}
    both = ("code", True) in made and ("names", True) in made
    leaked = made.get(("leaked", True))
    return Asked(
        model=model,
        taught=len(plan.taught),
        families=len(set(families.tolist())),
        majority=figure(named, families),
        kinds=tuple(OfKind(k, figure(made[k, False], families), figure(made[k, True], families)) for k in kinds),
        code_less_names=figure(made["code", True] - made["names", True], families) if both else None,
        sound=None if leaked is None else bool(leaked.mean() >= LEAKED),
    )


def asked_described(found: Asked, label: Label) -> str:
    """In words: the majority of the same examples, and what code adds to names; by `relative` the published figure."""
    published = f" (published: {PUBLISHED:.2f})" if label == "relative" else ""
    lines = [
        f"{found.model}: {found.majority.n} examples of {found.families} held-out families, both orders of the names;"
        f" tuned on {found.taught} examples of other families.",
        f"    {found.majority:.3f}  the more frequent answer of each pair, on the same examples{published}",
    ]
    for one in found.kinds:
        lines.append(f"    {one.frozen:.3f} frozen, {one.tuned:.3f} tuned  {one.kind}")
    if found.code_less_names:
        lines.append(f"    {found.code_less_names:+.3f}  tuned on code, less tuned on names alone")
    if found.sound is False:
        lines.append(f"    The leaked standings are read in under {LEAKED:.0%}: these answers can't be trusted.")
    return "\n".join(lines)
