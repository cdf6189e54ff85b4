"""The demo's search with several seeds: what it hands over, less the best baseline, on the test images.

    python -m benchmarks demo --out DIR [--seeds 10] [--workers N]

Each seed is the search of `make demo` with another seed, in DIR/seed-SEED. A row a seed goes into DIR/demo.jsonl; the
same command goes on, and prints the table.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deltanas.whole import append_rows, read_rows

CONFIG = Path(__file__).parents[1] / "scripts" / "demo.toml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=None)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    table = given.out / "demo.jsonl"
    known = {row["seed"] for row in read_rows(table)}
    for seed in [each for each in range(given.seeds) if each not in known]:
        append_rows(table, [searched(given.out / f"seed-{seed}", seed, given.workers)])
    sys.stdout.write(told(read_rows(table)))


def searched(run: Path, seed: int, workers: int | None) -> dict[str, Any]:
    """Seconds are those of all its processes; too few where it was taken up again."""
    began, used = time.monotonic(), _cpu()
    _deltanas(
        *("search", str(CONFIG), "--seed", str(seed), "--run", str(run), "--quiet"),
        *([] if workers is None else ["--workers", str(workers)]),
    )
    took = {"wall_seconds": round(time.monotonic() - began, 1), "cpu_seconds": round(_cpu() - used, 1)}
    shown = json.loads(_deltanas("runs", "show", str(run), "--json"))
    handed = shown["handed_over"]
    if handed is None or handed["over"] is None:
        raise SystemExit(f"{run}: it hands over no network with a baseline beside it")
    prices = {one["name"]: one["ratio"] for one in handed["prices"]}
    over = {key: handed["over"][key] for key in ("name", "score", "gain", "low", "high", "paired")}
    origin = {key: shown["manifest"][key] for key in ("commit", "dirty", "machine")}
    return {"seed": seed, "score": handed["score"], "n": handed["n"], "over": over, "ratios": prices, **took, **origin}


def told(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "| seed | handed over, % of the test images | best baseline | gain, points | FLOPs | minutes | CPU minutes |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: row["seed"]):
        over = row["over"]
        gain, low, high = (100 * over[key] for key in ("gain", "low", "high"))
        lines.append(
            f"| {row['seed']} | {100 * row['score']:.1f} | {over['name']} {100 * over['score']:.1f} |"
            f" {gain:+.1f} [{low:+.1f}, {high:+.1f}] | {row['ratios']['flops']:.2f}x |"
            f" {row['wall_seconds'] / 60:.1f} | {row['cpu_seconds'] / 60:.1f} |"
        )
    clear = sum(row["over"]["low"] > 0 for row in rows)
    return "\n".join([*lines, "", f"clear of 0: {clear} of {len(rows)}"]) + "\n"


def _cpu() -> float:
    """CPU seconds of the processes that have ended, those that these waited for included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _deltanas(*words: str) -> str:
    command = [str(Path(sys.executable).parent / "deltanas"), *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
