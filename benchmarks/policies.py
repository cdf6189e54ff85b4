"""Train one network under every small augmentation policy: a table on which searches can be replayed.

    python -m benchmarks policies --out benchmarks/policies [--network resnet] [--size 500] [--epochs 20] [--minutes M]
    python -m benchmarks policies --out benchmarks/policies --again 20      train drawn rows again: equal digits?
    python -m benchmarks policies --out benchmarks/policies --finals 8      the searches' picks, on the test images
    python -m benchmarks policies --out benchmarks/policies --network vgg --policies 60 --seeds 2    a part of them

A short training can't show that augmentation helps, so the images are few and the epochs many. The policies are: none,
the usual ones (flip, crop and flip, TrivialAugment, RandAugment at three strengths), every operation that does
something to these images at three strengths, and all ordered pairs of operations at middle strength. Each is trained
with the same seeds, one seed after the other over all policies, in an order of its own: a prefix of the file is a fair
sample of a table. Scores are of the validation split. Interrupt it at any moment; the same command goes on.
`NETWORK-SIZExEPOCHS.jsonl` has a row a training; `.json` beside it says how they were measured. `--policies` trains the
usual ones and some that are drawn, so many in all. `--finals` trains what each search picks on the whole table (the
first replay, after 50 trainings) beside the usual ones, with so many seeds that the table has not, and scores them on
the test images, into `NETWORK-SIZExEPOCHS-finals.jsonl`; with `--again` beside it rows of that table are trained again.
`policy_report` says what all this shows.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import permutations
from pathlib import Path
from random import Random

from benchmarks.augmentation.finals import finalists, kept
from benchmarks.augmentation.own import AUTOMATIC, read_own
from benchmarks.table import Row, stamp
from deltanas import nets
from deltanas.config import TrainConfig
from deltanas.errors import SandboxError, UsageError
from deltanas.program import Failed, Program, Trained
from deltanas.program.transforms import MENU, Step, transform_text
from deltanas.sandbox import Pool
from deltanas.sandbox.supervise import STARVED
from deltanas.seams import Runner, Split
from deltanas.search import training_seed
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import open_dataset_pool, program_of

DATASET = "fashion-mnist"
STRENGTHS = ("weak", "middle", "strong")


@dataclass(frozen=True)
class Policy:
    """kind: "usual", "single" or "pair"."""

    name: str
    kind: str
    steps: tuple[Step, ...]

    @property
    def text(self) -> str:
        return transform_text(self.steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--network", default="resnet")
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no training after so many")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--policies", type=int, default=0, help="number of policies; 0 takes all")
    parser.add_argument("--again", type=int, default=0, help="number of drawn rows to train again")
    parser.add_argument("--finals", type=int, default=0, help="number of new seeds for what the searches pick")
    given = parser.parse_args()
    own = given.out / f"{given.network}-{given.size}x{given.epochs}.jsonl"
    table = own.with_name(f"{own.stem}-finals.jsonl") if given.finals else own
    if given.again and not read_rows(table):
        raise UsageError(f"{table} holds no row to train again", "the same command without --again makes some")
    given.out.mkdir(parents=True, exist_ok=True)
    config = TrainConfig(
        size=given.size,
        validation_size="all",
        workers=given.workers,
        threads=1,
        timeout=600,
        epochs=given.epochs,
        average=0,
    )
    with open_dataset_pool(DATASET, config) as pool:
        method: Row = {
            "dataset": DATASET, "network": given.network, "train_size": given.size, "epochs": given.epochs,
            "prm": nets.DEFAULT_PRM, "data": pool.dataset.record, "torch": metadata.version("torch"),
        }  # fmt: skip
        chosen = some_of(policies(pool.dataset.train.x.shape[1]), given.policies)
        deadline = time.monotonic() + 60 * given.minutes
        split: Split = "test" if given.finals else "validation"
        if given.finals:
            wanted = finalists(read_own(own))
            method |= {"split": split, "finalists": wanted}
            chosen = [policy for policy in chosen if policy.name in wanted]
        else:
            method |= {"policies": [policy.name for policy in chosen]}
        seeds = [training_seed(0, split, repeat) for repeat in range(given.finals or given.seeds)]
        stamp(table.with_suffix(".json"), method, pool.tier)
        if given.again:
            again(read_rows(table), given.network, given.again, pool, split)
            return
        _fill(table, chosen, given.network, seeds, pool, split, deadline)


def _fill(
    table: Path, chosen: Sequence[Policy], network: str, seeds: Sequence[int], pool: Pool, split: Split, deadline: float
) -> None:
    for number, row in enumerate(_trained(chosen, network, seeds, read_rows(table), pool, split), 1):
        append_rows(table, [row])
        if number % 25 == 0:
            sys.stderr.write(f"{len(read_rows(table))} of {len(chosen) * len(seeds)} trainings\n")
        if time.monotonic() > deadline:
            return


def some_of(every: Sequence[Policy], count: int) -> list[Policy]:
    """The usual ones and some that are drawn, so many in all, in the order of the table; 0 takes all."""
    if not 0 < count < len(every):
        return list(every)
    usual, others = ([policy for policy in every if (policy.kind == "usual") is side] for side in (True, False))
    drawn = {*usual, *Random(0).sample(others, max(0, count - len(usual)))}
    return [policy for policy in every if policy in drawn]


def policies(channels: int) -> list[Policy]:
    """Of the menu's operations that do something to images with so many channels."""
    known = [one for one in MENU.values() if one.name not in AUTOMATIC and (channels > 1 or one.singles)]
    usual = [
        Policy("none", "usual", ()),
        Policy("flip", "usual", (_plain("RandomHorizontalFlip"),)),
        Policy("crop+flip", "usual", (_plain("RandomCrop"), _plain("RandomHorizontalFlip"))),
        Policy("TrivialAugment", "usual", (_plain("TrivialAugmentWide"),)),
        *(Policy(f"RandAugment {name}", "usual", (_at("RandAugment", name),)) for name in STRENGTHS),
    ]
    singles = [Policy(f"{one.name} {name}", "single", (_at(one.name, name),)) for one in known for name in STRENGTHS]
    pairs = [
        Policy(f"{one.name} > {two.name}", "pair", (_at(one.name, "middle"), _at(two.name, "middle")))
        for one, two in permutations(known, 2)
    ]
    kept: dict[tuple[Step, ...], Policy] = {}
    for policy in (*usual, *singles, *pairs):
        kept.setdefault(policy.steps, policy)
    return list(kept.values())


