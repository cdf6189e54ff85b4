"""Does tuning make a model write valid edits? Cycles of tuning on measured edits, and proposals after each of them.

    python -m benchmarks cycles --out benchmarks/cycles [--llm smollm2] [--writing free anchored full] [--cycles 3]
    python -m benchmarks cycles --out benchmarks/cycles --report

Families are split once: edits of those that are not held out teach (`benchmarks/gains`; a share of the elites in each
cycle, by the rule "floor" of the presets unless --rule says otherwise), proposals are asked for the held-out ones. An
edit is written as a free diff, as lines put in a place that the grammar holds to (anchored), or as a whole program
(full); a lesson is the same edit, written so. Cycle 0 is the model as it is. Parents, goals and seed are alike in all
cells of a writing, so cycles are compared in pairs. Interrupt it at any moment; the same command goes on.

`cells.jsonl` has a row a cell: how far each proposal came, and how long it was. The adapters and the texts are kept in
--work. --report prints shares with intervals, what each cycle gained over cycle 0, and, of edits against whole
programs, the ratio of valid shares beside the one that a constant chance of error per token predicts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, cast

from benchmarks.propose import STEPS, bench_propose
from benchmarks.table import stamp
from deltanas.config import SearchConfig, read_config
from deltanas.intervals import paired_shares, wilson
from deltanas.learn import tune
from deltanas.learn.corpus import Phrasing, corpus_of
from deltanas.learn.elites import EliteRule, Rule
from deltanas.learn.measured import MeasuredEdit
from deltanas.learn.sources import gains_edits
from deltanas.llm import Tunable
from deltanas.study.validity import validity
from deltanas.whole import append_rows, read_rows
from deltanas.wiring.proposing import model_of, proposer_of

WRITINGS = ("free", "anchored", "full")
HELD = ("coatnet", "fractalnet", "highway", "nin", "shufflenet", "vit")
"""Families that the prompts were not made with either."""
LONGEST = {"free": 192, "anchored": 192, "full": 1_100}
TOLD = ("applied", "valid", "effective", "distinct")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--gains", type=Path, default=Path("benchmarks/gains"))
    parser.add_argument("--work", type=Path, default=Path("runs/cycles"), help="folder of adapters and proposals")
    parser.add_argument("--llm", default="smollm2")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--writing", nargs="*", choices=WRITINGS, default=list(WRITINGS))
    parser.add_argument("--cycles", type=int, default=3, help="number of tunings")
    parser.add_argument("--lessons", type=int, default=128, help="number of elites that a cycle learns from")
    parser.add_argument("-n", type=int, default=96, help="proposals after each cycle")
    parser.add_argument("--rule", choices=("floor", "gain", "quantile"), default="floor")
    parser.add_argument("--batch", type=int, default=16, help="replies decoded at a time")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if not given.report:
        method = {
            "held": HELD,
            "lessons": given.lessons,
            "n": given.n,
            "rule": given.rule,
            "cycles": given.cycles,
            "longest": LONGEST,
        }
        stamp(given.out / "meta.json", method, "")
        for writing in given.writing:
            _line(given, writing)
    report(read_rows(given.out / "cells.jsonl"))


def _line(given: argparse.Namespace, writing: str) -> None:
    """The cycles of one model and one way of writing: proposals, a tuning, proposals, and so on."""
    name = Path(given.llm.rpartition(":")[2]).name
    cells, folder = given.out / "cells.jsonl", given.work / name / writing
    known = {(row["model"], row["writing"], row["cycle"]) for row in read_rows(cells)}
    for cycle in range(given.cycles + 1):
        adapter = folder / f"adapter{cycle}" if cycle else None
        if adapter and not (adapter / "lineage.json").exists():
            _tune(given, writing, cycle, folder)
        if (name, writing, cycle) not in known:
            config = _config(given, writing, adapter)
            found = bench_propose(config, n=given.n, folder=folder / f"cycle{cycle}", say=_say)
            kept = ("reached", "reply_lengths", "steps", "reply_tokens", "tokens_of_code", "seconds", "commit", "load")
            row = {"model": name, "writing": writing, "cycle": cycle, **{key: found[key] for key in kept}}
            append_rows(cells, [row])


def _tune(given: argparse.Namespace, writing: str, cycle: int, folder: Path) -> None:
    """Tune on this cycle's share of the elites, from the adapter of the cycle before."""
    last = folder / f"adapter{cycle - 1}" if cycle > 1 else None
    settings = _config(given, writing, last)
    model = cast("Tunable", model_of(settings))
    phrasing = cast("Phrasing", proposer_of(settings, None, model))
    elites = shared_out(gains_edits(given.gains), given.rule, given.cycles)[cycle - 1]
    lessons = corpus_of(elites[: given.lessons], phrasing, HELD).require().tuning
    _say(f"{writing}, cycle {cycle}: {len(lessons)} lessons of {len(elites)} elites")
    tune(model, lessons, settings.tuning, folder / f"adapter{cycle}", last, cycle, note=_step)


