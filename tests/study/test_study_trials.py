"""Tables and runs as the arrays that the diagnostics read."""

from __future__ import annotations

import json
from dataclasses import replace
from math import isnan
from pathlib import Path

import pytest

from deltanas.errors import DataError, UsageError
from deltanas.program import Program, Refused, Trained
from deltanas.records import Attempt, Call, Candidate, Draft, RunView
from deltanas.study import Absent, as_json, convergence, convergence_of, described, read_trials, trials_of
from support import Command

KEYS = ["nll", "monotone", "concentration", "validity", "novelty", "reliability"]


def table(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_is_read(tmp_path: Path) -> None:
    trials = read_trials(
        table(tmp_path, "\ufeffProgram, seed,proxy,cycle,elite,valid,colour\na,0,0.5,1,true,1,x\n\nb,1,,2,0,nan,\n")
    )
    assert trials.program == ("a", "b")
    assert trials.proxy is not None
    assert trials.proxy[0] == 0.5
    assert isnan(trials.proxy[1])
    assert trials.elite is not None
    assert trials.elite.tolist() == [1.0, 0.0]
    assert trials.target is None
    assert trials.ignored == ("`colour`",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: no column that is known"),
        ("colour,size\n1,2\n", "line 1: no column that is known"),
        ("proxy,proxy\n1,2\n", "line 1: the column `proxy` is there twice"),
        ("program,proxy\na,0.5\nb,half\n", "line 3, column `proxy`: 'half' is no number"),
        ("program,proxy\na,0.5\nb,inf\n", "line 3, column `proxy`: 'inf' is no number"),
        ("program,proxy\na,0.5\nb\n", "line 3: 1 cells under 2 columns"),
        ("program,proxy\na,0.5\nb,1,2\n", "line 3: 3 cells under 2 columns"),
        ("cycle\n1.5\n", "line 2, column `cycle`: '1.5' is no whole number"),
        ("elite\nmaybe\n", "line 2, column `elite`: 'maybe' is no 0 or 1"),
        ("tokens\n0\n", "line 2, column `tokens`: '0' is no number above 0"),
        ('program,proxy\n"a\nb",0.5\n"c,0.5\n', "line 4"),
    ],
)
def test_a_malformed_table_names_line_and_column(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_trials(table(tmp_path, text))


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        read_trials(tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"program,proxy\n\xff\xfe\n")
    with pytest.raises(DataError, match="not UTF-8"):
        read_trials(tmp_path / "binary.csv")


def test_seeds_of_a_candidate_are_one_candidate_and_repeated_proposals_are_several(tmp_path: Path) -> None:
    text = "program,seed,cycle,proxy\na,0,1,1\na,1,1,2\na,0,1,1\na,0,2,1\n,0,2,3\n,0,2,4\n"
    trials = read_trials(table(tmp_path, text))
    assert trials.candidates() == [[0, 1], [2], [3], [4], [5]]
    assert trials.trainings() == [0, 1, 4, 5], "the same program, seed and score is one training told again"


def test_every_column_may_be_missing_and_the_answer_says_so(tmp_path: Path) -> None:
    found = convergence(read_trials(table(tmp_path, "seed\n1\n2\n")))
    assert found.monotone == Absent("no column `cycle`")
    assert found.concentration == Absent("no column `cycle`")
    assert found.validity == Absent("no column `tokens`")
    assert found.reliability.snr == Absent("no column `program`")
    plain = as_json(found)
    assert list(plain) == KEYS
    assert plain["monotone"] == {"why": "no column `cycle`"}
    text = described(found)
    assert text.count("Not computed: no column") == 3
    assert "Not known: no column `program`." in text


def test_an_empty_table_is_answered(tmp_path: Path) -> None:
    found = convergence(read_trials(table(tmp_path, "program,seed,proxy,target,cycle,elite,tokens,valid,generator\n")))
    assert isinstance(found.monotone, Absent)
    assert "Not known" in found.reliability.verdict


def run_of(*candidates: Candidate, finished: bool = True) -> RunView:
    programs = {c.program.id: c.program for c in candidates if c.program}
    return RunView("run", finished, {}, candidates, programs)


def trained(accuracy: float, seed: int = 1) -> Trained:
    return Trained(accuracy, 100, seed, 1.0, 1.0, "A")


def attempt(tokens: int, refusal: Refused | None = None) -> Attempt:
    return Attempt("edit", "exact", "goal", refusal, (Call("m", "p", "r", 10, tokens, 1.0),))


def test_a_run_becomes_a_table() -> None:
    base, child = Program.of("x = 1\n"), Program.of("x = 2\n", parents=(Program.of("x = 1\n").id,))
    view = run_of(
        Candidate(0, 0, "baseline", None, Draft(base), (), trained(0.8), (trained(0.8),)),
        Candidate(
            1,
            0,
            "delta",
            base.id,
            Draft(child),
            (attempt(40, Refused("contract", "no")), attempt(50)),
            trained(0.9),
            (trained(0.88), trained(0.92, 2)),
        ),
        Candidate(1, 1, "delta", base.id, None, (attempt(60, Refused("apply", "no")),), Refused("apply", "no")),
        Candidate(1, 2, "delta", base.id, Draft(child), (attempt(70, Refused("novelty", "known")),), None),
    )
    trials = trials_of(view)
    assert trials.program is not None
    assert trials.cycle is not None
    assert trials.proxy is not None
    scored = [(p, s, c) for p, s, c in zip(trials.program, trials.proxy, trials.cycle, strict=True) if not isnan(s)]
    assert scored[1:] == [(child.id, 0.88, 1.0), (child.id, 0.92, 1.0)]
    assert scored[0][:2] == (base.id, 0.8)
    assert isnan(scored[0][2]), "a baseline is no candidate"
    assert trials.elite is not None
    elite = [trials.elite[rows[0]] for rows in trials.candidates()]
    assert [e for e in elite if not isnan(e)] == [1.0, 0.0], "an open candidate is not counted"
    assert trials.tokens is not None
    assert trials.valid is not None
    answers = [(t, v) for t, v in zip(trials.tokens, trials.valid, strict=True) if not isnan(t)]
    assert answers == [(40, 0), (50, 1), (60, 0), (70, 1)], "a program that is known already is valid"


def test_the_threshold_that_is_checked_is_the_runs() -> None:
    base = Program.of(net="a b c d e f g h i j k l m n o p")
    near = base.edited("net", "a b c d e f g h i j k l m n o q")
    rows = [
        Candidate(0, 0, "baseline", None, Draft(base), (), trained(0.8)),
        Candidate(1, 0, "random", base.id, Draft(near), (), trained(0.9)),
    ]
    kept = convergence_of(run_of(*rows)).novelty
    assert not isinstance(kept, Absent)
    assert (kept.threshold, kept.broken) == (1.0, 0)
    config: dict[str, object] = {"config": {"novelty": {"threshold": kept.largest}}}
    broken = convergence_of(replace(run_of(*rows), manifest=config)).novelty
    assert not isinstance(broken, Absent)
    assert (broken.threshold, broken.broken) == (kept.largest, 1)


@pytest.mark.parametrize("finished", [True, False])
def test_a_run_with_nothing_in_it_is_answered(finished: bool) -> None:
    found = convergence_of(run_of(finished=finished))
    assert isinstance(found.novelty, Absent)
    assert json.loads(json.dumps(as_json(found), allow_nan=False))["nll"]["why"]


def test_the_command_answers_in_json(deltanas: Command, tmp_path: Path) -> None:
    rows = [f"p{i},{s},{(i * 7 % 12) + s / 10},{i * 7 % 12},{i // 4}" for i in range(12) for s in range(3)]
    table(tmp_path, "\n".join(["program,seed,proxy,target,cycle", *rows]))
    done = deltanas("study", "convergence", "table.csv", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == KEYS
    for key in ("var_arch", "var_noise", "snr", "rho_pearson", "rho_spearman_predicted", "rho_spearman_measured"):
        assert (
            found["reliability"][key]["low"] <= found["reliability"][key]["value"] <= found["reliability"][key]["high"]
        )
    assert found["reliability"]["verdict"].startswith("The ranking can be trusted")
    assert "not recorded" in found["nll"]["why"]


def test_the_command_says_what_is_wrong(deltanas: Command, tmp_path: Path) -> None:
    table(tmp_path, "program,proxy\na,x\n")
    done = deltanas("study", "convergence", "table.csv")
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (1, "", False)
    assert "table.csv, line 2, column `proxy`: 'x' is no number" in done.stderr
