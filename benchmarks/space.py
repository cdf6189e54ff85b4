"""What uniform draws from the verified space of edits are worth: valid, effective, of which kinds."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.edits import lemur_programs
from deltanas import nets
from deltanas.calibrate import where
from deltanas.cli.output import Json, print_figures, say
from deltanas.config import TrainConfig
from deltanas.intervals import wilson
from deltanas.program import Program, Refused, canonical_source, edits_of
from deltanas.propose import RandomProposer, Space
from deltanas.sandbox import Pool
from deltanas.seams import Ask, Builds, Built, Proposal
from deltanas.wiring import kept_builds, open_shape_pool, program_of

VALID_BAR, EFFECTIVE_BAR, WIDTH_BAR = 0.98, 0.90, 0.20
CLASSIFIERS = tuple(
    """AirNet AirNext AlexNet BagNet BayesianNet-1 BayesianNet-2 BayesianNet-3 ComplexNet ConvNeXt DPN107
    DPN131 DPN68 DarkNet DenseNet Diffuser EfficientNet FractalNet GoogLeNet ICNet InceptionV3-1
    InceptionV3-2 MNASNet MaxVit MobileNetV2 MobileNetV3 RegNet ResNet ShuffleNet SqueezeNet-1
    SqueezeNet-2 SwinTransformer UNet2D VGG VisionTransformer""".split()  # noqa: SIM905
)
"""LEMUR's bases for classification, without the mixtures of experts: those with trials of it in nn-dataset 1.2.6."""
SIDES = (32, 64, 128, 299)
"""LEMUR's networks are built at the first of these heights and widths that they take, with three channels."""
HEAVY_PARAMETERS = 25_000_000
"""Networks beyond these, or that need larger images, are counted apart, with one draw: their checks take seconds."""
TIMEOUT = 60.0
"""Seconds for a check: a machine that does other work too shall not make one fail."""
_PRM = {"lr": 0.01, "momentum": 0.9, "dropout": 0.2, "patch_size": 0.25}
_OTHER = 0.01
_TOGETHER = 4
"""Rounds of one draw a network that are drawn together; the first of them is checked again, without what is kept."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw: its base, the kind of the edit ("" where none was found), and what its program was seen to be.

    Attributes:
        again: whether a second check, which knows nothing of the first, agreed; None where none was made.
    """

    base: str
    kind: str
    valid: bool
    effective: bool
    again: bool | None


@dataclass(frozen=True, slots=True)
class Base:
    """A network that is drawn from; side: height and width of its images, 0 where it was not built at all."""

    name: str
    program: Program
    side: int
    heavy: bool
    edits: int
    why_not: str = ""


class _Watched:
    """Build checks that can be looked up afterwards."""

    def __init__(self, builds: Builds) -> None:
        self.known: dict[str, Built | Refused] = {}
        self.children: dict[str, Program] = {}
        self._builds = builds

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        results = self._builds.build(programs)
        self.known |= {program.net: result for program, result in zip(programs, results, strict=True)}
        self.children |= {program.net: program for program in programs if program.parent}
        return results

    def verdict(self, parent: Program, child: Program) -> tuple[bool, bool]:
        """Valid; and effective."""
        before, after = self.known.get(parent.net), self.known.get(child.net)
        valid = isinstance(after, Built)
        return valid, isinstance(after, Built) and isinstance(before, Built) and after.differs(before)


@dataclass
class Tally:
    """The edits that were looked at, each once: what the space would be worth unverified."""

    seen: dict[str, tuple[bool, bool]] = field(default_factory=dict)

    def count(self, bases: Sequence[Base], watched: _Watched) -> None:
        parents = {base.program.id: base.program for base in bases}
        for net, child in watched.children.items():
            self.seen[net] = watched.verdict(parents[child.parent or ""], child)


