"""Speed of decoding on this machine: one reply at a time beside several, with and without a grammar, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Literal, Protocol, get_args

import typer

from deltanas import nets
from deltanas.calibrate import where
from deltanas.cli.output import Json, print_figures, say
from deltanas.config import read_config
from deltanas.errors import DeltanasError
from deltanas.llm import Dtype, Model, Request, Spent, open_model
from deltanas.program import Program
from deltanas.propose import Asking, DeltaProposer, Space
from deltanas.seams import Ask
from deltanas.settings import given_settings

Level = Literal["free", "typed"]
BATCHES = (1, 8, 16)
ALONE = 8
RATIO_BAR = 4.0
"""Batch 8 gives at least so many times the tokens a second of one at a time."""


class TimedModel(Model, Protocol):
    """A model that keeps account of its time."""

    @property
    def spent(self) -> Spent: ...


@dataclass(frozen=True, slots=True)
class Turn:
    """A batch, or `ALONE` replies one at a time. Their tokens, those that the grammar forced; seconds of wall clock.

    `drawn` tokens took `decode` seconds: network, grammar and drawing after the prompt; the first of each reply comes
    with the prompt, and is not among them (there may be no other: a grammar can force all the rest).
    """

    level: Level
    batch: int
    tokens: int
    forced: int
    drawn: int
    decode: float
    grammar: float
    whole: float


@dataclass(frozen=True, slots=True)
class Rate:
    """Medians over the turns, with ranges of the first: drawn tokens a second of decoding; all tokens a second of all.

    grammar: share of decoding that grammars took. forced: share of all tokens that they forced.
    """

    level: Level
    batch: int
    drawn: float
    low: float
    high: float
    whole: float
    forced: float
    grammar: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """Rate of a batch over that of one at a time, turn by turn; `kept` says whether batch 8 keeps the bar."""

    level: Level
    batch: int
    of: Literal["drawn", "whole"]
    median: float
    low: float
    high: float
    kept: bool | None


def bench_decode(
    spec: str, *, dtype: Dtype | None, net: str, repeats: int, max_tokens: int, say: Callable[[str], None]
) -> dict[str, object]:
    """Every level and batch once a turn, `repeats` turns. say: gets a line a turn.

    Raises DeltanasError where the model does not run on this machine, or there is no such baseline.
    """
    parent = Program.of(nets.baseline(net))
    model = open_model(spec, dtype=dtype)
    from deltanas.llm.local import LocalModel  # once a model is open: it loads torch, which no other command needs

    if not isinstance(model, LocalModel):
        raise DeltanasError(f"{spec} does not run on this machine, so its speed is not measured here")
    began, turns = where(), []
    for repeat in range(repeats):
        for level in get_args(Level):
            for batch in BATCHES:
                turns.append(_turn(model, level, batch, _requests(model, level, parent, batch, repeat, max_tokens)))
        say(f"turn {repeat + 1}: " + ", ".join(f"{t.level} {t.batch}: {_drawn(t):.1f}/s" for t in turns[-6:]))
    ratios = [_ratio(turns, level, batch, of) for level in get_args(Level) for batch in BATCHES[1:] for of in _RATES]
    return {
        **began,
        "load_after": where()["load"],
        "model": model.name,
        "dtype": dtype,
        "net": net,
        "repeats": repeats,
        "rates": [asdict(_rate([t for t in turns if (t.level, t.batch) == key])) for key in _keys(turns)],
        "ratios": [asdict(ratio) for ratio in ratios],
        "turns": [asdict(turn) for turn in turns],
    }


def _requests(
    model: TimedModel, level: Level, parent: Program, batch: int, repeat: int, max_tokens: int
) -> list[Request]:
    asking = Asking(decoding=level, batch=batch, max_tokens=max_tokens)
    proposer = DeltaProposer(model, Space(None), asking)
    asks = [Ask(1, index, 0, f"{repeat}:1:{index}:0", parent) for index in range(max(batch, ALONE))]
    return proposer.requests(asks)


def _turn(model: TimedModel, level: Level, batch: int, requests: Sequence[Request]) -> Turn:
    before, start = replace(model.spent), time.perf_counter()
    groups = [requests[place : place + batch] for place in range(0, len(requests), batch)]
    replies = [reply for group in groups for reply in model.generate(group)]
    whole, after = time.perf_counter() - start, model.spent
    return Turn(
        level=level,
        batch=batch,
        tokens=sum(reply.reply_tokens for reply in replies),
        forced=sum(reply.forced for reply in replies),
        drawn=after.drawn - before.drawn,
        decode=sum(_since(before, after, what) for what in ("network", "grammar", "draw")),
        grammar=_since(before, after, "grammar"),
        whole=whole,
    )


def _since(before: Spent, after: Spent, what: str) -> float:
    return float(asdict(after)[what] - asdict(before)[what])


def _drawn(turn: Turn) -> float:
    return turn.drawn / turn.decode if turn.drawn else 0.0


def _whole(turn: Turn) -> float:
    return turn.tokens / turn.whole


_RATES: dict[Literal["drawn", "whole"], Callable[[Turn], float]] = {"drawn": _drawn, "whole": _whole}


def _keys(turns: Sequence[Turn]) -> list[tuple[Level, int]]:
    return list(dict.fromkeys((turn.level, turn.batch) for turn in turns))


def _rate(turns: Sequence[Turn]) -> Rate:
    rates = [_drawn(turn) for turn in turns]
    return Rate(
        level=turns[0].level,
        batch=turns[0].batch,
        drawn=statistics.median(rates),
        low=min(rates),
        high=max(rates),
        whole=statistics.median(map(_whole, turns)),
        forced=sum(turn.forced for turn in turns) / sum(turn.tokens for turn in turns),
        grammar=sum(turn.grammar for turn in turns) / sum(turn.decode for turn in turns),
    )


def _ratio(turns: Sequence[Turn], level: Level, batch: int, of: Literal["drawn", "whole"]) -> Ratio:
    several, one = ([_RATES[of](t) for t in turns if (t.level, t.batch) == (level, size)] for size in (batch, 1))
    ratios = [many / single for many, single in zip(several, one, strict=True) if single] or [0.0]
    median = statistics.median(ratios)
    return Ratio(level, batch, of, median, min(ratios), max(ratios), median >= RATIO_BAR if batch == 8 else None)


def main(
    llm: Annotated[str, typer.Option(help="smollm2 | hub:OWNER/NAME | gguf:PATH | path:DIR.")] = "smollm2",
    dtype: Annotated[str | None, typer.Option(help="float32 | bfloat16: what the model computes in.")] = None,
    net: Annotated[str, typer.Option(help="A built-in baseline, to edit.")] = "vgg",
    repeats: Annotated[int, typer.Option(help="Turns of every level and batch.", min=1)] = 5,
    max_tokens: Annotated[int, typer.Option(help="Longest reply.", min=16)] = 64,
    as_json: Json = False,
) -> None:
    """Tokens a second of a model on this machine: single replies and batches, free and under a grammar, in turns."""
    config = read_config(given_settings(options={"model.spec": llm, "model.dtype": dtype}))
    result = bench_decode(llm, dtype=config.model.dtype, net=net, repeats=repeats, max_tokens=max_tokens, say=say)
    print_figures(result, ["rates", "ratios", "turns"], as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
