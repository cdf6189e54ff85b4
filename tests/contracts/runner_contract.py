"""What every `Runner` must do, on `digits`. Inherited by the tests of each implementation."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path

import pytest

from deltanas.program import Failed, Program, Refused, Trained
from deltanas.seams import Built, Runner

HEAD = """
import os, sys
import torch
from torch import nn


def supported_hyperparameters():
    return {"lr"}


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.classes = out_shape[0]
        self.lr = prm["lr"]
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], 32), nn.ReLU(), nn.Linear(32, out_shape[0])
        )

    def train_setup(self, prm):
        self.criteria = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(self.parameters(), lr=prm["lr"])
"""
FORWARD = """
    def forward(self, x):
        return self.layers(x)
"""
LEARN = """
    def learn(self, train_data):
        for inputs, labels in train_data:
            self.optimizer.zero_grad()
            self.criteria(self(inputs), labels).backward()
            self.optimizer.step()
"""


def program(body: str = FORWARD + LEARN, *, prm: str = '{"batch": 16, "lr": 0.01}') -> Program:
    return Program.of(HEAD + body, prm=prm)


def learning(code: str) -> Program:
    """An honest network that runs `code`, one line, before it learns."""
    return program(
        FORWARD
        + LEARN.replace("for inputs, labels in train_data:", f"{code}\n        for inputs, labels in train_data:")
    )


HONEST = program()


def train_one(runner: Runner, candidate: Program, seed: int = 0) -> Trained | Failed:
    [(position, outcome)] = runner.train([candidate], seed=seed)
    assert position == 0
    return outcome


@cache
def honest_score(runner: Runner) -> float:
    """The honest network's accuracy, from before the first hostile candidate that a test runs."""
    outcome = train_one(runner, HONEST)
    assert isinstance(outcome, Trained), outcome
    return outcome.score


