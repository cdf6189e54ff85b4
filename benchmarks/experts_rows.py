"""The trainings and checks behind `python -m benchmarks experts`: what each row is, and who makes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.table import Row
from deltanas import nets
from deltanas.archive import read_folder
from deltanas.program import Program, Refused, Trained, assumed, prm_text
from deltanas.program.assembly import Expert, assembled, unfit
from deltanas.program.heads import Head, Loss
from deltanas.propose.quartets import Groups
from deltanas.sandbox import Exported, LocalPool, Pool
from deltanas.search import training_seed
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import program_of

HEADS = {
    "gate, own": Head("gate", "own"),
    "gate, joint": Head("gate", "joint"),
    "mean, own": Head("mean", "own"),
    "mean, joint": Head("mean", "joint"),
    "random gate, own": Head("gate", "own", balance=0.0, rate=0.0),
}
_WIDTH = re.compile(r"^(\s+width = )(\d+)$", re.MULTILINE)
_FACTORS = (1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0)
_AT_ONCE, _FEW = 16, 4


@dataclass(frozen=True)
class Base:
    """A program that may be an expert."""

    name: str
    program: Program

    @property
    def expert(self) -> Expert:
        return Expert(self.name, self.program.net, self.program.hyperparameters)


def built_in() -> list[Base]:
    return [Base(name, program_of(source)) for name, source in nets.baselines().items()]


def of_lemur(run: Path) -> list[Base]:
    """The networks of an imported run that the published pool was drawn from, each with its best trial's values."""
    with read_folder(run).open() as opened:
        names = [
            name for name in opened.trials.identities() if name[:1].isupper() and not re.search(r"-[0-9a-f]{8}", name)
        ]
        sources = opened.trials.sources([name for name in names if "MoE" not in name])
        best: dict[str, Any] = {}
        for trial in opened.trials.trials(dataset="cifar-10", epoch=1):
            known = best.get(trial.experiment.program)
            if known is None or trial.accuracy > known.accuracy:
                best[trial.experiment.program] = trial
    found = []
    for name, source in sorted(sources.items()):
        if name in best:
            values = {**nets.DEFAULT_PRM, **best[name].prm}
            found.append(Base(name, Program.of(source, prm=prm_text({**assumed(source, values), **values}))))
    return found


def quartets(bases: Sequence[Base], count: int, key: str) -> list[tuple[Base, ...]]:
    groups = Groups(len(bases), 4, lambda place: Random(f"{key}:{place}"))
    drawn = [groups.at(place) for place in range(count)]
    return [tuple(bases[place] for place in group) for group in drawn if group]


def mixture(quartet: Sequence[Base], head: Head) -> Program:
    return program_of(assembled([base.expert for base in quartet], head))


def checked(pool: Pool, path: Path, source: str, bases: Sequence[Base], count: int) -> list[Base]:
    """A row for each base checked alone, for each that stands in a file of four, and for each mixture."""
    alone = _rows(path, source=source, what="alone")
    todo = [base for base in bases if base.name not in alone]
    for begin in range(0, len(todo), _FEW):
        _alone(pool, path, source, todo[begin : begin + _FEW])
    alone = _rows(path, source=source, what="alone")
    fit = [base for base in bases if not alone[base.name]["reason"]]
    _exact(pool, path, source, fit, alone)
    done = _rows(path, source=source, what="mixture")
    left = [one for one in quartets(fit, count, f"valid:{source}") if _named(one) not in done]
    for begin in range(0, len(left), _AT_ONCE):
        some = left[begin : begin + _AT_ONCE]
        built_some = pool.build([mixture(one, Head()) for one in some])
        append_rows(path, [
            {"source": source, "what": "mixture", "name": _named(one),
             "reason": built.reason if isinstance(built, Refused) else ""}
            for one, built in zip(some, built_some, strict=True)
        ])  # fmt: skip
    return fit


