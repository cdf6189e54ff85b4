"""Fuzz the reading of edits for so many seconds: `python -m benchmarks fuzz_edits 600`. Needs hypothesis.

A third of the texts are random strings of the pieces that edits are made of, over a tiny program; a third are edits of
the corpus (`python -m benchmarks edits`), cut up and put together again; a third are pairs of programs to be diffed. An
edit may be refused by an EditError and by nothing else; what it makes differs from its base, consists of lines that the
base or the edit holds, and is the same the second time. A diff leads to the very program that it was made for.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks.edits import corpus
from deltanas.errors import EditError
from deltanas.nets import baselines
from deltanas.program import apply_edit, diff

PIECES = [
    "a", "b", " a", "  a", "\ta", "a ", "", " ", " b", "- a", "+ a", "-a", "+a", "-b", "+b", "a:", "é", "\x00",
    "\x0c", "\u2028", "@@", "@@ -1,2 +1,2 @@", "@@ ... @@", "--- a/x", "+++ b/x", "diff --git a b", "*** Begin Patch",
    "<delta>", "</delta>", "```", "```diff", "  ```diff", "```python", "<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE",
    "------- SEARCH",
    "+++++++ REPLACE", "  <<<<<<< SEARCH", "  =======", "  >>>>>>> REPLACE", "...", "# ...", "+# ...",
    "\\ No newline at end of file",
]  # fmt: skip
ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", ""])
TINY = st.lists(st.tuples(st.sampled_from(["a", "b", " a", "  a", "a ", "", "\ta"]), ENDS), max_size=8)
ROUGH = st.lists(st.tuples(st.sampled_from(PIECES), ENDS), max_size=24)
CASES = [(case.base, case.edit) for case in corpus(baselines(), each=6, seed=0)]
CUTS = st.lists(
    st.tuples(st.sampled_from(["drop", "twice", "swap", "piece", "cut"]), st.integers(0, 10**6)), max_size=6
)


def joined(pieces: list[tuple[str, str]]) -> str:
    return "".join(text + end for text, end in pieces)


def mangled(edit: str, cuts: list[tuple[str, int]]) -> str:
    lines = edit.split("\n")
    for what, number in cuts:
        place = number % len(lines)
        match what:
            case "drop":
                del lines[place]
            case "twice":
                lines.insert(place, lines[place])
            case "swap":
                lines[place], lines[-1 - place] = lines[-1 - place], lines[place]
            case "piece":
                lines.insert(place, PIECES[number % len(PIECES)])
            case _:
                lines[place] = lines[place][: number % (len(lines[place]) + 1)]
        lines = lines or [""]
    return "\n".join(lines)


class Fuzzer:
    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()
        self.slowest = 0.0

    def check(self, base: str, edit: str) -> None:
        began = time.perf_counter()
        try:
            applied = apply_edit(base, edit)
        except EditError:
            self.ends["refused"] += 1
            return
        finally:
            self.slowest = max(self.slowest, time.perf_counter() - began)
        self.ends[applied.rung] += 1
        assert applied.source != base
        assert apply_edit(base, edit) == applied
        there = {line.strip() for line in base.replace("\r\n", "\n").split("\n")}
        assert all(
            not line.strip() or line.strip() in there or line.strip() in edit for line in applied.source.split("\n")
        )

    def invert(self, base: str, edited: str) -> None:
        try:
            edit = diff(base, edited)
        except EditError:
            assert "\r" in base + edited
            self.ends["no diff"] += 1
            return
        assert (apply_edit(base, edit).source if edit else base) == edited
        self.ends["diff"] += 1

    def round(self, number: int) -> None:
        chosen = settings(
            max_examples=2000,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        rough = given(TINY, ROUGH)(lambda base, edit: self.check(joined(base), joined(edit)))
        cut = given(st.sampled_from(CASES), CUTS)(lambda case, cuts: self.check(case[0], mangled(case[1], cuts)))
        inverse = given(TINY, TINY)(lambda base, edited: self.invert(joined(base), joined(edited)))
        for test in (rough, cut, inverse):
            chosen(seed(number)(test))()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=float, help="how long to go on")
    limit, began = parser.parse_args().seconds, time.monotonic()
    fuzzer, rounds = Fuzzer(), 0
    while time.monotonic() - began < limit:
        fuzzer.round(rounds)
        rounds += 1
    seconds = round(time.monotonic() - began)
    texts = sum(fuzzer.ends.values())
    slowest = round(1000 * fuzzer.slowest)
    found = {"seconds": seconds, "texts": texts, "ends": fuzzer.ends, "slowest_ms": slowest}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
