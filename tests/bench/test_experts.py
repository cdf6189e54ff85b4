"""The report of mixtures and controls, on rows whose answer is known, and rows that are not measured again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from benchmarks.experts import collapses, report, valid, worth
from benchmarks.experts_rows import Base, checked
from benchmarks.table import Row
from deltanas.errors import UsageError
from deltanas.program import Program, Refused
from deltanas.sandbox import Pool
from deltanas.seams import Built
from deltanas.whole import append_rows, read_rows


def scored(what: str, name: str, seed: int, score: float | None, cpu: float = 1.0) -> Row:
    return {"what": what, "name": name, "seed": seed, "epochs": 1, "cpu": cpu, "score": score, "reason": "it hangs"}


def test_differences_are_taken_quartet_by_quartet_over_the_means_of_seeds() -> None:
    singles = {"a": 0.5, "b": 0.6, "c": 0.7}
    rows = [scored("single", name, seed, score + 0.01 * seed) for name, score in singles.items() for seed in (0, 1)]
    rows += [scored("single, equal seconds", name, 0, score + 0.1) for name, score in singles.items()]
    for name, gain in (("a + b", 0.02), ("b + c", 0.04)):
        best = max(singles[one] for one in name.split(" + ")) + 0.005
        rows += [scored("gate, own", name, seed, best + gain, 4.0) for seed in (0, 1)]
        rows += [scored("gate, joint", name, seed, best) for seed in (0, 1)]
    rows.append(scored("mean, own", "a + b", 0, None))
    found = cast(dict[str, Any], worth(rows))
    assert found["gate, own"]["over the best expert"]["value"] == 0.03
    assert found["gate, own"]["over the best expert"]["n"] == 2
    assert found["gate, own"]["over the best single"]["value"] == pytest.approx(0.03 - 0.05, abs=1e-6)
    assert found["gate, own"]["over the best single at equal seconds"]["value"] == pytest.approx(-0.115, abs=1e-6)
    # with one seed of these: .62 and .74 against .70 and .80
    assert found["gate, own"]["over the best expert at equal seconds"]["value"] == pytest.approx(-0.065, abs=1e-6)
    assert found["gate, own minus gate, joint"]["value"] == 0.03
    assert found["single"]["best"] == ["c", 0.705]
    assert found["failed"] == ["mean, own, a + b, seed 0: it hangs"]


def test_only_seeds_that_both_sides_have_are_compared() -> None:
    """The second seed is lucky for all; a run that was stopped has it of some."""
    rows = [scored("single", name, seed, 0.5 + 0.2 * seed) for name in "ab" for seed in (0, 1)]
    rows += [scored("gate, own", name, seed, 0.6 + 0.2 * seed) for name in ("a + b", "a + c") for seed in (0, 1)]
    rows += [scored("mean, own", name, 0, 0.6) for name in ("a + b", "a + c")]
    rows.append(scored("single", "c", 0, None))
    found = cast(dict[str, Any], worth(rows))
    assert found["gate, own minus mean, own"]["value"] == 0
    assert found["mean, own"]["over the best expert"]["value"] == pytest.approx(0.1)
    assert found["mean, own"]["over the best single"]["value"] == pytest.approx(0.1)
    assert found["gate, own"]["over the best expert"]["n"] == 2, "an expert that failed alone is not the best"


def test_a_gate_is_back_if_no_expert_has_most() -> None:
    rows: list[Row] = [
        {"loss": "own", "balance": 0.1, "name": "q", "expert": 0, "use": use}
        for use in ([0.3, 0.3, 0.2, 0.2], [0.1, 0.7, 0.1, 0.1], None)
    ]
    found = cast(dict[str, Any], collapses(rows))["own loss, weight 0.1"]
    assert (found["n"], found["largest share below .6"], found["failed"]) == (2, 1, 1)


class Builds:
    """Stands for a pool: refuses mixtures that hold `bad`."""

    def __init__(self) -> None:
        self.built = 0

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        self.built += len(programs)
        return [Refused("build", "no") if "bad_" in one.net else Built(1, 1, "t", ()) for one in programs]


def test_checks_are_kept_row_by_row_and_faults_are_named(tmp_path: Path) -> None:
    names = ("one", "two", "six", "bad", "star")
    text = "{0} = 1\nclass Net: ...\n"
    bases = [
        Base(name, Program.of(("from math import *\n" if name == "star" else "") + text.format(name))) for name in names
    ]
    pool, path = Builds(), tmp_path / "valid.jsonl"
    fit = checked(cast(Pool, pool), path, "ours", bases, 5)
    assert [base.name for base in fit] == ["one", "two", "six", "bad"]
    built = pool.built
    assert checked(cast(Pool, pool), path, "ours", bases, 5) == fit
    assert pool.built == built
    found = cast(dict[str, Any], valid(read_rows(path)))
    assert found["ours, alone"]["faults"] == [
        "star: star, line 1: `from math import *` does not tell which names it binds"
    ]
    assert (found["ours, exact"]["n"], found["ours, exact"]["fine"]) == (4, 0)  # each stands beside the bad one
    assert (found["ours, mixture"]["n"], found["ours, mixture"]["fine"]) == (1, 0)


def test_a_folder_without_rows_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no rows") as caught:
        report(tmp_path)
    assert "python -m benchmarks experts --out" in caught.value.hint
    append_rows(tmp_path / "worth.jsonl", [scored("single", "a", 0, 0.5)])
    assert set(report(tmp_path)) == {"worth"}
