"""How long a network takes: exported in one child, timed in another; what can't be is a reason, not a figure."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import pytest

from deltanas import nets
from deltanas.program import Program, prm_text
from deltanas.records import Measurement
from deltanas.sandbox import LocalPool
from deltanas.sandbox.latency import TRIES, cut_off, judge_graph, judge_latency, not_measured
from deltanas.sandbox.layers import Bounds
from deltanas.sandbox.supervise import Ended, Limits
from deltanas.train.data import Dataset, Images
from deltanas.train.job import LATENCY_RUNS

pytestmark = pytest.mark.alone

LIMITS = Limits(5.0, Bounds(5, 1 << 30))
MLP = Program.of(nets.baseline("mlp"), prm=prm_text(nets.DEFAULT_PRM))


def edited(line: str) -> Program:
    """The built-in perceptron with one more line at the beginning of its forward pass."""
    head = "def forward(self, x: torch.Tensor) -> torch.Tensor:\n"
    assert head in MLP.net
    return MLP.edited("net", MLP.net.replace(head, f"{head}        {line}\n", 1))


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalPool]:
    rng = np.random.default_rng(0)

    def images(n: int) -> Images:
        return Images(rng.integers(0, 256, (n, 1, 8, 8), dtype=np.uint8), np.arange(n, dtype=np.int64) % 10)

    with LocalPool(Dataset("tiny", images(64), images(20), images(20), 10), timeout=60, workers=1) as opened:
        yield opened


def test_a_network_that_does_more_takes_longer(pool: LocalPool) -> None:
    more = edited("for _ in range(400): x = (x * 1.01).tanh()")
    small, large = pool.latencies([MLP, more])
    for found in (small, large):
        assert found.name == "latency_ms"
        assert found.detail == ""
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert 0 < found.low <= found.value <= found.high
        assert LATENCY_RUNS[0] <= found.n <= LATENCY_RUNS[1]
    assert small.value is not None
    assert large.value is not None
    assert large.value > 3 * small.value


def test_what_can_not_be_exported_has_a_reason_and_the_next_one_is_measured(pool: LocalPool) -> None:
    raises = edited("assert not torch.onnx.is_in_onnx_export(), 'not for export'")
    broken, good = pool.latencies([raises, MLP])
    assert broken.value is None
    assert broken.detail.startswith("the network can't be exported: ")
    assert "not for export" in broken.detail
    assert good.value is not None


def ended(raw: bytes, how: str = "exit", header: bytes = b"{}") -> Ended:
    return Ended(how, 0, 1.0, 1.0, header + b"\n" + raw, "")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"1234567",
        struct.pack("<19d", *range(1, 20)),
        struct.pack("<20d", *range(20)),
        struct.pack("<20d", *[float("nan")] * 20),
        struct.pack("<2001d", *range(1, 2002)),
    ],
    ids=["nothing", "no floats", "too few", "a zero", "not a number", "too many"],
)
def test_an_answer_that_makes_no_sense_is_no_latency(raw: bytes) -> None:
    found = judge_latency(ended(raw), LIMITS)
    assert found.value is None
    assert "makes no sense" in found.detail


def test_the_median_stands_between_the_quartiles() -> None:
    found = judge_latency(ended(struct.pack("<21d", *range(1, 22))), LIMITS)
    assert (found.low, found.value, found.high, found.n) == (6.0, 11.0, 16.0, 21)


def test_a_child_that_is_killed_leaves_a_reason() -> None:
    graph, timing = (
        judge_graph(ended(b"", "timeout"), LIMITS, "latency_ms"),
        judge_latency(ended(b"", "timeout"), LIMITS),
    )
    assert not isinstance(graph, bytes)
    assert "took longer than 5 s" in graph.detail
    assert "took longer than 5 s" in timing.detail
    assert not isinstance(judge_graph(ended(b""), LIMITS, "latency_ms"), bytes)


def test_what_a_busy_machine_cut_off_is_tried_again_and_a_fault_of_the_network_is_not(
    pool: LocalPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cut_off(ended(b"", "timeout"), LIMITS)
    assert not cut_off(ended(b'{"failed": "error", "reason": "no such operator"}\n'), LIMITS)
    late, good = ended(b"", "timeout"), Measurement("latency_ms", 1.0, 1.0, 1.0, 30)
    for answers, expected in (([late, good], good), ([late] * TRIES, not_measured("latency_ms"))):
        left = list(answers)
        monkeypatch.setattr(pool, "_by_graph", lambda *_, left=left: left.pop(0))
        assert list(pool.latencies([MLP])) == [expected]
        assert left == []
