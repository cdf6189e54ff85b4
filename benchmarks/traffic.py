"""Do multiply-adds tell the traffic through an NPU's memory? Uniform edits of the built-in denoisers, by a compiler.

    python -m benchmarks traffic run OUT.jsonl --edits 15 [--target ethos-u85]
    python -m benchmarks traffic table OUT.jsonl

`run` adds a row for each network, so that a run that was stopped goes on where it was: the built-in denoisers but the
teacher, and of each some edits drawn uniformly, with seed 0. Nothing is trained. `table` gives Spearman's correlation
of multiply-adds with bytes over all networks, and over those of one baseline, each family ranked by itself; intervals
by Fisher's z.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from deltanas import nets
from deltanas.config import read_config
from deltanas.errors import EditError
from deltanas.foretold import rank_correlation, told_rho
from deltanas.objective import TRAFFIC
from deltanas.program import Program, Refused
from deltanas.program.spaces import edits_in
from deltanas.sandbox import LocalPool
from deltanas.task import DENOISE
from deltanas.train.data import Dataset, Images
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import program_of
from deltanas.wiring.choosing import measures_of


def networks(edits: int) -> Iterator[tuple[str, Program]]:
    """(baseline, program): each baseline and some of its edits."""
    for name, source in nets.baselines(DENOISE.name).items():
        if name == nets.TEACHER:
            continue
        base = program_of(source)
        yield name, base
        drawn = edits_in(base, ("net",))
        Random(0).shuffle(drawn)
        made: dict[str, Program] = {}
        for edit in drawn:
            try:
                program = edit.apply(base)
            except EditError:
                continue
            made.setdefault(program.id, program)
            if len(made) == edits:
                break
        yield from ((name, program) for program in made.values())


def run(out: Path, edits: int, target: str) -> None:
    done = {row["program"] for row in read_rows(out)}
    pixels = np.zeros((2, 3, 64, 64), np.uint8)
    images = Images(pixels, pixels)
    config = read_config({"task": DENOISE.name, "dataset": "photos", "objectives": "psnr,traffic", "npu": target})
    with ExitStack() as stack:
        pool = stack.enter_context(LocalPool(Dataset("zeros", images, images, images, 0), task=DENOISE, workers=1))
        measure = measures_of(config, pool, stack)[TRAFFIC]
        for name, program in networks(edits):
            if program.id in done:
                continue
            (built,) = pool.build([program])
            row: dict[str, Any] = {"family": name, "program": program.id, "target": target}
            if isinstance(built, Refused):
                row["refused"] = built.reason
            else:
                (found,) = measure([program])
                row |= {"macs": built.flops // 2, "params": built.params, "traffic": found.value, "told": found.detail}
            append_rows(out, [row])


def table(out: Path) -> None:
    rows = [row for row in read_rows(out) if row.get("traffic") is not None]
    families = sorted({row["family"] for row in rows})
    for cost in ("macs", "params"):
        pairs = {
            name: [(float(row[cost]), float(row["traffic"])) for row in rows if row["family"] == name]
            for name in families
        }
        every = [pair for one in pairs.values() for pair in one]
        sys.stdout.write(f"{cost}, all: {told_rho(rank_correlation([every]), len(every))}" + "\n")
        sys.stdout.write(f"{cost}, within a family: {told_rho(rank_correlation(pairs.values()), len(every))}" + "\n")
    for name in families:
        base, *others = (row["traffic"] / 1e6 for row in rows if row["family"] == name)
        sys.stdout.write(
            f"{name}: {base:,.0f} MB, its edits {min(others):,.0f} to {max(others):,.0f} MB ({len(others)})" + "\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("out", type=Path)
    running.add_argument("--edits", type=int, default=15)
    running.add_argument("--target", default="ethos-u85")
    commands.add_parser("table").add_argument("out", type=Path)
    given = parser.parse_args()
    if given.command == "run":
        run(given.out, given.edits, given.target)
    else:
        table(given.out)


if __name__ == "__main__":
    main()
