"""A corpus of networks with other widths, drawn by chance, each checked in the sandbox: the control of `channels`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from benchmarks.edits import lemur_programs
from benchmarks.space import CLASSIFIERS, HEAVY_PARAMETERS, SIDES, lemur_classifier, shape_pools
from deltanas import nets
from deltanas.calibrate import where
from deltanas.check import ContractGate
from deltanas.cli.output import Json, print_figures, say
from deltanas.errors import UsageError
from deltanas.intervals import wilson
from deltanas.program import Program, Refused
from deltanas.propose.widths import Survey, surveys
from deltanas.records import Draft
from deltanas.seams import Builds, Built
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import kept_builds, program_of

BAR = 0.99
"""Share of the mutants that must be what was asked."""
_OURS = 28
"""Height and width of the images of the built-in networks, of one channel; LEMUR's have three."""
_RARELY = 10
"""A network of many parameters, or of large images, gets a mutant in every so many rounds."""
_TOGETHER = 16
"""Mutants that are built and written together."""
_TRIES = 200
"""Draws in which a vector that was not drawn before must come."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A line of the corpus.

    Attributes:
        base: name of the network. shape: of its images, (channels, height, width). program: identity of the mutant.
        had, asked, found: widths by name: of the base, as drawn, and as read off what was built.
        edit: SEARCH/REPLACE blocks that make it of its base.
        verified: it fulfils the contract, builds, trains two steps and has exactly the widths that were asked; `why`
            says what it lacks.
    """

    base: str
    shape: tuple[int, int, int]
    program: str
    had: dict[str, int]
    asked: dict[str, int]
    found: dict[str, int | None]
    edit: str
    params: int | None
    flops: int | None
    verified: bool
    why: str


@dataclass(frozen=True, eq=False)
class _Base:
    name: str
    shape: tuple[int, int, int]
    families: tuple[Survey, ...]

    @property
    def heavy(self) -> bool:
        return self.families[0].built.params > HEAVY_PARAMETERS or self.shape[1] > SIDES[0]


@dataclass(frozen=True, eq=False)
class _Draw:
    base: _Base
    survey: Survey
    vector: dict[str, int]


def write_mutants(
    lemur: Path | None, out: Path, *, mutants: int, seed: int, nets_only: Sequence[str], say: Callable[[str], None]
) -> dict[str, object]:
    """Write `mutants` lines to `out`, a `Mutant` each; what is there already is kept, and gone on from.

    lemur: nn-dataset's wheel or folder, whose classifiers are mutated too. nets_only: names of networks; all if empty.

    Raises UsageError where `out` holds something else than these settings write.
    """
    began = where()
    with shape_pools() as pools:

        def builds(shape: tuple[int, int, int]) -> Builds:
            return kept_builds(pools(shape))

        bases, without = _bases(lemur, nets_only, builds, say)
        if not bases:
            raise UsageError("no network has widths that are free to change", f"looked at: {', '.join(without)}")
        draws = islice(_draws(bases, seed), mutants)
        done = _resumed(out, draws)
        while batch := list(islice(draws, _TOGETHER)):
            made = _mutants(batch, builds)
            append_rows(out, [asdict(one) for one in made])
            done += made
            say(f"{len(done)} of {mutants}: {sum(one.verified for one in done)} verified; {where()['load']}")
    return {**began, "load_after": where()["load"], **_summary(done, bases, without)}


def _bases(
    lemur: Path | None,
    only: Sequence[str],
    builds: Callable[[tuple[int, int, int]], Builds],
    say: Callable[[str], None],
) -> tuple[list[_Base], dict[str, str]]:
    """The networks that have free widths, and why the others have none."""
    sources = lemur_programs(lemur) if lemur is not None else {}
    ours = {name: program_of(source) for name, source in nets.baselines().items()}
    theirs = {f"lemur:{name}": lemur_classifier(sources[name]) for name in CLASSIFIERS if name in sources}
    known = {**ours, **theirs}
    if unknown := set(only) - known.keys():
        raise UsageError(f"no network {', '.join(sorted(unknown))}", f"known: {', '.join(known)}")
    absent = [f"lemur:{name}" for name in CLASSIFIERS if lemur is not None and name not in sources]
    bases, without = [], dict.fromkeys(absent, "it is not in there")
    for name, program in known.items():
        if not only or name in only:
            shapes = [(1, _OURS, _OURS)] if name in ours else [(3, side, side) for side in SIDES]
            found = _surveyed(program, shapes, builds)
            if isinstance(found, str):
                without[name] = found
            else:
                bases.append(_Base(name, *found))
            say(f"{name}: {found if isinstance(found, str) else _told(found[1])}")
    return bases, without


def _surveyed(
    program: Program, shapes: Sequence[tuple[int, int, int]], builds: Callable[[tuple[int, int, int]], Builds]
) -> tuple[tuple[int, int, int], tuple[Survey, ...]] | str:
    """The first of the shapes that the network takes, with its free widths; or why there are none."""
    reason = ""
    for shape in shapes:
        (built,) = builds(shape).build([program])
        if isinstance(built, Refused):
            reason = reason or built.reason
            continue
        (families,) = surveys([program], builds(shape))
        return (shape, families) if families else "no free width was found"
    return f"it does not build: {reason}"


