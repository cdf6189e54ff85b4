"""Raw proposals, counted step by step: no retries, nothing left out. Each cell of the table has a file of its own."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from deltanas.calibrate import where
from deltanas.check import contract_faults
from deltanas.cli.output import Json, print_figures, say
from deltanas.config import SearchConfig, read_config
from deltanas.errors import DataError, UsageError
from deltanas.intervals import wilson
from deltanas.journal import Journal
from deltanas.llm import Message, Model
from deltanas.policy import PartsByGain
from deltanas.program import Program, Refused, Stage, Trained, acting, edits_in
from deltanas.program.transforms import transform_faults
from deltanas.records import Attempt, Candidate, Draft
from deltanas.sandbox import Pool
from deltanas.seams import Ask, Built, Proposal, Slot
from deltanas.search import training_seed
from deltanas.settings import given_settings
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import kept_builds, open_dataset_pool, programs_of
from deltanas.wiring.proposing import model_of, parent_rule_of, proposer_of

STEPS = ("proposed", "parsed", "applied", "changed", "built", "valid", "effective", "distinct")
"""What is counted of the proposals, each a part of the one before:

parsed: the reply holds an edit, or a program. applied: the edit has its one place. changed: the canonical source is not
the parent's. built: the contract is kept (of a transform: it is of the menu), the network builds and gives the right
shape. valid: it also takes training steps. effective: it computes another function than its parent, or its transform
does something, and something else than that of its parent. distinct: by what is computed and done, each once.
"""
BLOCK = 4
"""Proposals in a row for one parent: what their prompts share is worked out once for a batch."""


@dataclass(frozen=True, slots=True)
class Row:
    """One proposal, as it was made. Whether it holds is checked anew each time that it is counted.

    Attributes:
        net: name of the baseline whose descendant it is. origin, transform, prm: the parts of the parent.
        part, source: what was edited, and its proposed text, None where the reply was refused; then `stage` and
            `reason` say why.
        reply_tokens, code_tokens: of what the model said, and of the proposed text by the same tokenizer.
        seconds: wall clock of proposing, a batch's divided by its proposals.
        accuracy: of the proposed network, where the strategy needs it.
    """

    index: int
    net: str
    goal: str
    edit: str
    rung: str | None
    stage: Stage | None
    reason: str | None
    origin: str
    source: str | None
    prm: str
    prompt_tokens: int
    reply_tokens: int
    code_tokens: int
    seconds: float
    accuracy: float | None = None
    part: str = "net"
    transform: str = ""

    @property
    def parent(self) -> Program:
        return Program.of(self.origin, self.transform, self.prm)

    @property
    def program(self) -> Program | None:
        return None if self.source is None else self.parent.edited(self.part, self.source)


def bench_propose(
    config: SearchConfig, *, n: int, folder: Path, say: Callable[[str], None], model: Model | None = None
) -> dict[str, object]:
    """Make proposals for a cell until its file in `folder` holds n of them; check and count the first n.

    Args:
        config: strategy, model, baselines, data set and seed, as for a search. folder: what it holds is taken up.
        model: an open one, in place of `config.model.spec`. say: gets a line a batch.

    Raises UsageError where no baselines are named, DataError where the file is of another cell.
    """
    parents = programs_of(config)
    if not config.baselines:
        raise UsageError("no baselines are named", "name some that the prompts were not tuned on, with --baseline")
    began = where()
    file = folder / f"{cell_name(config).replace(' ', '-')}.jsonl"
    with open_dataset_pool(config.dataset, config.train) as pool:
        rows = _kept(file, settings_of(config))
        if len(rows) < n:
            _fill(_Maker(config, parents, pool, model), rows, n, file, say)
        counted = count(rows[:n], pool)
    return {**began, "load_after": where()["load"], "cell": cell_name(config), **settings_of(config), **counted}


def cell_name(config: SearchConfig) -> str:
    """Who proposes, in words."""
    parts = "" if config.edits == ("net",) else f" {','.join(config.edits)}"
    if not config.proposing.calls:
        return config.strategy + parts
    level = config.model.decoding if config.strategy == "delta" else config.strategy
    return f"{Path(config.model.spec).name} {level}{' reason' if config.model.reason else ''}{parts}"


def settings_of(config: SearchConfig) -> dict[str, object]:
    """All that the proposals of a cell depend on. How many are made at a time is part of it: they share the edits."""
    kept = ("strategy", "edits", "seed", "dataset", "baselines", "prm", "model", "evolution")
    settings = config.model_dump(mode="json")
    return {name: settings[name] for name in kept} | {"train_size": config.train.size}


class _Maker:
    """Makes rows, a batch at a time."""

    def __init__(self, config: SearchConfig, parents: dict[str, Program], pool: Pool, model: Model | None) -> None:
        self._config = config
        self._parents = list(parents.items())
        self._pool = pool
        self._evolves = config.proposing.parent is not None
        self._parent_rule = parent_rule_of(config)
        self._parts = PartsByGain(config.edits)
        self._model = model or model_of(config)
        self._proposer = proposer_of(config, kept_builds(pool), self._model)
        self._journal: list[Candidate] = []
        if self._evolves:
            scores = self._trained([program for _, program in self._parents])
            for index, ((name, program), score) in enumerate(zip(self._parents, scores, strict=True)):
                self._journal.append(Candidate(0, index, name, None, Draft(program), (), self._outcome(score)))
        self.batch = self._proposer.batch

    def rows(self, indexes: Sequence[int]) -> list[Row]:
        chosen = [self._parent(index) for index in indexes]
        journal = Journal(self._journal)
        asks = []
        for index, (_, parent) in zip(indexes, chosen, strict=True):
            slot = f"{self._config.seed}:1:{index}"
            part = self._parts(journal, Random(f"{slot}:part"))
            asks.append(Ask(1, index, 0, f"{slot}:0", parent, parts=(part,), journal=journal))
        start = time.perf_counter()
        proposals = self._proposer.propose(asks)
        seconds = (time.perf_counter() - start) / len(asks)
        programs = [proposal.program for proposal in proposals]
        scores = self._trained(programs) if self._evolves else [None] * len(programs)
        return [
            self._row(ask, net, proposal, seconds, score)
            for ask, (net, _), proposal, score in zip(asks, chosen, proposals, scores, strict=True)
        ]

    def learn(self, row: Row) -> None:
        """Let a row count for those after it: its edit is not offered again, and what it made may be a parent."""
        refusal = Refused(row.stage, row.reason or "") if row.stage else None
        attempt = Attempt(row.edit, row.rung, row.goal, refusal, part=row.part)
        draft = Draft(program) if (program := row.program) else None
        outcome = self._outcome(row.accuracy)
        self._journal.append(Candidate(1, row.index, row.net, row.parent.id, draft, (attempt,), outcome))

    def _parent(self, index: int) -> tuple[str, Program]:
        if not self._evolves:
            turn, place = divmod(index // BLOCK, len(self._parents))
            name, program = self._parents[place]
            return name, self._moved(program, turn)
        parent = self._parent_rule(
            Slot(1, index), Journal(self._journal), Random(f"{self._config.seed}:1:{index}:parent")
        )
        return next(c.strategy for c in self._journal if c.program == parent), parent

    def _moved(self, program: Program, turn: int) -> Program:
        """The parent of a turn. A transform has few edits, so each turn has its own, up to three edits further on."""
        chance = Random(f"{self._config.seed}:{program.id}:{turn}")
        for _ in range(turn % 4 if self._config.edits == ("transform",) else 0):
            program = chance.choice(edits_in(program, self._config.edits)).apply(program)
        return program

    def _outcome(self, score: float | None) -> Trained | None:
        return None if score is None else Trained(score, 1, 0, 0.0, 0.0, self._pool.tier)

    def _trained(self, programs: Sequence[Program | None]) -> list[float | None]:
        """Accuracy of each program that builds, on the validation split; None where there is none."""
        there = {place: program for place, program in enumerate(programs) if program is not None}
        built = zip(there, self._pool.build(list(there.values())), strict=True)
        places = [place for place, result in built if isinstance(result, Built)]
        trainings = self._pool.train([there[place] for place in places], seed=training_seed(self._config.seed))
        scores = {places[number]: end.score for number, end in trainings if isinstance(end, Trained)}
        return [scores.get(place) for place in range(len(programs))]

    def _row(self, ask: Ask, net: str, proposal: Proposal, seconds: float, score: float | None) -> Row:
        program, refusal = proposal.program, proposal.refusal
        return Row(
            index=ask.index,
            net=net,
            goal=proposal.goal,
            edit=proposal.edit,
            rung=proposal.rung,
            stage=refusal.stage if refusal else None,
            reason=refusal.reason if refusal else None,
            origin=ask.parent.net,
            source=program.editable(ask.part) if program else None,
            prm=ask.parent.prm,
            prompt_tokens=sum(call.prompt_tokens for call in proposal.calls),
            reply_tokens=sum(call.reply_tokens for call in proposal.calls),
            code_tokens=self._tokens(program.editable(ask.part)) if program else 0,
            seconds=seconds,
            accuracy=score,
            part=ask.part,
            transform=ask.parent.transform,
        )

    def _tokens(self, text: str) -> int:
        if self._model is None:
            return 0
        return self._model.count([Message("user", text)]) - self._model.count([Message("user", "")])


def _kept(file: Path, settings: dict[str, object]) -> list[Row]:
    """The rows of a cell so far; a line that was being written when the work was cut off is dropped."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not (rows := read_rows(file)):
        append_rows(file, [settings])
        return []
    first, *lines = rows
    if first != json.loads(json.dumps(settings)):
        raise DataError(f"{file} was begun with other settings", "name another folder with --out, or remove the file")
    return [Row(**line) for line in lines]