def _alone(pool: Pool, path: Path, source: str, bases: Sequence[Base]) -> None:
    for base, built in zip(bases, pool.build([base.program for base in bases]), strict=True):
        fault = unfit(base.name, base.program.net)
        reason = fault.message if fault else built.reason if isinstance(built, Refused) else ""
        told = {} if isinstance(built, Refused) else {"trace": built.trace, "probe": list(built.probe)}
        append_rows(path, [{"source": source, "what": "alone", "name": base.name, "reason": reason, **told}])


def _exact(pool: Pool, path: Path, source: str, fit: Sequence[Base], alone: Mapping[str, Row]) -> None:
    """Does each expert, taken out of a file of four by its name, compute what its base does, digit for digit?"""
    done = _rows(path, source=source, what="exact")
    for place, base in enumerate(fit):
        if base.name in done or len(fit) < 4:
            continue
        group = [fit[(place + step) % len(fit)] for step in range(4)]
        text = assembled([one.expert for one in group])
        (number,) = re.findall(rf"^# Expert (\d+): {re.escape(base.name)}$", text, re.MULTILINE)
        (built,) = pool.build([Program.of(f"{text}\n\nNet = Net_{number}\n", prm=base.program.prm)])
        wanted = alone[base.name]
        same = (
            not isinstance(built, Refused) and built.trace == wanted["trace"] and list(built.probe) == wanted["probe"]
        )
        append_rows(path, [{"source": source, "what": "exact", "name": base.name, "reason": "" if same else "differs"}])


def trained(pool: Pool, path: Path, count: int, seeds: int) -> None:
    """All trainings of the comparison, seed by seed; what is known stays."""
    bases = built_in()
    drawn = quartets(bases, count, "worth")
    for seed in range(seeds):
        _train(pool, path, seed, [("single", (base,), base.program, 1) for base in bases])
        _train(pool, path, seed, [(what, one, mixture(one, head), 1) for what, head in HEADS.items() for one in drawn])
    rows = read_rows(path)
    cost = fmean(_float(row["cpu"]) for row in rows if row["what"] == "gate, own" and row["score"] is not None)
    begun = {row["name"]: int(_float(row["epochs"])) for row in rows if row["what"] == "single, equal seconds"}
    epochs = {base.name: begun.get(base.name) or max(1, round(cost / fmean(_cpus(rows, base.name)))) for base in bases}
    best = {one: max(one, key=lambda base: fmean(_scores(rows, base.name))) for one in drawn}
    wide = {one: widened(pool, best[one], mixture(one, HEADS["gate, own"])) for one in drawn}
    for seed in range(seeds):
        _train(
            pool, path, seed, [("single, equal seconds", (base,), base.program, epochs[base.name]) for base in bases]
        )
        _train(pool, path, seed, [("widened", one, wide[one], 1) for one in drawn])
        _train(pool, path, seed, [
            ("four seeds of the best", one, mixture([best[one]] * 4, HEADS["mean, own"]), 1) for one in drawn
        ])  # fmt: skip


def tested(pool: Pool, path: Path, fresh: int) -> None:
    """On the test images, with fresh seeds: the three best mixtures and the three best singles at equal seconds."""
    rows = read_rows(path)
    bases = {base.name: base for base in built_in()}
    for what in ("gate, own", "single, equal seconds"):
        means: dict[str, list[float]] = {}
        for row in rows:
            if row["what"] == what and row["score"] is not None:
                means.setdefault(str(row["name"]), []).append(_float(row["score"]))
        epochs = {row["name"]: int(_float(row["epochs"])) for row in rows if row["what"] == what}
        for name in sorted(means, key=lambda name: -fmean(means[name]))[:3]:
            some = tuple(bases[one] for one in name.split(" + "))
            program = some[0].program if len(some) == 1 else mixture(some, HEADS[what])
            for seed in range(1000, 1000 + fresh):
                _train(pool, path, seed, [(f"test: {what}", some, program, epochs[name])], test=True)


