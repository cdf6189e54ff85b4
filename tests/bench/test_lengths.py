"""Edits measured at length: what is drawn, what a killed run leaves, and what the report finds in simulated rows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from benchmarks import length_draws, lengths
from benchmarks.averages import report as told_averages
from benchmarks.averages import taken_apart
from benchmarks.length_report import Measure, measured, pairs, ranks, report, seed_luck, shares
from benchmarks.table import Row
from deltanas.program import Failed, Program, Trained
from deltanas.sandbox.judge import Reading
from deltanas.seams import Built
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import builtin_programs

FAMILIES = ("densenet", "mlp")
ROOTS = {family: builtin_programs({})[family] for family in FAMILIES}


class Sized:
    """Builds everything; a program has as many parameters as its digest says, its root 100."""

    def build(self, programs: Sequence[Program]) -> list[Built]:
        roots = {root.id for root in ROOTS.values()}
        sizes = [100 if one.id in roots else 50 + int(one.id, 16) % 200 for one in programs]
        traces = [one.id + (one.id if one.transform else "") for one in programs]
        return [Built(size, size, trace, (None,) * 4) for size, trace in zip(sizes, traces, strict=True)]


def drawn(rounds: int) -> list[tuple[Row, Program]]:
    found: list[tuple[Row, Program]] = []
    for number in range(rounds):
        found += length_draws.drawn_round(number, ROOTS, [row for row, _ in found], cast("Any", Sized()))
    return found


def test_rounds_go_through_all_parts_and_hold_growth_and_rows_make_their_programs_again() -> None:
    found = drawn(10)
    assert len({program.id for _, program in found}) == len(found)
    assert [row["draw"] for row, _ in found] == sorted(int(str(row["draw"])) for row, _ in found)
    for row, program in found:
        assert length_draws.program_of(row, ROOTS[str(row["family"])]) == program
        assert row["growth"] is None or float(str(row["params_ratio"])) <= 1.5
        assert len(cast("list[Any]", row["steps"])) == (3 if row["part"] == "composite" else 1)
    for family, rounds in (("mlp", 10), ("densenet", 5)):
        assert [row["part"] for row, _ in found if row["family"] == family] == list(length_draws.CYCLE[:rounds])
    assert {row["growth"] for row, _ in found} == {None, 1.5}
    assert any(float(str(row["params_ratio"])) > 1.5 for row, _ in found if row["growth"] is None)
    again = drawn(2)
    assert [row for row, _ in again] == [row for row, _ in found[: len(again)]]


class Played:
    """Trains nothing: outputs that name the right class of the first images, as many as the program's digest says."""

    dataset: Any = SimpleNamespace(validation=SimpleNamespace(y=np.arange(100) % 10))

    def __init__(self, fuse: int = 10**9) -> None:
        self.fuse, self.trained = fuse, list[tuple[str, int]]()

    def curves(
        self, programs: Sequence[Program], *, seed: int, evaluate: Sequence[int], average: float, both: bool
    ) -> Iterator[tuple[int, tuple[Reading, ...] | Failed]]:
        assert average
        assert both
        for place, program in enumerate(programs):
            if self.fuse == 0:
                raise KeyboardInterrupt
            self.fuse -= 1
            self.trained.append((program.id, seed))
            right = int(hashlib.sha256(f"{program.id} {seed}".encode()).hexdigest(), 16) % 100
            labels = self.dataset.validation.y
            outputs = np.eye(10, dtype=np.float32)[np.where(np.arange(100) < right, labels, labels + 1) % 10]
            end = Trained(right / 100, 100, seed, 1.0, 1.0, "A")
            yield place, tuple(Reading(n, mean, end, outputs) for n in (*evaluate, 5) for mean in (False, True))


def measure_round(path: Path, number: int, pools: dict[str, Played], rows: Sequence[tuple[Row, Program]]) -> None:
    programs = [(row, program, int(str(row["draw"])) % lengths.TWICE == 0) for row, program in rows]
    for row in lengths._trained(path, number, programs, cast("Any", pools)):
        append_rows(path, [row])


def test_a_killed_round_goes_on_where_it_was(tmp_path: Path) -> None:
    rows = drawn(1)
    whole = Played()
    measure_round(tmp_path / "whole.jsonl", 0, {"short": whole, "long": whole}, rows)
    assert len(set(whole.trained)) == len(whole.trained) == 2 * (len(rows) + 1), "one of two is trained twice"
    path = tmp_path / "killed.jsonl"
    for fuse in (1, 3, 99):
        played = Played(fuse)
        try:
            measure_round(path, 0, {"short": played, "long": played}, rows)
        except KeyboardInterrupt:
            with path.open("a") as file:
                file.write('{"cut sh')
    key = ("program", "what", "seed")
    assert sorted(read_rows(path), key=lambda row: [str(row[one]) for one in key]) == sorted(
        read_rows(tmp_path / "whole.jsonl"), key=lambda row: [str(row[one]) for one in key]
    )


def test_loss_is_the_cross_entropy_in_nats() -> None:
    labels = np.arange(20) % 10
    assert lengths.cross_entropy(np.full((20, 10), 1e4, np.float32), labels) == pytest.approx(np.log(10))
    sure = 100 * np.eye(10, dtype=np.float32)[labels]
    assert lengths.cross_entropy(sure, labels) == pytest.approx(0, abs=1e-6)
    assert lengths.cross_entropy(sure, (labels + 1) % 10) == pytest.approx(100)


