"""What packing saves: seconds and memory of a training step, with what prompts share worked out once and without.

    python -m benchmarks tuning --out FILE.jsonl [--model smollm2] [--lessons 8] [--turns 3] [--baselines mlp vgg]

A step takes so many lessons about one baseline: drawn simple edits of it, asked for as level `typed` asks. Each turn
times both ways on the same lessons, in an order that changes from turn to turn, and writes a line for each. Interrupt
it at any moment; the same command goes on with the turns that are missing. `--count` trains nothing: it counts tokens.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any, cast

from deltanas import nets
from deltanas.learn import Packing, Tuning, tune
from deltanas.llm import Lesson, open_model
from deltanas.llm.local import LocalModel
from deltanas.llm.packing import Row, packs
from deltanas.program import edits_of
from deltanas.propose.grammar import written
from deltanas.propose.prompt import render
from deltanas.whole import append_rows, read_rows

WAYS: tuple[Packing, Packing] = ("prefix", "none")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--lessons", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--baselines", nargs="*", default=sorted(nets.baselines()))
    parser.add_argument("--count", action="store_true")
    given = parser.parse_args()
    if given.count:
        _count(cast("LocalModel", open_model(given.model)), given.baselines, given.lessons, given.turns)
        return
    done = read_rows(given.out)
    model = cast("LocalModel", open_model(given.model))
    for turn in range(given.turns):
        for baseline in given.baselines:
            lessons = _lessons(baseline, given.lessons, turn)
            for way in WAYS[:: 1 if turn % 2 else -1]:
                about = {"model": given.model, "baseline": baseline, "lessons": len(lessons), "turn": turn, "way": way}
                if not any(about.items() <= line.items() for line in done):
                    line = about | _step(model, lessons, way)
                    done.append(line)
                    append_rows(given.out, [line])
                    sys.stderr.write(f"{line}\n")
    _tell([line for line in done if line["model"] == given.model and line["lessons"] == given.lessons])


def _lessons(baseline: str, count: int, turn: int) -> list[Lesson]:
    source = nets.baseline(baseline)
    edits = Random(f"tuning:{baseline}:{turn}").sample(edits_of(source), count)
    goals = [f"Change the {edit.kind}." for edit in edits]
    prompts = [render("typed", source=source, earlier="", facts=[], goal=goal) for goal in goals]
    return [Lesson(prompt, written(edit), baseline) for prompt, edit in zip(prompts, edits, strict=True)]


def _step(model: LocalModel, lessons: list[Lesson], way: Packing) -> dict[str, Any]:
    """One training step: seconds, CPU seconds (with the adapter put on and off), tokens, highest resident MiB, loss."""
    rows = [model.row(lesson.messages, lesson.completion) for lesson in lessons]
    settings = Tuning(packing=way, batch=len(lessons), together=len(lessons), steps=1)
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on (Linux)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        tuned = tune(model, lessons, settings, Path(folder) / "new", None, seed=0)
    cpu = time.process_time() - start
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    spent = {"seconds": tuned.seconds, "cpu": cpu, "tokens": _tokens(rows)[way], "peak_mib": int(peak.split()[1]) >> 10}
    return spent | {"loss": tuned.losses[0]}


def _count(model: LocalModel, baselines: list[str], count: int, turns: int) -> None:
    ratios = []
    for baseline in baselines:
        for turn in range(turns):
            lessons = _lessons(baseline, count, turn)
            tokens = _tokens([model.row(lesson.messages, lesson.completion) for lesson in lessons])
            ratios.append(tokens["none"] / tokens["prefix"])
    told = {"steps": len(ratios), "ratio": statistics.median(ratios), "from": min(ratios), "to": max(ratios)}
    sys.stdout.write(json.dumps(told, indent=2) + "\n")


def _tokens(rows: list[Row]) -> dict[Packing, int]:
    """How many tokens go through the model, either way."""
    trees = [[rows[place].tokens for place in pack] for pack in packs(rows, batch=len(rows))]
    shared = sum(len({row[:end] for row in tree for end in range(1, len(row) + 1)}) for tree in trees)
    return {"prefix": shared, "none": sum(len(row.tokens) for row in rows)}


def _tell(lines: list[dict[str, Any]]) -> None:
    """Medians over the pairs of both ways, as JSON."""
    by_pair: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for line in lines:
        by_pair.setdefault((line["baseline"], line["turn"]), {})[line["way"]] = line
    pairs = [pair for pair in by_pair.values() if len(pair) == len(WAYS)]
    if not pairs:
        return
    told: dict[str, Any] = {"pairs": len(pairs)}
    for what in ("seconds", "cpu", "tokens", "peak_mib"):
        ratios = [pair["none"][what] / pair["prefix"][what] for pair in pairs]
        told[what] = {way: statistics.median(pair[way][what] for pair in pairs) for way in WAYS}
        told[what] |= {"ratio": round(statistics.median(ratios), 2), "from": min(ratios), "to": max(ratios)}
    told["largest difference in loss"] = max(abs(pair["none"]["loss"] - pair["prefix"]["loss"]) for pair in pairs)
    sys.stdout.write(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
