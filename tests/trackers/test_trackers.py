"""What a tracker holds after a search that was cut off and resumed: all of it, once; and a tracker that breaks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from deltanas.journal import Journal
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.records import Attempt, Candidate, Draft, Final, Measurement
from deltanas.seams import Began, Measured, Planned, Proposed, Scored, Settled, silent
from deltanas.trackers import Mirror
from deltanas.trackers.mlflow import MlFlow
from deltanas.trackers.tensorboard import TensorBoard
from support import SMALL, Command
from toy_task import WEIGH

BASE = Program.of("base\n")
Series = dict[str, list[tuple[int, float]]]


def settled(cycle: int, index: int, *accuracies: float) -> Candidate:
    made = tuple(Trained(accuracy, 100, 0, 2.0, 2.0 + cycle, "A") for accuracy in accuracies)
    outcome = replace(made[0], score=sum(accuracies) / len(made))
    program = BASE if cycle == 0 else Program.of(f"x = {cycle, index}\n")
    parent = BASE.id if cycle else None
    return Candidate(
        cycle,
        index,
        "random",
        parent,
        Draft(program, 7 + 7 * cycle, flops=100 + 50 * cycle),
        (Attempt("", "exact", "g", None),),
        outcome,
        made,
    )


ROWS = [
    settled(0, 0, 0.5),
    settled(1, 0, 0.4, 0.6),
    replace(settled(1, 1, 0.7), outcome=Refused("novelty", "known"), trainings=()),
    replace(settled(1, 2, 0.7), outcome=Failed("error", "no", 3.0, 3.0, "A"), trainings=()),
    settled(2, 0, 0.9),
]
EXPECTED: Series = {
    "candidate/accuracy": [(1, 0.5), (2, 0.5), (5, 0.9)],
    "candidate/gain": [(2, 0.0), (5, 0.4)],
    "candidate/standard_error": [(2, 0.1)],
    "candidate/seconds": [(1, 2.0), (2, 2.0), (4, 3.0), (5, 2.0)],
    "candidate/trainings": [(1, 1.0), (2, 2.0), (4, 1.0), (5, 1.0)],
    "candidate/params": [(1, 7.0), (2, 14.0), (4, 14.0), (5, 21.0)],
    "candidate/flops": [(1, 100.0), (2, 150.0), (4, 150.0), (5, 200.0)],
    "candidate/params_ratio": [(1, 1.0), (2, 2.0), (4, 2.0), (5, 3.0)],
    "candidate/flops_ratio": [(1, 1.0), (2, 1.5), (4, 1.5), (5, 2.0)],
    "candidate/seconds_ratio": [(1, 1.0), (2, 1.5), (5, 2.0)],
    "candidate/test_accuracy": [(5, 0.8)],
    "cycle/trained": [(1, 1.0), (2, 1.0)],
    "cycle/failed": [(1, 1.0), (2, 0.0)],
    "cycle/refused": [(1, 1.0), (2, 0.0)],
    "cycle/elites": [(1, 0.0), (2, 1.0)],
    "cycle/mean_accuracy": [(1, 0.5), (2, 0.9)],
    "cycle/best_accuracy": [(1, 0.5), (2, 0.9)],
}


def nearly(series: Series) -> Series:
    """Event files hold float32."""
    return {tag: [(step, round(value, 6)) for step, value in rows] for tag, rows in series.items()}


def tell(mirror: Mirror, held: Sequence[Candidate], rest: Sequence[Candidate]) -> Journal:
    """A search that holds some rows, and comes to the rest: those of a cycle end in the reverse of their order."""
    journal = Journal(held)
    mirror(Planned(2, 6, 1, 3, journal))
    for cycle in sorted({row.cycle for row in rest}):
        mirror(Began(cycle, "propose" if cycle else "check", 3))
        now = [row for row in rest if row.cycle == cycle]
        opened = [row if isinstance(row.outcome, Refused) else replace(row, outcome=None, trainings=()) for row in now]
        journal.open(opened)
        for row in opened:
            mirror(Proposed(row))
        for row in reversed(now):
            if not isinstance(row.outcome, Refused):
                journal.record(row.cycle, row.index, None, row.outcome)
                mirror(Settled(row))
    return journal


def searched_twice(mirror: partial[Mirror]) -> None:
    """Cut off in the first cycle, with a candidate that was journalled and not written; then to the end."""
    with closing(mirror()) as cut:
        tell(cut, [], ROWS[:2]).open([ROWS[2]])
        cut(Proposed(ROWS[2]))
    with closing(mirror()) as resumed:
        tell(resumed, ROWS[:4], ROWS[4:])
        assert ROWS[4].program
        resumed(Began(2, "test", 1))
        resumed(Scored(Final(ROWS[4].program.id, Trained(0.8, 100, 0, 1.0, 1.0, "A"))))


class Kept:
    """A sink in memory."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, int], float] = {}

    def held(self) -> set[tuple[str, int]]:
        return set()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self.values |= {(name, step): value for name, value in values.items()}

    def close(self) -> None:
        pass


