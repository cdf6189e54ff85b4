"""A run that is filled from outside, with a scripted runner: a text names its level, and the seed gives the noise."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import sleep

from deltanas.archive import RunFolder, begin_run, read_folder
from deltanas.errors import UsageError
from deltanas.novelty import NoveltyGate, SeedGate
from deltanas.plan import Plan
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.propose import OutsideSettings, Told
from deltanas.propose.outside import best_baseline
from deltanas.referee import Bench, Referee, Rules
from deltanas.seams import Built, Proposer, Split, silent
from deltanas.search import Search
from deltanas.task import CLASSIFY

NOISE = 0.01
IMAGES = 1000
BASELINES = {"a": Program.of(net="level = 500\n"), "b": Program.of(net="level = 400\n")}
"""Levels in thousandths; `a` is the champion at the start."""


@dataclass
class Levels:
    """Scores a program by the level that its text names, and noise by its identity and the seed.

    failing: programs whose text holds this fail. pause: seconds that a training takes.
    """

    failing: str = "crash"
    pause: float = 0.0
    trained: list[tuple[str, int]] = field(default_factory=list)
    tier: str = "C"

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        raise AssertionError("no gate here builds")

    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
    ) -> Iterator[tuple[int, Trained | Failed]]:
        for place, program in enumerate(programs):
            sleep(self.pause)
            self.trained.append((program.id, seed))
            yield place, self.outcome(program, seed)

    def outcome(self, program: Program, seed: int) -> Trained | Failed:
        levels = re.findall(r"level = (\d+)", program.net)
        if self.failing in program.net or not levels:
            return Failed("error", "scripted", 0.1, 0.1, self.tier)
        level = int(levels[-1]) / 1000
        noise = Random(hashlib.sha256(f"{program.id}:{seed}".encode()).hexdigest()).gauss(0, NOISE)
        right = round(IMAGES * min(1.0, max(0.0, level + noise)))
        bits = [1] * right + [0] * (IMAGES - right)
        Random(1).shuffle(bits)
        packed = bytes(int("".join(map(str, bits[at : at + 8])), 2) for at in range(0, IMAGES, 8))
        return Trained(right / IMAGES, IMAGES, seed, 0.1, 0.1, self.tier, per_image=packed)


def plan_of(cycles: int = 2, candidates: int = 5, *, outside: bool = True) -> Plan:
    return Plan(cycles, candidates, seed=3, retries=0, finals=1, parent=best_baseline, outside=outside)


def begun(path: Path, plan: Plan, archive: str | None = None, proposer: Proposer | None = None) -> RunFolder:
    """A run whose baselines are trained; with a proposer of its own one that is searched to its end."""
    folder, run = begin_run(path, archive, {"config": {"strategy": "outside"}})
    with run:
        searched(run, plan, proposer)
    return folder


def searched(run: object, plan: Plan, proposer: Proposer | None = None) -> None:
    parts = (plan, BASELINES, proposer or Told(), [SeedGate()], NoveltyGate(), Levels(), run, silent)
    Search(*parts).run()  # type: ignore[arg-type]


def referee(
    folder: RunFolder, plan: Plan, levels: Levels | None = None, settings: OutsideSettings | None = None
) -> Referee:
    bench = Bench(levels or Levels(), (SeedGate(),), NoveltyGate())
    seeds = Random(11)
    rules = Rules(CLASSIFY, settings or OutsideSettings())
    return Referee(folder, plan, rules, lambda: bench, fresh=lambda: seeds.randrange(2**31))


def play(path: str, name: str, pause: float) -> None:
    """Ask and tell until no slot is left, in a process of its own that may be killed at any moment."""
    plan = plan_of(3, 8)
    held = referee(read_folder(Path(path)), plan, Levels(pause=pause), OutsideSettings(lease=2.0))
    for number in range(200):
        asked = held.ask(name)
        if asked.slot is None and asked.reason.startswith("all slots are told"):
            return
        if asked.slot is None:
            sleep(0.1)
            continue
        assert asked.source is not None
        level = Random(f"{name}:{number}").randrange(300, 520)
        with suppress(UsageError):  # on a busy machine its lease may have run out: another has the slot
            held.tell(asked.slot, program=f"level = {level}\nwho = '{name}-{number}'\n")


def serve(path: str) -> None:
    """Serve a run over HTTP until the process ends."""
    from deltanas.referee.mcp import serve_http  # its extra may be missing

    held = referee(read_folder(Path(path)), plan_of(3, 10))

    def told(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    serve_http(held, "agent", "127.0.0.1", 0, told)


if __name__ == "__main__":
    play(sys.argv[1], sys.argv[2], float(sys.argv[3]))
