"""Sixty real candidates that do nothing, told to a referee: is one of them ever called better?

    python -m benchmarks referee_nothing [--edits idle|mirrored] [--dataset NAME] [--train-size N] [--baseline NAME]
        [--count N] [--run FOLDER]

`idle`: seeds, names of variables, comments, dead functions, layers that nothing uses, and numbers that are drawn for
nothing, so that the weights begin elsewhere. `mirrored`: pictures are mirrored, turned or negated, and outputs negated
or given to the classes in another order. No gate can know that such a network is worth as much as its parent: its
weights are drawn evenly around 0 and its trainings scatter as the parent's do, but each goes another way. All are
settled, as with `deltanas tell --settle`. Beside the verdicts: how many scored higher than the champion, and would have
been kept. The same command goes on where it was.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from deltanas.archive import POINTER
from deltanas.askers import champion_of
from deltanas.journal import Journal
from deltanas.program import Refused
from deltanas.records import RunView
from deltanas.seams import silent
from deltanas.wiring import open_referee, open_search

CYCLE = 10
"""Number of slots in a cycle."""


def seeded(source: str, number: int) -> str:
    return source.replace("super().__init__()", f"super().__init__()\n        torch.manual_seed({number})", 1)


def commented(source: str, number: int) -> str:
    return source.replace("class Net", f"# Try {number}: surely better.\nclass Net", 1)


def renamed(source: str, number: int) -> str:
    return re.sub(r"\binputs\b", f"inputs{number}", source)


def with_dead_code(source: str, number: int) -> str:
    return f"{source}\n\ndef helper{number}(x):\n    return x * {number}\n"


def with_idle_layer(source: str, number: int) -> str:
    idle = f"super().__init__()\n        self.idle = nn.Linear({number + 1}, 3)"
    return source.replace("super().__init__()", idle, 1)


def with_other_chance(source: str, number: int) -> str:
    return source.replace("super().__init__()", f"super().__init__()\n        torch.rand({number + 1})", 1)


MIRRORS = ("x = x.flip(3)", "x = x.flip(2)", "x = x.transpose(2, 3)", "x = -x")
"""What is done to the pictures."""
OUTPUTS = ("x = -x", "x = x.flip(1)")
"""What is done to the outputs."""


def mirrored(source: str, number: int) -> str:
    """One of 63 ways: each of `MIRRORS` and of `OUTPUTS` is in it or not. number: below 63."""
    head, forward, body = source.rpartition("    def forward(self, x: torch.Tensor) -> torch.Tensor:\n")
    chosen = [bool((number + 1) >> place & 1) for place in range(len(MIRRORS) + len(OUTPUTS))]
    before = [line for line, one in zip(MIRRORS, chosen, strict=False) if one]
    after = [line for line, one in zip(OUTPUTS, chosen[len(MIRRORS) :], strict=True) if one]
    computed, end, rest = body.partition("        return x\n")
    assert forward
    assert end
    return f"{head}{forward}{_lines(before)}{computed}{_lines(after)}{end}{rest}"


def _lines(statements: list[str]) -> str:
    return "".join(f"        {each}\n" for each in statements)


IDLE: tuple[Callable[[str, int], str], ...] = (
    seeded,
    commented,
    renamed,
    with_dead_code,
    with_idle_layer,
    with_other_chance,
)
EDITS = {"idle": IDLE, "mirrored": (mirrored,)}


def table(view: RunView, edits: Sequence[Callable[[str, int], str]]) -> str:
    """Verdicts by kind of edit, and what keeping the higher score would have done."""
    journal = Journal(view.candidates)
    champion = champion_of(journal, view.duels)
    rows: dict[str, Counter[str]] = {made.__name__: Counter() for made in edits}
    for row in (row for row in view.candidates if row.cycle):
        kind = edits[((row.cycle - 1) * CYCLE + row.index) % len(edits)].__name__
        gain = journal.gain(row)
        same = isinstance(row.outcome, Refused) and row.outcome.stage == "novelty"
        rows[kind]["told"] += 1
        rows[kind]["same" if same else "trained" if row.score is not None else "else"] += 1
        rows[kind]["scored higher"] += gain is not None and gain > 0
    better = sum(duel.verdict == "better" for duel in view.duels)
    columns = ("told", "same", "trained", "else", "scored higher")
    lines = [f"{'':20}" + "".join(f"{name:>15}" for name in columns)]
    lines += [f"{kind:20}" + "".join(f"{found[name]:15}" for name in columns) for kind, found in rows.items()]
    pairs = sum(len(duel.pairs) for duel in view.duels)
    lines.append(f"tests {len(view.duels)}, pairs {pairs}, called better {better}; champion: {champion.label}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", choices=tuple(EDITS), default="idle")
    parser.add_argument("--dataset", default="fashion-mnist")
    parser.add_argument("--train-size", type=int, default=4000)
    parser.add_argument("--baseline", default="convmixer")
    parser.add_argument("--count", type=int, default=60, help="number of candidates, a multiple of 10")
    parser.add_argument("--run", type=Path, default=Path("runs/referee-nothing"))
    given = parser.parse_args()
    edits = EDITS[given.edits]
    if not (given.run / POINTER).exists():
        settings = {
            "dataset": given.dataset,
            "strategy": "outside",
            "baselines": (given.baseline,),
            "cycles": given.count // CYCLE,
            "candidates": CYCLE,
            "train": {"size": given.train_size, "epochs": 1},
            "outside": {"control": 0.0, "lease": 60.0},
        }
        with open_search(settings, given.run, silent) as opened:
            assert opened.search is not None
            opened.search.run()
    with open_referee(given.run) as referee:
        while (asked := referee.ask("nothing")).slot:
            cycle, index = map(int, asked.slot.split(".")[:2])
            number = (cycle - 1) * CYCLE + index
            made = edits[number % len(edits)]
            found = referee.tell(asked.slot, program=made(str(asked.source), number), settle=True)
            sys.stderr.write(f"{number} {made.__name__}: {found.verdict} ({found.reason})\n")
        with referee.reading() as run:
            sys.stdout.write(table(run.view(), edits))


if __name__ == "__main__":
    main()