class RunnerContract:
    """The module gives a fixture `runner`: `digits`, one epoch, a time limit of some seconds, 1 GiB of memory."""

    @pytest.fixture
    def score(self, runner: Runner) -> float:
        return honest_score(runner)  # type: ignore[arg-type]  # any object is hashed by its identity

    @pytest.fixture
    def still_fair(self, runner: Runner, score: float) -> Iterator[None]:
        """After a hostile candidate the honest one is scored the same to the last digit."""
        yield
        outcome = train_one(runner, HONEST)
        assert isinstance(outcome, Trained), outcome
        assert outcome.score == score

    def test_an_honest_network_learns(self, runner: Runner) -> None:
        outcome = train_one(runner, HONEST)
        assert isinstance(outcome, Trained), outcome
        assert 0.6 < outcome.score < 1.0
        assert outcome.n == 360
        assert outcome.cpu_seconds > 0
        assert 0 < outcome.seconds < 60
        assert outcome.tier == runner.tier

    def test_the_test_split_is_another_one(self, runner: Runner) -> None:
        [(_, outcome)] = runner.train([HONEST], seed=0, split="test")
        assert isinstance(outcome, Trained)
        assert outcome.n == 359

    def test_equal_seeds_give_equal_scores_in_any_order(self, runner: Runner, score: float) -> None:
        other = program(prm='{"batch": 16, "lr": 0.001}')
        forth = dict(runner.train([HONEST, other, HONEST], seed=0))
        back = dict(runner.train([other, HONEST], seed=0))
        accuracies = [outcome.score for outcome in forth.values() if isinstance(outcome, Trained)]
        assert len(accuracies) == 3
        first, second, third = (forth[position] for position in range(3))
        assert isinstance(first, Trained)
        assert isinstance(second, Trained)
        assert isinstance(third, Trained)
        assert first.score == third.score == score
        assert isinstance(back[0], Trained)
        assert isinstance(back[1], Trained)
        assert (back[0].score, back[1].score) == (second.score, score)

    def test_another_seed_is_another_run(self, runner: Runner) -> None:
        scores = {train_one(runner, HONEST, seed).score for seed in range(3)}  # type: ignore[union-attr]
        assert len(scores) > 1

    def test_a_program_that_needs_a_contiguous_layout_is_trained_in_it(self, runner: Runner) -> None:
        layers = HEAD[HEAD.index("nn.Flatten") : HEAD.index("        )\n\n    def train_setup")]
        convolution = "nn.Conv2d(in_shape[1], 4, 3, padding=1), nn.ReLU()\n"
        head = "        self.head = nn.Linear(4 * in_shape[2] * in_shape[3], out_shape[0])\n"
        source = HONEST.net.replace(layers, convolution).replace(
            "\n    def train_setup", f"{head}\n    def train_setup"
        )
        source = source.replace("return self.layers(x)", "return self.head(self.layers(x).view(len(x), -1))")
        outcome = train_one(runner, Program.of(source, prm=HONEST.prm))
        assert isinstance(outcome, Trained), outcome
        assert outcome.score > 0.6

    def test_more_than_one_step_a_batch_is_refused(self, runner: Runner) -> None:
        twice = HONEST.net.replace("self.optimizer.step()", "self.optimizer.step(); self.optimizer.step()")
        outcome = train_one(runner, Program.of(twice, prm=HONEST.prm))
        assert isinstance(outcome, Failed)
        assert outcome.kind == "error"
        assert outcome.reason == "learn() took more optimizer steps than batches, 2 for 1"

    def test_the_order_of_sets_does_not_move_a_score(self, runner: Runner) -> None:
        order = "torch.manual_seed(sum(n * ord(c[0]) for n, c in enumerate({'a', 'b', 'c', 'd', 'e', 'f'})))"
        candidate = program(FORWARD + LEARN + f"\n{order}\n")
        assert len({train_one(runner, candidate).score for _ in range(2)}) == 1  # type: ignore[union-attr]

    def test_a_program_that_raises_says_where(self, runner: Runner) -> None:
        outcome = train_one(runner, learning("raise ValueError('no such luck')"))
        assert isinstance(outcome, Failed)
        line = 1 + learning("raise ValueError('no such luck')").net.split("raise ValueError")[0].count("\n")
        assert (outcome.kind, outcome.reason) == ("error", f"line {line}: ValueError: no such luck")

    @pytest.mark.parametrize(
        "code", ["raise ValueError({!r})", "os.write(2, {!r}.encode('utf-8', 'ignore')); os._exit(1)"]
    )
    def test_a_reason_is_printable(self, runner: Runner, code: str) -> None:
        outcome = train_one(runner, learning(code.format("red \x1b[31m \0 \ud800 end")))
        assert isinstance(outcome, Failed)
        assert "red" in outcome.reason
        assert outcome.reason.isprintable()

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("sys.exit(3)", "SystemExit: 3"),
            ("os._exit(3)", "exited with code 3 and no answer"),
            ("os._exit(0)", "exited with code 0 and no answer"),
        ],
    )
    def test_leaving_early_is_an_error(self, runner: Runner, code: str, reason: str, still_fair: None) -> None:
        outcome = train_one(runner, learning(code))
        assert isinstance(outcome, Failed)
        assert outcome.kind == "error"
        assert reason in outcome.reason

    @pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(1e6)"])
    def test_a_loop_ends_at_the_limit(self, runner: Runner, code: str, still_fair: None) -> None:
        outcome = train_one(runner, learning(code))
        assert isinstance(outcome, Failed)
        assert outcome.kind == "timeout"
        assert "longer than" in outcome.reason

    @pytest.mark.parametrize(
        "code", ["held = [bytearray(1 << 28) for _ in range(64)]", "held = [torch.ones(1 << 26) for _ in range(64)]"]
    )
    def test_a_memory_hog_is_stopped(self, runner: Runner, code: str, still_fair: None) -> None:
        outcome = train_one(runner, learning(code))
        assert isinstance(outcome, Failed)
        assert outcome.kind == "memory"
        assert "1 GiB" in outcome.reason

    def test_a_crash_names_the_signal(self, runner: Runner, still_fair: None) -> None:
        outcome = train_one(runner, learning("import ctypes; ctypes.string_at(0)"))
        assert isinstance(outcome, Failed)
        assert outcome.kind == "crash"
        assert "SIGSEGV" in outcome.reason

    def test_a_flood_of_output_harms_nobody(self, runner: Runner, score: float) -> None:
        outcome = train_one(runner, learning("[os.write(1, b'x' * 65536) for _ in range(500)]"))
        assert isinstance(outcome, Trained)
        assert outcome.score == score

    @pytest.mark.parametrize(
        ("forward", "reason"),
        [
            ("return self.layers(x) if self.training else self.layers(x)[:, :5]", "shape (256, 5), not (256, 10)"),
            ("return self.layers(x) if self.training else self.layers(x)[1:]", "shape (255, 10), not (256, 10)"),
            ("return self.layers(x) if self.training else 'all of them'", "returns a str"),
            ("return self.layers(x) if self.training else self.layers(x) * float('nan')", "not finite"),
            ("return self.layers(x) if self.training else self.layers(x) + float('inf')", "not finite"),
        ],
    )
    def test_wrong_logits_are_no_score(self, runner: Runner, forward: str, reason: str) -> None:
        outcome = train_one(runner, program(FORWARD.replace("return self.layers(x)", forward) + LEARN))
        assert isinstance(outcome, Failed)
        assert outcome.kind == "output"
        assert reason in outcome.reason

    @pytest.mark.parametrize(
        "forged",
        [
            b"{}     \n",
            b"{}     \n" + bytes(4 * 360 * 10 - 4),
            b"{}     \n" + bytes(4 * 360 * 10 + 4),
            b"not json\n" + bytes(4 * 360 * 10),
            b"[[[[[[[[" * 500,
            b"1234567\n" + bytes(4 * 360 * 10),
            b"\x80\x04K\x01.\n..",
        ],
    )
    def test_a_forged_answer_is_no_score(self, runner: Runner, forged: bytes, still_fair: None) -> None:
        # The answer's descriptor is one of those that can be written to.
        forger = f"""

def forge():
    for fd in range(3, 64):
        try:
            os.write(fd, {forged[:8]!r} + {forged[-1:]!r} * {len(forged) - 8})
        except OSError:
            pass
    os._exit(0)
"""
        candidate = learning("forge()")
        outcome = train_one(runner, Program.of(candidate.net + forger, prm=candidate.prm))
        assert isinstance(outcome, Failed), outcome
        assert outcome.kind in {"output", "error"}

    def test_a_second_pass_over_the_data_is_refused(self, runner: Runner) -> None:
        outcome = train_one(runner, learning("list(train_data)"))
        assert isinstance(outcome, Failed)
        assert "learn() may pass over its data once" in outcome.reason

    def test_nothing_runs_in_the_tools_own_process(self, runner: Runner, capfd: pytest.CaptureFixture[str]) -> None:
        tripwire = "sys.stderr.write(f'pid {os.getpid()} end')"
        body = (FORWARD + LEARN).replace("        for inputs", f"        {tripwire}\n        for inputs")
        candidate = program(
            body.replace("return self", f"{tripwire}; return self") + f"\n{tripwire}\nraise SystemExit(1)\n"
        )
        outcome = train_one(runner, candidate)
        [refused] = runner.build([candidate])
        assert isinstance(outcome, Failed)
        assert isinstance(refused, Refused)
        assert str(os.getpid()) not in outcome.reason + refused.reason
        assert "pid" not in "".join(capfd.readouterr())

    def test_build_measures(self, runner: Runner) -> None:
        commented = Program.of(HONEST.net + "\n# a comment\n", prm=HONEST.prm)
        faster = program(prm='{"batch": 16, "lr": 0.1}')
        built, same, other = runner.build([HONEST, commented, faster])
        assert isinstance(built, Built)
        assert isinstance(other, Built)
        assert built.params == 64 * 32 + 32 + 32 * 10 + 10
        assert built.flops == 2 * (64 * 32 + 32 * 10)
        assert same == built
        assert other.trace != built.trace

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("def forward(self, x):\n        return self.layer(x)", "no attribute 'layer'"),
            ("def forward(self, x):\n        return self.layers(x)[:, 1:]", "returns shape (2, 9), not (2, 10)"),
            ("def forward(self, x):\n        return self.layers(x) / 0", "not finite"),
            ("def forward(self, x)\n        return 1", "SyntaxError: expected ':'"),
            ("def forward(self, x):\n        while True: pass", "longer than"),
        ],
    )
    def test_build_refuses_with_a_reason(self, runner: Runner, body: str, reason: str) -> None:
        [refused] = runner.build([program(f"\n    {body}\n{LEARN}")])
        assert isinstance(refused, Refused)
        assert refused.stage == "build"
        assert reason in refused.reason

    def test_closing_the_iterator_ends_the_children(self, runner: Runner) -> None:
        candidates = [HONEST, *[learning("while True: pass")] * 3]
        outcomes = runner.train(candidates, seed=0)
        assert isinstance(outcomes, Generator)
        next(outcomes)
        assert descendants()
        outcomes.close()
        assert not descendants()


def descendants() -> set[int]:
    """Processes that came of a candidate: all below this one that have a fork server above them."""
    names = (b"deltanas.sandbox.zygote", b"deltanas.sandbox.device_server")
    servers = {pid for pid in below(os.getpid()) if any(name in cmdline(pid) for name in names)}
    return set().union(*(below(server) for server in servers))


def below(pid: int) -> set[int]:
    children: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):  # a thread's children are its own
        with contextlib.suppress(OSError):
            children |= {int(child) for child in task.read_text().split()}
    return children.union(*map(below, children))


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""