def _told(families: Sequence[Survey]) -> str:
    return ", ".join(f"{len(survey.axes)} widths with {survey.size:,} vectors" for survey in families)


def _draws(bases: Sequence[_Base], seed: int) -> Iterator[_Draw]:
    """Round after round a vector of each base, none twice, until all bases have run out of them."""
    used: set[tuple[int, int, tuple[int, ...]]] = set()
    for number in count():
        found = False
        for place, base in enumerate(bases):
            if base.heavy and number % _RARELY:
                found = True  # its turn comes
                continue
            rng = Random(f"{seed}:{number}:{base.name}")
            for _ in range(_TRIES):
                family = rng.randrange(len(base.families))
                survey = base.families[family]
                vector = survey.drawn(rng)
                key = (place, family, tuple(vector.values()))
                if key not in used and survey.edit(vector) is not None:
                    used.add(key)
                    found = True
                    yield _Draw(base, survey, vector)
                    break
        if not found:
            return


def _resumed(out: Path, draws: Iterator[_Draw]) -> list[Mutant]:
    """The mutants that `out` holds; `draws` goes on behind them."""
    done = []
    for number, fields in enumerate(read_rows(out), 1):
        draw = next(draws, None)
        try:
            done.append(Mutant(**{**fields, "shape": tuple(fields["shape"])}))
        except (TypeError, KeyError):
            raise UsageError(f"{out}: line {number} is no mutant", "name another --out") from None
        if draw is None or (draw.base.name, draw.vector) != (done[-1].base, done[-1].asked):
            raise UsageError(
                f"{out} was begun with other settings: line {number} is another mutant",
                "give --seed, --lemur, --net and --mutants as then, or name another --out",
            )
    return done


def _mutants(batch: Sequence[_Draw], builds: Callable[[tuple[int, int, int]], Builds]) -> list[Mutant]:
    programs = {draw: program for draw in batch if (program := draw.survey.made(draw.vector))}
    faults = dict(zip(programs, ContractGate().judge([Draft(one) for one in programs.values()]), strict=True))
    results: dict[_Draw, Built | Refused] = {}
    for shape in dict.fromkeys(draw.base.shape for draw in batch):
        group = [draw for draw in batch if draw.base.shape == shape]
        results.update(zip(group, builds(shape).build([programs[draw] for draw in group]), strict=True))
    found = []
    for draw in batch:
        built, survey, fault = results[draw], draw.survey, faults[draw]
        if isinstance(fault, Refused):
            why = fault.reason
        else:
            why = built.reason if isinstance(built, Refused) else survey.fault(draw.vector, built)
        edit = survey.edit(draw.vector)
        found.append(
            Mutant(
                base=draw.base.name,
                shape=draw.base.shape,
                program=programs[draw].id,
                had=survey.value,
                asked=draw.vector,
                found={} if isinstance(built, Refused) else survey.found(built),
                edit=edit.text if edit else "",
                params=None if isinstance(built, Refused) else built.params,
                flops=None if isinstance(built, Refused) else built.flops,
                verified=not why,
                why=why,
            )
        )
    return found


def _summary(done: Sequence[Mutant], bases: Sequence[_Base], without: dict[str, str]) -> dict[str, object]:
    share = wilson(sum(one.verified for one in done), len(done))
    total, good = Counter(one.base for one in done), Counter(one.base for one in done if one.verified)
    return {
        "mutants": len(done),
        "verified": sum(one.verified for one in done),
        "share": round(share.value, 4),
        "low": round(share.low, 4),
        "high": round(share.high, 4),
        "bar_kept": share.value >= BAR,
        "heavy": [base.name for base in bases if base.heavy],
        "without": without,
        "bases": [
            {
                "base": base.name,
                "shape": "x".join(map(str, base.shape)),
                "widths": "/".join(str(len(survey.axes)) for survey in base.families),
                "mutants": total[base.name],
                "verified": good[base.name],
            }
            for base in bases
        ],
    }


def main(
    out: Annotated[
        Path, typer.Option(help="JSON lines, a mutant each; what is there is gone on from.", metavar="FILE")
    ],
    lemur: Annotated[
        Path | None, typer.Option(help="LEMUR's wheel, or the folder into which pip installed it.", metavar="PATH")
    ] = None,
    mutants: Annotated[int, typer.Option(help="Lines that the file shall have.", min=1)] = 5000,
    net: Annotated[list[str] | None, typer.Option(help="Name of a network; may be repeated. All if not given.")] = None,
    seed: Annotated[int, typer.Option(help="The root of all chance.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Draw vectors of widths and write the networks they make, each checked in the sandbox.

    Checked are the contract, the build, two training steps, and that what was built has exactly the widths asked for.
    """
    result = write_mutants(lemur, out, mutants=mutants, seed=seed, nets_only=net or (), say=say)
    print_figures(result, ["bases"], as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
