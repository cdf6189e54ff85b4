"""Rows of every kind for an archive, and statements behind its back."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from deltanas.archive.place import place_of
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.records import Attempt, Call, Candidate, Draft

MANIFEST: dict[str, object] = {"version": "0.1.0", "seed": 7, "dirty": False, "config": {"a": [1, None, 0.1, "\x00é"]}}
BASE = Program.of("class Net:\n    width = 1\n", prm='{"lr": 0.01}')
CHILD = BASE.edited("net", "class Net:\n    width = 2\n")
OTHER = BASE.edited("transform", "import torch\n")
CALL = Call("smollm2", "Edit é", "<<<\n", 12, 3, 0.1, estimated=True)
NO_EDIT = Attempt("I can't", None, "widen", Refused("apply", "no edit in the reply"), (CALL, replace(CALL, reply="")))
APPLIED = Attempt("a\n=======\nb", "exact", "widen", None, (CALL,))
TRAINED = Trained(0.8125, 1000, 2**62, 1.5, 1.25, "A", epochs=9, cached=True)
FAILED = Failed("timeout", "over 30 s", 30.1, 29.9, "B", epochs=3)
CANDIDATES = [
    Candidate(0, 0, "baseline", None, Draft(BASE, 10, 20, "t0"), outcome=TRAINED),
    Candidate(1, 0, "delta", BASE.id, Draft(CHILD, 2**40, None, None), (NO_EDIT, APPLIED)),
    Candidate(1, 1, "delta", BASE.id, None, (NO_EDIT,), Refused("apply", "no edit in the reply")),
    Candidate(1, 2, "random", CHILD.id, Draft(OTHER), (replace(APPLIED, calls=()),), FAILED),
    Candidate(1, 10, "random", BASE.id, Draft(CHILD, 1, 2, "t"), (), Refused("novelty", "equals (1, 0)")),
]


ATTEMPTS = st.lists(
    st.builds(
        Attempt,
        edit=st.text("ab\r\n\t'\"\\%:\u2028\U0001f600\x01\ufeff"),
        rung=st.none() | st.text("a"),
        goal=st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
        refusal=st.none() | st.builds(Refused, st.sampled_from(["apply", "build"]), st.text("\n%é")),
        calls=st.lists(
            st.builds(
                Call,
                st.text("m"),
                st.text("p\n"),
                st.text("r\r"),
                st.integers(0, 2**62),
                st.integers(0, 9),
                st.floats(0, allow_infinity=False),
            ),
            max_size=3,
        ).map(tuple),
    ),
    max_size=3,
).map(tuple)


def sql(url: str, statement: str) -> object:
    """Runs a statement behind the archive's back; the first value that it gives."""
    with place_of(url).engine(write=True).begin() as connection:
        result = connection.exec_driver_sql(statement)
        return result.scalars().first() if result.returns_rows else None
