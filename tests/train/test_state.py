"""What passes the build check can be written, and what can't be written is refused there, with the reason."""

from __future__ import annotations

import pytest
import torch

from deltanas.train.build import check_build
from deltanas.train.faults import ContractError, StepError, explain
from deltanas.train.job import MOST_BYTES, MOST_TENSORS
from deltanas.train.state import held, values_of
from odd_programs import REFUSED, WRITTEN, source
from support import build_job

pytestmark = pytest.mark.filterwarnings("ignore")


def build(net: str, prm: str = '{"lr": 0.1}') -> dict[str, object]:
    return check_build(build_job(net, prm, (1, 1, 8, 8), 10))


@pytest.mark.parametrize("name", WRITTEN)
def test_what_a_plain_loop_trains_passes_and_has_one_trace(name: str) -> None:
    assert build(WRITTEN[name]) == build(WRITTEN[name])


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_file_of_weights_takes_is_refused_with_the_reason(name: str) -> None:
    net, reason = REFUSED[name]
    with pytest.raises(ContractError) as caught:
        build(net)
    assert reason in str(caught.value)


def test_the_check_sees_a_change_of_a_lazy_layer() -> None:
    lazy = WRITTEN["lazy layers"]
    wide = build(lazy.replace("LazyConv2d(4, 3)", "LazyConv2d(5, 3)"))
    plain = lazy.replace("LazyConv2d(", "Conv2d(c, ").replace("LazyBatchNorm2d()", "BatchNorm2d(4)")
    built = build(lazy)
    assert build(plain.replace("LazyLinear(", "Linear(4 * (h - 2) * (w - 2), "))["params"] == built["params"]
    assert built["params"] == 64 * 10 + 10 + 4 * 9 + 4 + 8 + 144 * 64 + 64
    assert wide["trace"] != built["trace"]


def test_more_tensors_and_more_bytes_than_a_file_takes_are_refused() -> None:
    net = torch.nn.Module()
    net.register_buffer("whole", torch.zeros(1, dtype=torch.uint8).expand(MOST_BYTES - 1000))
    assert len(held(net)) == 1
    net.register_buffer("rest", torch.zeros(1000))
    with pytest.raises(ContractError, match="at most 1,024 can be written"):
        held(net)
    many = torch.nn.Module()
    one = torch.zeros(())
    for number in range(MOST_TENSORS + 1):
        many.register_buffer(f"b{number}", one)
    with pytest.raises(ContractError, match="holds 100,001 tensors"):
        held(many)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (torch.tensor([1 + 2j]).conj(), torch.tensor([1.0, -2.0])),
        (torch.arange(6.0).view(2, 3).t(), torch.tensor([0.0, 3.0, 1.0, 4.0, 2.0, 5.0])),
        (torch.tensor(7.0), torch.tensor([7.0])),
        (torch.ones(1).expand(2), torch.ones(2)),
    ],
)
def test_values_lie_row_by_row(tensor: torch.Tensor, expected: torch.Tensor) -> None:
    assert values_of(tensor) == expected.numpy().tobytes()


def test_a_batch_of_one_is_checked_with_batches_of_one() -> None:
    """Batch norm over vectors takes no single image: the training would fail at once."""
    norm = source("self.n = nn.BatchNorm1d(n)", "x = self.n(x.flatten(1))")
    build(norm, '{"batch": 2}')
    with pytest.raises(StepError) as caught:
        build(norm, '{"batch": 1}')
    assert "Expected more than 1 value per channel" in explain(caught.value)
    build(source(), '{"batch": 1}')