@contextmanager
def shape_pools(memory_gb: float = 4.0) -> Iterator[Callable[[tuple[int, int, int]], Pool]]:
    """A pool for each shape (channels, height, width) that is asked for, opened once. memory_gb: GiB of a child."""
    with ExitStack() as stack:

        @cache
        def pool_of(shape: tuple[int, int, int]) -> Pool:
            pool = stack.enter_context(open_shape_pool(shape, 10, TrainConfig(memory_gb=memory_gb)))
            pool.build_timeout = TIMEOUT
            return pool

        yield pool_of


def bench_space(
    lemur: Path | None, *, draws: int, seed: int, out: Path | None, say: Callable[[str], None]
) -> dict[str, object]:
    """About `draws` uniform draws over all bases, the heavy ones apart. `out` holds what is known after each round."""
    began = where()
    with shape_pools() as pools:

        def pool_of(side: int) -> Pool:
            return pools((1, 28, 28) if side == 28 else (3, side, side))

        ours = {name: program_of(source) for name, source in nets.baselines().items()}
        sources = lemur_programs(lemur) if lemur is not None else {}
        theirs = {name: lemur_classifier(sources[name]) for name in (CLASSIFIERS if sources else ())}
        tried = [*_bases(ours, 28, pool_of), *_bases(theirs, SIDES[0], pool_of)]
        bases = [base for base in tried if base.side and not base.heavy]
        rounds = -(-draws // len(bases))
        tally, rows = Tally(), list[Draw]()
        for start in range(0, rounds, _TOGETHER):
            numbers = range(start, min(start + _TOGETHER, rounds))
            for side in sorted({base.side for base in bases}):
                group = [base for base in bases if base.side == side]
                rows += _draws(group, pool_of(side), seed, numbers, tally)
            result = _summary(began, bases, rows, tally)
            say(f"round {numbers[-1] + 1} of {rounds}: {len(rows)} draws; {where()['load']}")
            _keep(out, result)
        apart = [base for base in tried if base not in bases]
        for place, base in enumerate(apart):
            say(f"apart: {base.name}")
            apart[place] = found = base if base.side else _larger(base, pool_of)
            if found.side:
                rows += _draws([found], pool_of(found.side), seed, range(1), Tally())
            result = _summary(began, [*bases, *apart], rows, tally)
            _keep(out, result)
    return result


def lemur_classifier(source: str) -> Program:
    """With the hyperparameters that it says it takes; rates for those that have no common value."""
    stated = re.search(r"def supported_hyperparameters.*?return (.*?)\n", source, re.DOTALL)
    names = re.findall(r"['\"](\w+)['\"]", stated[1]) if stated else []
    return program_of(source, {name: _PRM.get(name, _OTHER) for name in {*names, "lr", "momentum"}})


def _keep(out: Path | None, result: dict[str, object]) -> None:
    if out is not None:
        out.write_text(json.dumps(result, indent=1), encoding="utf-8")


def _bases(programs: Mapping[str, Program], side: int, pool_of: Callable[[int], Pool]) -> list[Base]:
    if not programs:
        return []
    results = pool_of(side).build(list(programs.values()))
    return [_base(*each, side, built) for each, built in zip(programs.items(), results, strict=True)]


def _base(name: str, program: Program, side: int, built: Built | Refused) -> Base:
    edits = len(edits_of(program.net))
    if isinstance(built, Refused):
        return Base(name, program, 0, False, edits, built.reason)
    return Base(name, program, side, built.params > HEAVY_PARAMETERS, edits)


def _larger(base: Base, pool_of: Callable[[int], Pool]) -> Base:
    """The base at the first larger side at which it builds; as it is where it builds at none."""
    for side in SIDES[1:]:
        found = _base(base.name, base.program, side, pool_of(side).build([base.program])[0])
        if found.side:
            return replace(found, heavy=True)
    return base


def _draws(bases: Sequence[Base], pool: Pool, seed: int, numbers: Sequence[int], tally: Tally) -> list[Draw]:
    """One draw of each base in each round; those of the first round are checked again."""
    watched = _Watched(kept_builds(pool))
    slots = [
        (base, Ask(number, 0, 0, f"{seed}:{number}:{base.name}:0", base.program))
        for number in numbers
        for base in bases
    ]
    proposals = RandomProposer(Space(watched)).propose([ask for _, ask in slots])
    drawn = [one.program for one in proposals[: len(bases)] if one.program]
    seconds = _Watched(pool)
    seconds.build([base.program for base in bases] + drawn)
    tally.count(bases, watched)
    return [_judged(base, one, watched, seconds) for (base, _), one in zip(slots, proposals, strict=True)]


def _judged(base: Base, proposal: Proposal, first: _Watched, second: _Watched) -> Draw:
    if proposal.program is None:
        return Draw(base.name, "", False, False, None)
    changed = canonical_source(proposal.program.net) != canonical_source(base.program.net)
    valid, effective = first.verdict(base.program, proposal.program)
    again = second.verdict(base.program, proposal.program) == (valid, effective)
    checked = proposal.program.net in second.known
    return Draw(base.name, proposal.kind, valid and changed, effective, again if checked else None)


def _summary(began: dict[str, object], bases: Sequence[Base], rows: Sequence[Draw], tally: Tally) -> dict[str, object]:
    heavy = {base.name for base in bases if base.heavy}
    light = [row for row in rows if row.base not in heavy]
    second = [row for row in light if row.again is not None]
    shares = [
        _share("valid", [row.valid for row in light], VALID_BAR),
        _share("effective", [row.effective for row in light], EFFECTIVE_BAR),
        _share("change a width with all its places", [row.kind == "width" for row in light], WIDTH_BAR),
        _share("judged alike by a second check", [row.again is True for row in second], None),
        _share("edits looked at: valid", [valid for valid, _ in tally.seen.values()], None),
        _share("edits looked at: effective", [effective for _, effective in tally.seen.values()], None),
    ]
    kinds = Counter(row.kind for row in light)
    found = {row.base for row in rows if row.kind}
    return {
        **began,
        "load_after": where()["load"],
        "draws": len(light),
        "bases": sum(1 for base in bases if base.side and not base.heavy),
        "space_found_for": f"{len(found)} of {len(bases)}",
        "heavy": {base.name: sum(row.base == base.name and row.valid for row in rows) for base in bases if base.heavy},
        "not_built": {base.name: base.why_not for base in bases if not base.side},
        "no_edit_found": sorted({row.base for row in rows if not row.kind}),
        "shares": [share for share in shares if share["n"]],
        "kinds": [
            {
                "kind": kind or "none",
                "draws": n,
                "valid": sum(row.valid for row in light if row.kind == kind),
                "effective": sum(row.effective for row in light if row.kind == kind),
                "share": round(n / len(light), 3),
            }
            for kind, n in kinds.most_common()
        ],
    }


def _share(what: str, held: Sequence[bool], bar: float | None) -> dict[str, object]:
    if not held:
        return {"share": what, "n": 0}
    estimate = wilson(sum(held), len(held))
    low, high = round(estimate.low, 4), round(estimate.high, 4)
    kept = "" if bar is None else estimate.value >= bar
    return {
        "share": what,
        "n": len(held),
        "value": round(estimate.value, 4),
        "low": low,
        "high": high,
        "bar_kept": kept,
    }


def main(
    lemur: Annotated[
        Path | None, typer.Option(help="LEMUR's wheel, or the folder into which pip installed it.", metavar="PATH")
    ] = None,
    draws: Annotated[int, typer.Option(help="Draws over all networks, at least one of each.", min=1)] = 2000,
    seed: Annotated[int, typer.Option(help="The root of all chance.", min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option(help="JSON file that holds what is known after each round.", metavar="FILE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw uniformly from the verified space of edits; count draws that are valid, change the function, change a width.

    They are drawn from the built-in networks, with --lemur from LEMUR's classifiers too. 95 % Wilson intervals.
    """
    print_figures(bench_space(lemur, draws=draws, seed=seed, out=out, say=say), ["shares", "kinds"], as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
