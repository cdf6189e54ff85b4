"""What `deltanas report` costs for a run of many candidates: seconds, peak memory, size of the page.

    python -m benchmarks report [--candidates 10000] [--candidates 2000] [--folder DIR]

The run is made up, but through the real archive: edits of the built-in networks, parents drawn by rank, long lineages,
prompts and replies as long as a model's, refusals. A run that the folder holds is used again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from random import Random

from deltanas.archive import begin_run
from deltanas.program import Program, Refused, Trained
from deltanas.records import Attempt, Call, Candidate, Draft
from deltanas.wiring import builtin_programs

CYCLE = 50
"""Candidates a cycle, as published."""
IMAGES = 10_000
PARENTS = 200
"""Programs that parents are drawn from."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, action="append", help="of the run; may be given again")
    parser.add_argument("--folder", type=Path, default=Path("runs"), help="where the runs are made")
    options = parser.parse_args()
    for count in options.candidates or [2000, 10_000]:
        run = options.folder / f"report-{count}"
        if not run.exists():
            make(run, count)
        sys.stdout.write(json.dumps({"candidates": count, **reported(run)}) + "\n")


def make(path: Path, count: int) -> None:
    """A finished run of `count` candidates, made beside its place and moved there: it is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    manifest: dict[str, object] = {"version": "made up", "config": {"strategy": "delta"}}
    _, run = begin_run(part, None, manifest)
    rng = Random(count)
    with run:
        baselines = [
            _candidate(0, place, program, name, 0.7 + 0.01 * place, rng)
            for place, (name, program) in enumerate(builtin_programs({}).items())
        ]
        run.open(baselines)
        parents, scores = _programs(baselines), {c.draft.program.id: c.score for c in baselines if c.draft}
        for start in range(0, count, CYCLE):
            cycle = []
            for place in range(min(CYCLE, count - start)):
                _, parent = rng.choices(parents, [1 / rank for rank in range(1, len(parents) + 1)])[0]
                program = edited(parent, rng)
                accuracy = min(0.99, max(0.1, (scores[parent.id] or 0.0) + rng.gauss(-0.01, 0.02)))
                candidate = _candidate(1 + start // CYCLE, place, program, "widen a layer", accuracy, rng)
                if program.id in scores:
                    refusal = Refused("novelty", f"this program is known already ({program.id})")
                    attempts = tuple(replace(attempt, refusal=refusal) for attempt in candidate.attempts)
                    candidate = replace(candidate, attempts=attempts, outcome=refusal, trainings=())
                scores.setdefault(program.id, candidate.score)
                cycle.append(candidate)
            run.open(cycle)
            better = [c for c in cycle if c.parent and (c.score or 0.0) > (scores[c.parent] or 0.0)]
            parents = sorted(parents + _programs(better), key=lambda pair: -pair[0])[:PARENTS]
        run.finish()
    part.rename(path)


def _programs(candidates: list[Candidate]) -> list[tuple[float, Program]]:
    """With their accuracies, the best first."""
    known = [(c.score, c.draft.program) for c in candidates if c.draft and c.score is not None]
    return sorted(known, key=lambda pair: -pair[0])


def _candidate(cycle: int, index: int, program: Program, goal: str, accuracy: float, rng: Random) -> Candidate:
    trained = Trained(round(accuracy * IMAGES) / IMAGES, IMAGES, 7, rng.uniform(2, 9), rng.uniform(2, 9), "A")
    call = Call("smollm2", program.net + "\nReply with an edit.", "x" * 300, 1500, 60, 1.0)
    known = (program.id, program.id, True)
    edit = f"<<<<<<< SEARCH\n{program.net[:150]}\n=======\n{program.net[:140]}\n>>>>>>> REPLACE"
    attempt = Attempt(edit, "exact", goal, None, (call,), 0, *known)
    refused = replace(attempt, refusal=Refused("build", "mat1 and mat2 shapes cannot be multiplied"), program=None)
    attempts = (attempt,) if cycle == 0 else (refused, attempt)
    strategy = "baseline" if cycle == 0 else "delta"
    draft = Draft(program, rng.randrange(10**5, 10**7), rng.randrange(10**7, 10**9), program.id)
    return Candidate(cycle, index, strategy, program.parent, draft, attempts, trained, (trained,))


def edited(program: Program, rng: Random) -> Program:
    """Another number in one place, or a line twice."""
    numbers = list(re.finditer(r"\b\d+\b", program.net))
    if rng.random() < 0.8 and numbers:
        place = rng.choice(numbers)
        text = program.net[: place.start()] + str(rng.randrange(1, 512)) + program.net[place.end() :]
    else:
        lines = program.net.split("\n")
        place_of_line = rng.choice([at for at, line in enumerate(lines) if re.match(r"\s+\w+ = [\w.]+\(.*\)$", line)])
        text = "\n".join([*lines[:place_of_line], lines[place_of_line], *lines[place_of_line:]])
    return program.edited("net", text)


def reported(run: Path) -> dict[str, float]:
    """`deltanas report` in a process of its own."""
    start = time.perf_counter()
    command = [str(Path(sys.executable).with_name("deltanas")), "report", str(run)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "page_mb": round((run / "report.html").stat().st_size / 1e6, 2),
    }


if __name__ == "__main__":
    main()