def widened(pool: Pool, base: Base, to: Program) -> Program:
    """The base with as many parameters as a mixture, as near as its width allows."""
    widths = [base.program.edited("net", _wider(base.program.net, by)) for by in _FACTORS]
    target, *built = pool.build([to, *widths])
    assert not isinstance(target, Refused)
    near = [(abs(one.params - target.params), program.id, program)
            for one, program in zip(built, widths, strict=True) if not isinstance(one, Refused)]  # fmt: skip
    return min(near)[2]


def _wider(source: str, by: float) -> str:
    return _WIDTH.sub(lambda found: f"{found[1]}{4 * round(int(found[2]) * by / 4)}", source)


def collapsed(pool: LocalPool, path: Path, starts: int) -> None:
    """Gates that begin with nearly all of the images at one expert, with the loss for balance and without it."""
    arms: list[tuple[Loss, float]] = [(loss, by) for loss in ("own", "joint") for by in (Head().balance, 0.0)]
    for place, one in enumerate(quartets(built_in(), starts, "collapse")):
        for loss, balance in arms:
            if _named(one) not in _rows(path, loss=loss, balance=balance):
                use = _use(pool, mixture(one, Head(loss=loss, balance=balance)), place)
                row: Row = {"loss": loss, "balance": balance, "name": _named(one), "expert": place % 4, "use": use}
                append_rows(path, [row])


def _use(pool: LocalPool, program: Program, place: int) -> list[float] | None:
    """The mean shares at the end of a training that begins with a collapsed gate; None where it failed."""
    bias = [9.0 if other == place % 4 else 0.0 for other in range(4)]
    mark = "        self.temperature ="
    begun = (
        "        nn.init.zeros_(self.look[-1].weight)\n"
        f"        self.look[-1].bias = nn.Parameter(torch.tensor({bias}))\n"
    )
    assert program.net.count(mark) == 1
    text = program.net.replace(mark, begun + mark)
    ((_, found),) = pool.export([Program.of(text, prm=program.prm)], seed=training_seed(place))
    for weight in found.weights if isinstance(found, Exported) else ():
        if weight.name == "gate.use":
            shares: list[float] = np.frombuffer(weight.data, "<f4").reshape(2, 4)[0].tolist()
            return shares
    return None


def _train(
    pool: Pool, path: Path, seed: int, wanted: Sequence[tuple[str, Sequence[Base], Program, int]], *, test: bool = False
) -> None:
    done = {(row["what"], row["name"], row["seed"]) for row in read_rows(path)}
    left = [one for one in wanted if (one[0], _named(one[1]), seed) not in done]
    for epochs in sorted({one[3] for one in left}):
        some = [one for one in left if one[3] == epochs]
        outcomes = pool.train(
            [program for _, _, program, _ in some], seed=training_seed(seed), split="test" if test else "validation",
            epochs=epochs,
        )  # fmt: skip
        for place, outcome in outcomes:
            what, names, _, _ = some[place]
            score, reason = (outcome.score, "") if isinstance(outcome, Trained) else (None, outcome.reason)
            row: Row = {"what": what, "name": _named(names), "seed": seed, "epochs": epochs}
            append_rows(path, [{**row, "cpu": round(outcome.cpu_seconds, 3), "score": score, "reason": reason}])


def _named(quartet: Sequence[Base]) -> str:
    return " + ".join(sorted(base.name for base in quartet))


def _rows(path: Path, **having: object) -> dict[str, Row]:
    rows: Iterator[Row] = (
        row for row in read_rows(path) if all(row.get(key) == value for key, value in having.items())
    )
    return {str(row["name"]): row for row in rows}


def _float(value: object) -> float:
    return float(str(value))


def _cpus(rows: Sequence[Row], name: str) -> list[float]:
    return [_float(row["cpu"]) for row in rows if row["what"] == "single" and row["name"] == name]


def _scores(rows: Sequence[Row], name: str) -> list[float]:
    scored = [row for row in rows if row["what"] == "single" and row["name"] == name and row["score"] is not None]
    return [_float(row["score"]) for row in scored] or [0.0]