def _fill(maker: _Maker, rows: list[Row], n: int, file: Path, say: Callable[[str], None]) -> None:
    for row in rows:
        maker.learn(row)
    while len(rows) < n:
        new = maker.rows(range(len(rows), n)[: maker.batch])
        append_rows(file, [asdict(row) for row in new])
        for row in new:
            maker.learn(row)
        rows += new
        say(f"{file.stem}: {len(rows)} of {n}, {new[0].seconds:.1f} s each")


def count(rows: Sequence[Row], pool: Pool) -> dict[str, object]:
    """Check the proposals in the sandbox and count them. No row may be missing: a refusal counts as proposed."""
    reached = _reached(rows, pool)
    furthest = [step for step, _ in reached]
    traces = {trace for step, trace in reached if step == "effective"}
    totals = {step: sum(STEPS.index(best) >= place for best, _ in reached) for place, step in enumerate(STEPS)}
    totals["distinct"] = len(traces)
    steps = []
    for step, total in totals.items():
        share = wilson(total, len(rows))
        steps.append({"step": step, "n": total, "share": share.value, "low": share.low, "high": share.high})
    good = [row for row, (step, _) in zip(rows, reached, strict=True) if STEPS.index(step) >= STEPS.index("valid")]
    shares = [row.reply_tokens / row.code_tokens for row in good if row.code_tokens]
    return {
        "n": len(rows),
        "rungs": dict(Counter(row.rung for row in rows if row.rung)),
        "refused": dict(Counter(row.stage for row in rows if row.stage)),
        "prompt_tokens": statistics.median(row.prompt_tokens for row in rows),
        "reply_tokens": statistics.median(row.reply_tokens for row in rows),
        "seconds": statistics.fmean(row.seconds for row in rows),
        "tokens_of_code": statistics.median(shares) if shares else None,
        "steps": steps,
        "reached": furthest,
        "reply_lengths": [row.reply_tokens for row in rows],
    }