def simulated(*, edits: int, noise: float, lasts: float, luck: float = 0.0) -> tuple[list[Row], list[Row]]:
    """Edits whose gains at the start and at the end have the variance 1, and the covariance `lasts`."""
    chance = np.random.default_rng(1)
    rows: list[Row] = []
    trainings: list[Row] = []

    def train(family: str, program: str, seed: int, levels: dict[str, Any]) -> None:
        for what, epochs in (("short", (1,)), ("long", (1, 5))):
            readings = []
            for number in epochs:
                value = levels[what][seed] + chance.normal(0, noise)
                for averaged in (False, True):
                    readings.append({"epochs": number, "averaged": averaged, "accuracy": value, "loss": -value})
            known: Row = {"program": program, "family": family, "what": what, "seed": seed}
            trainings.append(known | {"cpu_seconds": 1.0, "failure": None, "readings": readings})

    for place in range(8):
        family = f"f{place}"
        roots = {what: 50 + chance.normal(0, luck, 4) for what in ("short", "long")}
        for seed in range(4):
            train(family, family, seed, roots)
        for number in range(edits):
            start, end = chance.multivariate_normal([0, 0], [[1, lasts], [lasts, 1]])
            for seed in {number % 4, (number + (number % 3 == 0)) % 4}:
                train(family, f"{place}:{number}", seed, {"short": roots["short"] + start, "long": roots["long"] + end})
            row: Row = {"draw": number * 8 + place, "round": number, "family": family, "program": f"{place}:{number}"}
            row |= {"part": ("net", "recipe")[number % 2], "growth": (None, 1.5)[number % 2]}
            rows.append(row | {"steps": [{"kind": "width"}], "flops_ratio": (0.5, 1.0, 2.0)[number % 3]})
    return rows, trainings


START, END = (Measure(what, epochs, False, "accuracy") for what, epochs in (("short", 1), ("long", 5)))


def test_the_report_finds_what_was_put_into_simulated_rows() -> None:
    for lasts in (1.0, 0.25):
        known = measured(*simulated(edits=120, noise=0.5, lasts=lasts))
        noise, same, speed = shares(known, START, END)
        assert noise == pytest.approx(0.2, abs=0.05), "0.25 of 1.25"
        assert same == pytest.approx(0.8 * lasts**2, abs=0.12)
        assert speed == pytest.approx(0.8 * (1 - lasts**2), abs=0.12)
        found = ranks(pairs(known, START, END, same=False))
        assert found[:, 0].sum() / found[:, 1].sum() == pytest.approx(0.8 * lasts, abs=0.08)


def test_the_luck_of_a_seed_is_taken_off_and_none_is_found_where_none_is() -> None:
    calm = measured(*simulated(edits=60, noise=0.3, lasts=1.0))
    lucky = measured(*simulated(edits=60, noise=0.3, lasts=1.0, luck=5.0))
    for known in (calm, lucky):
        found = ranks(pairs(known, START, END, same=False))
        assert found[:, 0].sum() / found[:, 1].sum() > 0.85
    assert seed_luck({"a": {0: 1.0}, "b": {0: 2.0}}) == {0: 0.0}
    assert seed_luck({f"{n}": {n % 2: float(n // 2)} for n in range(8)}) == {0: 0.0, 1: 0.0}


def test_the_report_is_a_page_with_a_row_a_group_and_a_measure() -> None:
    page = report(*simulated(edits=30, noise=0.5, lasts=0.5))
    for name in ("part: net", "part: recipe", "growth: free", "growth: at most 1.5", "kind: width", "FLOPs: from 1.5"):
        assert re.search(rf"^\| {name} \| \d+ \| [+-]\d\.\d{{4}} \[", page, re.MULTILINE), name
    assert re.search(r"^\| accuracy, averaged weights, 1 x 4,000 images \| 0\.\d+ \| \+0\.\d+ \[", page, re.MULTILINE)
    assert "nan" not in page
    few = simulated(edits=1, noise=0.5, lasts=0.5)
    assert "240 trainings" in page or re.search(r"\d+ trainings, 0 failed", page)
    assert report(*few).startswith("8 edits of 8 families")
    assert report([], []) == "fewer than two families have measured edits\n"


def test_scores_are_taken_apart_into_program_seed_and_rest() -> None:
    chance = np.random.default_rng(0)
    programs, seeds = chance.normal(0, 2, (400, 1)), chance.normal(0, 3, (1, 8))
    parts = taken_apart(programs + seeds + chance.normal(0, 1, (400, 8)))
    assert parts.rest / parts.degrees == pytest.approx(1, abs=0.1)
    assert parts.edits == pytest.approx(4, abs=0.6)
    rows: list[Row] = []
    for family in range(6):
        for program in range(5):
            for seed in range(8):
                last, mean = chance.normal(0, 0.02), chance.normal(0.01, 0.01)
                readings = [{"accuracy": 0.8 + value, "loss": 0.5 - value} for value in (last, mean)]
                rows.append(
                    {"family": f"{family}", "program": f"{family}{program}", "seed": seed, "readings": readings}
                )
    page = told_averages(rows)
    ratio = re.search(r"\| accuracy \| 0\.0\d+; 0\.0\d+ \| (0\.\d\d) \[(0\.\d\d), (0\.\d\d)\]", page)
    assert ratio
    assert float(ratio[2]) < float(ratio[1]) < float(ratio[3]) < 0.5, "a quarter was put in"
    assert told_averages(rows[:40]) == "fewer than two networks have all of their scores\n"
