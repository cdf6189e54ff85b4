"""What a limit of growth takes out of the space of edits, by family, and what the edits that it takes out gain."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Annotated

import typer

from deltanas import intervals, nets
from deltanas.check import Limits
from deltanas.cli.output import Json, print_figures, say
from deltanas.config import TrainConfig
from deltanas.learn.sources import BASELINES, EDITS
from deltanas.program import Program, edits_of
from deltanas.records import Draft
from deltanas.sandbox import Pool
from deltanas.seams import Built
from deltanas.whole import read_rows
from deltanas.wiring import kept_builds, open_shape_pool, program_of

FACTORS = (1.1, 1.25, 1.5, 2.0, 3.0)
USUAL = 1.5
_GAINS = Path(__file__).parent / "gains"


@dataclass(frozen=True, slots=True)
class Sized:
    """An edit that holds, with parameters and FLOPs in times of the baseline's, the larger of the two.

    within: so is its parent. gain: accuracy less the mean of its parent's; None if it was not trained.
    """

    family: str
    kind: str
    times: float
    within: bool
    gain: float | None


def measured(folder: Path) -> Iterator[Sized]:
    """The edits of `python -m benchmarks gains`, of baselines and of their descendants."""
    parents = {row["program"]: row for row in read_rows(folder / BASELINES)}
    roots = {row["baseline"]: row for row in parents.values() if "." not in row["baseline"]}
    for row in read_rows(folder / EDITS):
        if row["params"] is None:
            continue
        parent = parents[row["parent"]]
        family = row["baseline"].partition(".")[0]
        gain = fmean(row["accuracies"]) - fmean(parent["accuracies"]) if row["accuracies"] else None
        times, before = _times(row, roots[family]), _times(parent, roots[family])
        yield Sized(family, row["kind"], times, before <= USUAL, gain)


def _times(row: Mapping[str, float], root: Mapping[str, float]) -> float:
    return max(row["params"] / root["params"], row["flops"] / root["flops"])


@dataclass(frozen=True, slots=True)
class Looked:
    """Edits of a baseline that were verified here: how many, how many hold, by what they would be refused, how long.

    seconds: wall clock of their build checks. refused: number that a limit refuses, by the limit.
    """

    family: str
    params: int
    flops: int
    edits: int
    looked_at: int
    hold: int
    refused: dict[str, int]
    seconds: float


def verified(name: str, pool: Pool, most: int, seed: int) -> Looked:
    """Of a uniform sample of `most` of a baseline's edits those of the architecture, built at the pool's shape."""
    root = program_of(nets.baseline(name))
    space = edits_of(root.net)
    drawn = [edit for edit in Random(f"{seed}:{name}").sample(space, min(most, len(space))) if edit.part == "net"]
    builds = kept_builds(pool)
    (origin,) = builds.build([root])
    assert isinstance(origin, Built), origin
    start = time.perf_counter()
    children: list[Program] = [edit.apply(root) for edit in drawn]
    found = builds.build(children)
    seconds = time.perf_counter() - start
    held = [
        (program, built)
        for program, built in zip(children, found, strict=True)
        if isinstance(built, Built) and built.differs(origin)
    ]
    refused = {}
    for factor in FACTORS:
        limits = Limits(growth=factor)
        limits.remember([Draft(root, origin.params, origin.flops)])
        refused[f"{factor:g}"] = sum(limits.fault(each, built.params, built.flops) is not None for each, built in held)
    return Looked(
        name,
        origin.params,
        origin.flops,
        sum(edit.part == "net" for edit in space),
        len(drawn),
        len(held),
        refused,
        round(seconds, 2),
    )


def shares(edits: Sequence[Sized], factors: Sequence[float] = FACTORS) -> dict[str, object]:
    """Number of edits, and the share that each limit refuses."""
    return {"n": len(edits)} | {
        f"over {factor:g}": round(sum(edit.times > factor for edit in edits) / len(edits), 3) for factor in factors
    }


def gains(edits: Sequence[Sized], factor: float = USUAL) -> list[dict[str, object]]:
    """Mean gain of the edits that the limit refuses and of the others, with 95 % intervals (Student's t)."""
    rows = []
    for name, part in (
        ("within", [edit for edit in edits if edit.times <= factor]),
        ("refused", [edit for edit in edits if edit.times > factor]),
    ):
        known = [edit.gain for edit in part if edit.gain is not None]
        found = intervals.mean(known)
        assert found is not None
        rows.append(
            {
                "edits": name,
                "n": len(known),
                "gain": f"{found.value:+.4f}",
                "95 %": f"{found.low:+.4f}, {found.high:+.4f}",
            }
        )
    return rows


def main(
    most: Annotated[int, typer.Option("--builds", help="Edits of each baseline to verify; 0: none.", min=0)] = 0,
    side: Annotated[int, typer.Option(help="With --builds: height and width of the images.", min=4)] = 8,
    seed: Annotated[int, typer.Option(help="The root of all chance.", min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option(help="JSON lines, one a baseline; those that it holds are not built again.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Count the edits that a limit of growth refuses: of benchmarks/gains, which need no build; and of a sample."""
    edits = list(measured(_GAINS))
    single = [edit for edit in edits if edit.within]
    figures: dict[str, object] = {
        "families": [
            {"family": name, **shares([edit for edit in single if edit.family == name])}
            for name in sorted({edit.family for edit in single})
        ],
        "kinds": [
            {"kind": name, **shares([edit for edit in single if edit.kind == name])}
            for name in sorted({edit.kind for edit in single})
        ],
        "gains": gains(single),
    }
    tables = ["families", "kinds", "gains"]
    if most:
        rows = read_rows(out) if out else []
        with open_shape_pool((1, side, side), 10, TrainConfig()) as pool:
            for name in nets.baselines():
                if name not in {row["family"] for row in rows}:
                    rows.append(asdict(verified(name, pool, most, seed)))
                    say(f"{name}: {rows[-1]}")
                    if out:
                        out.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
        figures["verified"] = rows
        tables.append("verified")
    print_figures(figures, tables, as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