def test_series_are_named_after_the_metric_and_the_best_is_in_its_direction() -> None:
    sink = Kept()
    mirror = Mirror(silent, "kept", lambda: sink)
    mirror(Planned(2, 6, 1, 3, Journal([ROWS[0], ROWS[1], ROWS[4]], metric=WEIGH.metric)))
    mirror(Began(2, "test", 0))
    assert not any("accuracy" in name for name, _ in sink.values)
    assert sink.values["candidate/error", 3] == 0.9
    assert sink.values["candidate/gain", 3] == pytest.approx(-0.4)
    assert (sink.values["cycle/best_error", 2], sink.values["cycle/elites", 2]) == (0.5, 0)


def test_a_cost_that_is_measured_later_is_told_then_and_once() -> None:
    """Latencies are measured once a cycle's trainings have ended; a resumed run finds them in its journal."""
    sink = Kept()
    latencies = [Measurement("latency_ms", value, value, value) for value in (2.0, 3.0)]
    rows = [replace(row, measurements=(found,)) for row, found in zip(ROWS[:2], latencies, strict=True)]
    journal = Journal(ROWS[:2])
    mirror = Mirror(silent, "kept", lambda: sink)
    mirror(Planned(2, 6, 1, 3, journal))
    assert ("candidate/latency_ms_ratio", 2) not in sink.values
    for row, found in zip(ROWS[:2], latencies, strict=True):
        journal.measure(row.cycle, row.index, found)
        mirror(Measured(row, found))
    resumed = Kept()
    Mirror(silent, "kept", lambda: resumed)(Planned(2, 6, 1, 3, Journal(rows)))
    assert sink.values == resumed.values
    assert sink.values["candidate/latency_ms_ratio", 2] == 1.5


def test_event_files_hold_all_of_a_resumed_search_once(tmp_path: Path) -> None:
    searched_twice(partial(Mirror, silent, "tensorboard", partial(TensorBoard, tmp_path, "run", {})))
    read = EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    found = {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in read.Tags()["scalars"]}
    assert nearly(found) == nearly(EXPECTED)


@pytest.mark.slow  # MLflow lays out its database in fifty steps
@pytest.mark.filterwarnings("ignore")
def test_mlflow_holds_all_of_a_resumed_search_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    searched_twice(
        partial(Mirror, silent, "mlflow", partial(MlFlow, tmp_path, "run", {"seed": 3, "config": {"a": "b" * 999}}))
    )
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "3"
    found = {
        key: sorted((metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, key))
        for key in run.data.metrics
    }
    assert nearly(found) == nearly(EXPECTED)


class Breaking:
    """A tracker whose server goes away after two events."""

    def __init__(self) -> None:
        self.written = 0

    def held(self) -> set[tuple[str, int]]:
        return set()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self.written += 1
        if self.written > 2:
            raise ConnectionError("gone")

    def close(self) -> None:
        raise AssertionError("it was given up")


def test_a_broken_tracker_is_left_alone_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    def unreachable() -> Breaking:
        raise OSError("no route")

    sink = Breaking()
    with caplog.at_level(logging.WARNING, "deltanas"):
        for opened in (lambda: sink, unreachable):
            with closing(Mirror(silent, "mlflow", opened)) as mirror:
                tell(mirror, [], ROWS)
    assert sink.written == 3
    assert [record.message for record in caplog.records] == [
        "mlflow is not told of this search any more: ConnectionError: gone",
        "mlflow is not told of this search any more: OSError: no route",
    ]


def test_a_search_is_mirrored_on_request(deltanas: Command, tmp_path: Path) -> None:
    done = deltanas(
        "search",
        *SMALL,
        "--cycles",
        1,
        "--candidates",
        1,
        "--baseline",
        "mlp",
        "--seeds",
        "auto",
        "--track",
        "tensorboard",
        "--run",
        "run",
    )
    assert done.returncode == 0, done.stderr
    read = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    read.Reload()
    assert [event.step for event in read.Scalars("cycle/trained")] == [1]
    assert read.Scalars("candidate/accuracy")[0].step == 1
    assert read.Scalars("candidate/trainings")[0].value == 2, "auto trains a baseline twice"
    done = deltanas("search", *SMALL, "--track", "wandb", "--run", "other")
    assert done.returncode == 2
    assert "'tensorboard' or 'mlflow'" in done.stderr