def _plain(name: str) -> Step:
    return Step(name, tuple(one.default for one in MENU[name].parameters))


def _at(name: str, strength: str) -> Step:
    return Step(name, MENU[name].at(STRENGTHS.index(strength)))


def _trained(
    chosen: Sequence[Policy], network: str, seeds: Sequence[int], known: Sequence[Row], pool: Pool, split: Split
) -> Iterator[Row]:
    """The trainings that the table lacks."""
    settled = {(row["transform"], row["seed"]) for row in known}
    for seed in seeds:
        order = [policy for policy in chosen if (policy.text, seed) not in settled]
        Random(seed).shuffle(order)
        programs = [_program(network, policy.text) for policy in order]
        for number, outcome in pool.train(programs, seed=seed, split=split):
            policy = order[number]
            yield {
                "policy": policy.name,
                "kind": policy.kind,
                "seed": seed,
                **_outcome(outcome),
                **_images(outcome, split),
                "transform": policy.text,
            }


def _program(network: str, transform: str) -> Program:
    return program_of(nets.baseline(network)).edited("transform", transform)


def _outcome(outcome: Trained | Failed) -> Row:
    """Raises SandboxError where the machine, and not the policy, is at fault."""
    if isinstance(outcome, Failed) and STARVED in outcome.reason:
        raise SandboxError(outcome.reason, "make room; the same command goes on")
    return {
        "score": outcome.score if isinstance(outcome, Trained) else None,
        "failure": outcome.reason if isinstance(outcome, Failed) else None,
        "cpu_seconds": round(outcome.cpu_seconds, 3),
    }


def _images(outcome: Trained | Failed, split: Split) -> Row:
    """What is compared image by image: the test images alone, as a table of all would be a large file."""
    if split == "validation":
        return {}
    if isinstance(outcome, Failed):
        return {"n": 0, "per_image": None}
    return {"n": outcome.n, "per_image": kept(outcome)}


def again(rows: Sequence[Row], network: str, number: int, pool: Runner, split: Split) -> None:
    """Train drawn rows again. Raises UsageError where one is not what its training gives now, a failure too."""
    drawn = Random(0).sample(rows, min(number, len(rows)))
    for row in drawn:
        program = _program(network, str(row["transform"]))
        [(_, outcome)] = pool.train([program], seed=int(str(row["seed"])), split=split)
        now = {**_outcome(outcome), **_images(outcome, split)}
        for name in now.keys() - {"cpu_seconds"}:
            if now[name] != row[name]:
                of = f"{row['policy']} with seed {row['seed']}"
                raise UsageError(f"{of}: {name} was {row[name]!s:.200}, and is {now[name]!s:.200} now")
    sys.stdout.write(f"{len(drawn)} of {len(drawn)} rows give equal digits\n")


if __name__ == "__main__":
    main()
