"""The novelty gate: repeats are refused, whether repeated in text or only in function, and near copies where set."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from deltanas.novelty.neighbours import Neighbours
from deltanas.program import Program, Refused, Stage, acting, unshown
from deltanas.program.shingles import fingerprints
from deltanas.program.transforms import read_transform
from deltanas.records import Draft
from deltanas.seams import Gate

NO_OP = "the edit has no effect: with equal weights the outputs are the parent's, before and after training steps"
NOTHING = "the transform does nothing to images of this data set"


class NoveltyGate(Gate):
    """Refuses a program that the run holds already, one that trains as another does, and one too like another.

    Two programs are the same if their canonical sources and hyperparameters are equal, or if they trace to the same
    operations on the same shapes with the same optimizer, and their transforms give equal bytes. A transform whose
    operations do nothing is refused; one that lists none is not. An edit after which other operations give the parent's
    outputs, such as a second ReLU after a first, is a no-op (`Draft.effective`). Below a `threshold` of 1 a program is
    compared with all that the run holds, its parent too: the Jaccard index of its shingles (`program.shingles`) with
    each of them must be below it. Programs that share their network are compared by their transforms.
    """

    stage: Stage = "novelty"

    def __init__(self, threshold: float = 1.0) -> None:
        self._identities: set[str] = set()
        self._traces: dict[tuple[str, str], tuple[str, str]] = {}  # to the program's identity and transform
        self._similar = Neighbours(threshold) if threshold < 1 else None
        self._threshold = threshold

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        return [self._judge(draft) for draft in drafts]

    def remember(self, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            if draft.program.id not in self._identities:
                self._identities.add(draft.program.id)
                if self._similar is not None:
                    for found in fingerprints(draft.program):
                        self._similar.add(draft.program.id, self._similar.sketched(found))
            if draft.trace is not None:
                known = draft.program.id, draft.program.transform
                self._traces.setdefault(_key(draft, draft.trace), known)

    def _judge(self, draft: Draft) -> Draft | Refused:
        program = draft.program
        if program.id in self._identities:
            return Refused("novelty", f"this program is known already ({program.id}); propose another change")
        if draft.trace is not None and (reason := _idle(program, draft.trace) or self._twin(draft, draft.trace)):
            return Refused("novelty", reason)
        if draft.effective is False:
            return Refused("novelty", f"{NO_OP}; change what the network computes")
        return self._near_copy(draft) or draft

    def _twin(self, draft: Draft, trace: str) -> str:
        """What is said of a program that trains as one that the run holds; "" for any other."""
        program = draft.program
        identity, transform = self._traces.get(_key(draft, trace), ("", ""))
        if not identity:
            return ""
        of = "its parent" if identity == program.parent else f"program {identity}"
        if transform != program.transform:
            return f"the transform does to images what that of {of} does; change what it does"
        return f"the network computes the same as {of}; change what it computes"

    def _near_copy(self, draft: Draft) -> Refused | None:
        if self._similar is None:
            return None
        sketches = map(self._similar.sketched, fingerprints(draft.program))
        found = [near for sketch in sketches for near in self._similar.like(sketch)]
        if not found:
            return None
        nearest, index = max(found, key=itemgetter(1))
        of = "its parent" if nearest == draft.program.parent else "program"
        return Refused(
            "novelty",
            f"too like {of} {nearest}: Jaccard index {index:.3f} of their shingles, {self._threshold:g} or more is"
            " refused; change more",
        )


def _key(draft: Draft, trace: str) -> tuple[str, str]:
    """The trace tells how network and transform act, and how those hyperparameters do that the network reads.

    Programs that differ in something else train differently.
    """
    return trace, draft.program.besides("net", "transform", "prm") + unshown(draft.program.prm)


def _idle(program: Program, trace: str) -> str:
    """What is said of a transform whose operations do nothing; "" for any other."""
    idle = program.transform and not acting(trace) and read_transform(program.transform)
    return f"{NOTHING}: the program trains as it does without one; change what it does" if idle else ""
