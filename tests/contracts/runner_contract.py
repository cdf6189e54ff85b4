"""What every pool of the sandbox must do, on `digits`. Inherited by the tests of each implementation."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path

import pytest

from deltanas import testing
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.seams import Runner
from deltanas.testing import examples
from deltanas.testing.runner import FORWARD, HEAD, HONEST, LEARN, learning, train_one

__all__ = [
    "FORWARD", "HONEST", "RunnerContract", "below", "cmdline", "descendants", "gone", "learning", "program", "servers",
    "train_one",
]  # fmt: skip


def program(body: str = FORWARD + LEARN, *, prm: str = '{"batch": 16, "lr": 0.01}') -> Program:
    return examples.program(HEAD + body, prm)


@cache
def honest_score(runner: Runner) -> float:
    """The honest network's accuracy, from before the first hostile candidate that a test runs."""
    outcome = train_one(runner, HONEST)
    assert isinstance(outcome, Trained), outcome
    return outcome.score


class RunnerContract(testing.RunnerContract):
    """What the sandbox holds on top: hostile programs.

    The module gives a fixture `runner`: `digits`, one epoch, a time limit of some seconds, 1 GiB of memory.
    """

    @pytest.fixture(autouse=True)
    def _running(self, runner: Runner) -> None:
        self._runner = runner

    def runner(self) -> Runner:
        return self._runner

    @pytest.fixture
    def score(self, runner: Runner) -> float:
        return honest_score(runner)  # type: ignore[arg-type]  # any object is hashed by its identity

    def test_what_is_taken_for_what_is_told_of_the_test_split_alone(self, runner: Runner) -> None:
        [(_, tested)] = runner.train([HONEST], seed=0, split="test")
        assert isinstance(tested, Trained), tested
        assert tested.confusion is not None
        assert sum(number for _, _, number in tested.confusion) == tested.n
        right = sum(number for true, named, number in tested.confusion if true == named)
        assert right / tested.n == pytest.approx(tested.score)
        outcome = train_one(runner, HONEST)
        assert isinstance(outcome, Trained), outcome
        assert outcome.confusion is None

    @pytest.fixture
    def still_fair(self, runner: Runner, score: float) -> Iterator[None]:
        """After a hostile candidate the honest one is scored the same to the last digit."""
        yield
        outcome = train_one(runner, HONEST)
        assert isinstance(outcome, Trained), outcome
        assert outcome.score == score

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

    @pytest.mark.parametrize(
        "code", ["raise ValueError({!r})", "os.write(2, {!r}.encode('utf-8', 'ignore')); os._exit(1)"]
    )
    def test_a_reason_is_printable_wherever_it_is_from(self, runner: Runner, code: str) -> None:
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

    def test_a_second_pass_over_the_data_says_so(self, runner: Runner) -> None:
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


def gone(pid: int) -> bool:
    """Whether a process has ended, if only to be waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def servers() -> set[int]:
    """The fork servers of this process."""
    return {pid for pid in below(os.getpid()) if b"deltanas.sandbox.zygote" in cmdline(pid)}


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""
