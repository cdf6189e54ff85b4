"""What a table of augmentation policies says: its noise, its best, searches replayed on it, finals, other tables.

    python -m benchmarks policy_report benchmarks/policies/resnet-500x20.jsonl [--replays 1000] [--beside TABLE ...]

Reads what `python -m benchmarks policies` wrote, and its finals where they are; nothing is trained. Only seeds with
which all policies were trained count. Writes `resnet-500x20-report.json` beside the table. `--beside` names tables of
other networks or lengths: is the order of the policies the same there, and does it help a search here?
Replays: trainings until one of the best 1 % is met, by mean over "all seeds", or over the "other seeds" that the
search does not see; `worth` is what the pick after so many trainings gains over no transform with the other seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from benchmarks.augmentation.finals import compared
from benchmarks.augmentation.own import (
    BUDGET,
    Table,
    Told,
    arms,
    boards,
    given_by,
    given_effects,
    looked_for,
    read_own,
    worth,
)
from benchmarks.augmentation.replay import counted, spread, times_fewer
from benchmarks.augmentation.spread import against_none, best, chosen_by_others, noise, tables_beside, trust
from deltanas.task import CLASSIFY
from deltanas.whole import read_rows, write_whole

BUDGETS = (10, BUDGET)
RELEASED = Path(__file__).parent / "augmentation" / "known.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--replays", type=int, default=1_000)
    parser.add_argument("--beside", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    table = read_own(given.table)
    others = [(path.stem, read_own(path)) for path in given.beside]
    found: dict[str, Any] = {
        "policies": len(table.names), "seeds": len(table.seeds), "failed": table.failed,
        "trainings": len(read_rows(given.table)), "failures": _failures(given.table),
        "mean": float(table.scores.mean()),
    }  # fmt: skip
    if len(table.seeds) > 1:
        found |= {
            "noise": noise(table), "trust": trust(table), "against_none": against_none(table), "best": best(table),
            "chosen_by_other_seeds": chosen_by_others(table), "beside": tables_beside(table, others),
        }  # fmt: skip
    found["replays"] = {
        "enumerated": _replays(table.enumerated, others, given.replays),
        "with automatic ones": _replays(table, others, given.replays),
    }
    finals = given.table.with_name(f"{given.table.stem}-finals.jsonl")
    if finals.exists():
        purposes = json.loads(finals.with_suffix(".json").read_text("utf-8"))["finalists"]
        found["finals"] = compared(CLASSIFY, read_rows(finals), purposes)
    out = given.table.with_name(f"{given.table.stem}-report.json")
    write_whole(out, json.dumps(found, indent=1) + "\n")
    sys.stdout.write(f"{out}\n")


def _failures(path: Path) -> int:
    return sum(row["score"] is None for row in read_rows(path))


def _replays(table: Table, others: Sequence[tuple[str, Table]], replays: int) -> dict[str, Any]:
    effects = json.loads(RELEASED.read_text("utf-8"))["additive"]["effects"]
    given = {"the released table": given_effects(effects, table)}
    given |= {name: given_by(other, table) for name, other in others}
    known = arms(table, given)
    tellings: tuple[Told, ...] = get_args(Told) if len(table.seeds) > 1 else ("all seeds",)
    found: dict[str, Any] = {"policies": len(table.names), "looked_for": looked_for(table)}
    for told in tellings:
        start, seen = time.monotonic(), boards(table, told)
        counts = {name: counted(seen, arm, name, replays) for name, arm in known.items()}
        found[told] = {name: {**spread(some), **times_fewer(counts["random"], some)} for name, some in counts.items()}
        sys.stderr.write(f"{len(table.names)} policies, {told}: {time.monotonic() - start:.0f} s\n")
    if len(table.seeds) > 1:
        seen = boards(table, "all seeds")
        found["worth"] = {name: worth(table, seen, arm, name, replays, BUDGETS) for name, arm in known.items()}
    return found


if __name__ == "__main__":
    main()