def _reached(rows: Sequence[Row], pool: Pool) -> list[tuple[str, str]]:
    """The last step that each proposal reached, "effective" at best, and the hash of what it computes ("": unknown)."""
    origins = list(dict.fromkeys(row.parent for row in rows))
    known = dict(zip(origins, pool.build(origins), strict=True))
    return [_step(row, known[row.parent], pool) for row in rows]


def _step(row: Row, origin: Built | Refused, pool: Pool) -> tuple[str, str]:
    program = row.program
    if program is None:
        return ("proposed" if row.stage == "parse" else "parsed"), ""
    if program.id == row.parent.id:
        return "applied", ""
    if contract_faults(program.net) or transform_faults(program.transform):
        return "changed", ""
    (built,) = pool.build([program])
    if isinstance(built, Refused):
        return ("built" if built.stage == "step" else "changed"), ""
    differs = isinstance(origin, Refused) or built.differs(origin)
    differs = differs and bool(acting(built.trace) or not program.transform)
    return ("effective" if differs else "valid"), built.trace


def main(
    baseline: Annotated[list[str], typer.Option(help="Built-in name or a file, one the prompts were not tuned on.")],
    strategy: Annotated[
        str | None, typer.Option(help="delta | full | feedback | channels | random | evolution | bandit.")
    ] = None,
    llm: Annotated[str | None, typer.Option(help="smollm2 | hub:OWNER/NAME | gguf:PATH | path:DIR.")] = None,
    decoding: Annotated[str | None, typer.Option(help="typed | anchored | free: what an edit is held to.")] = None,
    edits: Annotated[
        str | None, typer.Option(help="net | recipe | net,recipe | transform: parts that are edited.")
    ] = None,
    reason: Annotated[bool, typer.Option("--reason", help="Ask for a reason before the edit.")] = False,
    n: Annotated[int, typer.Option("-n", help="Proposals.", min=1)] = 48,
    seed: Annotated[int | None, typer.Option(help="The root of all chance.")] = None,
    dataset: Annotated[str, typer.Option(help="Data set whose images the networks take.")] = "fashion-mnist",
    train_size: Annotated[int, typer.Option(help="Training images, for evolution.", min=1)] = 1000,
    max_tokens: Annotated[int | None, typer.Option(help="Longest reply.", min=16)] = None,
    batch: Annotated[int | None, typer.Option(help="Replies decoded at a time.", min=1)] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 | bfloat16: what a model here computes in.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the proposals; what is there is taken up.")] = Path("proposals"),
    as_json: Json = False,
) -> None:
    """Raw proposals, without retries: count those that parse, apply, build, train a step, compute something else."""
    options = {
        "strategy": strategy,
        "model.spec": llm,
        "model.decoding": decoding,
        "model.reason": reason,
        "model.max_tokens": max_tokens,
        "model.batch": batch,
        "model.dtype": dtype,
        "edits": edits,
        "seed": seed,
        "dataset": dataset,
        "train.size": train_size,
        "train.workers": 1,
        "train.epochs": 1,
        "baselines": baseline,
    }
    config = read_config(given_settings(options=options))
    found = bench_propose(config, n=n, folder=out, say=say)
    if not as_json:
        found = {key: value for key, value in found.items() if key not in ("reached", "reply_lengths")}
    print_figures(found, ["steps"], as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