def shared_out(edits: Sequence[MeasuredEdit], rule: Rule, cycles: int) -> list[list[MeasuredEdit]]:
    """The elites of the families that teach, dealt out to the cycles by chance: each edit to one of them."""
    elites = EliteRule(rule=rule).chosen([edit for edit in edits if edit.family not in HELD])
    Random("cycles").shuffle(elites)
    return [elites[start::cycles] for start in range(cycles)]


def _config(given: argparse.Namespace, writing: str, adapter: Path | None) -> SearchConfig:
    model = {
        "spec": given.llm,
        "dtype": given.dtype,
        "max_tokens": LONGEST[writing],
        "batch": given.batch,
        "adapter": str(adapter) if adapter else None,
    }
    if writing != "full":
        model["decoding"] = writing
    return read_config(
        {
            "strategy": "full" if writing == "full" else "delta",
            "dataset": "fashion-mnist",
            "baselines": list(HELD),
            "model": {key: value for key, value in model.items() if value is not None},
            "train": {"size": 1000, "epochs": 1, "workers": 1},
        }
    )


def report(rows: Sequence[dict[str, Any]]) -> None:
    """Tables in Markdown."""
    lines = ["| model | writing | cycle | n | " + " | ".join(TOLD) + " | valid over cycle 0 | reply / code, seconds |"]
    lines.append("|" + " --- |" * (len(TOLD) + 6))
    for (model, writing), cells in _by_line(rows).items():
        first = cells[0]["reached"]
        for row in cells:
            made = {step["step"]: step["n"] for step in row["steps"]}
            shares = [_per_cent(wilson(made[step], len(first))) for step in TOLD]
            gained = _per_cent(_gained(first, row["reached"]), "+.1f") if row["cycle"] else ""
            cost = f"{row['tokens_of_code'] or float('nan'):.2f}, {row['seconds']:.1f}"
            told = " | ".join((model, writing, str(row["cycle"]), str(len(first)), *shares, gained, cost))
            lines.append(f"| {told} |")
    sys.stdout.write("\n".join([*lines, "", *_beside_theory(rows)]) + "\n")


def _by_line(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    lines: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["cycle"]):
        lines.setdefault((row["model"], row["writing"]), []).append(row)
    return lines


def _valid(steps: Sequence[str]) -> list[bool]:
    return [STEPS.index(step) >= STEPS.index("valid") for step in steps]


def _gained(before: Sequence[str], after: Sequence[str]) -> Any:
    pairs = list(zip(_valid(before), _valid(after), strict=True))
    return paired_shares(pairs.count((False, True)), pairs.count((True, False)), len(pairs))


def _per_cent(share: Any, form: str = ".1f") -> str:
    value, low, high = (f"{100 * one:{form}}" for one in (share.value, share.low, share.high))
    return f"{value} [{low}, {high}]"


def _beside_theory(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Of each model and cycle, the words of the diagnostic of validity over all ways of writing."""
    told = []
    for model, cycle in sorted({(row["model"], row["cycle"]) for row in rows}):
        cells = [row for row in rows if (row["model"], row["cycle"]) == (model, cycle)]
        if len(cells) > 1:
            names = [row["writing"] for row in cells for _ in row["reached"]]
            lengths = [max(length, 1) for row in cells for length in row["reply_lengths"]]
            found = validity(names, lengths, [float(good) for row in cells for good in _valid(row["reached"])])
            told.append(f"- {model}, cycle {cycle}: {found.verdict}")
    return told


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _step(step: int, steps: int, loss: float) -> None:
    _say(f"step {step} of {steps}, loss {loss:.3f}")


if __name__ == "__main__":
    main()
