"""The trace: equal where programs compute alike, different where they do not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from deltanas.program import Probe, same_function
from deltanas.train.build import check_build, fill
from deltanas.train.faults import ContractError, StepError, explain
from deltanas.train.job import PROBE
from support import build_job

NET = """
import torch
from torch import nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.conv = nn.Conv2d(in_shape[1], 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(8, out_shape[0])

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        a, b = x.chunk(2, 1)
        x = torch.cat([a * torch.sigmoid(b), b], 1)
        return self.head(self.drop(x.mean((2, 3))))

    def train_setup(self, prm):
        self.criteria = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def learn(self, train_data):
        for inputs, labels in train_data:
            self.optimizer.zero_grad()
            loss = self.criteria(self(inputs), labels)
            loss.backward()
            self.optimizer.step()
"""


def build(net: str, prm: str = '{"lr": 0.1, "momentum": 0.9}') -> dict[str, object]:
    return check_build(build_job(net, prm, (1, 3, 9, 9), 5))


def edited(old: str, new: str) -> str:
    assert NET.count(old) == 1
    return NET.replace(old, new)


@pytest.fixture(scope="module")
def trace() -> object:
    return build(NET)["trace"]


def test_counts() -> None:
    built = build(NET)
    assert built["params"] == 3 * 8 * 9 + 8 + 16 + 8 * 5 + 5
    assert built["flops"] == 2 * (81 * 8 * 27 + 8 * 5)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("F.relu(", "torch.relu("),
        ("a, b = x.chunk(2, 1)", "first, b = x.chunk(2, 1); a = first"),
        ("self.drop = nn.Dropout(0.1)", "self.drop = nn.Dropout(0.1); self.unused = nn.Linear(7, 7)"),
        ("x = torch.cat(", "dead = x.exp() + 1; x = torch.cat("),
        ("self.drop = nn.Dropout(0.1)", "self.drop = nn.Sequential(nn.Identity(), nn.Dropout(0.1))"),
        ("self.optimizer.zero_grad()", "self.zero_grad()"),
    ],
)
def test_programs_that_compute_alike_have_one_trace(old: str, new: str, trace: object) -> None:
    assert build(edited(old, new))["trace"] == trace


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("F.relu(", "F.gelu("),
        ("a * torch.sigmoid(b)", "b * torch.sigmoid(a)"),
        ("padding=1", "padding=1, bias=False"),
        ("padding=1", "padding=1, dilation=1, padding_mode='reflect'"),
        ("nn.Dropout(0.1)", "nn.Dropout(0.2)"),
        ("nn.BatchNorm2d(8)", "nn.BatchNorm2d(8, momentum=0.2)"),
        ("self.drop = nn.Dropout(0.1)", "self.drop = nn.Dropout(0.1); nn.init.orthogonal_(self.conv.weight)"),
        ("self.drop = nn.Dropout(0.1)", "self.drop = nn.Dropout(0.1); self.conv.weight.data.mul_(0.5)"),
        ("nn.CrossEntropyLoss()", "nn.CrossEntropyLoss(label_smoothing=0.1)"),
        ("momentum=prm", "nesterov=True, momentum=prm"),
        ("momentum=prm", "weight_decay=1e-3, momentum=prm"),
        ("loss.backward()", "loss.backward(); nn.utils.clip_grad_norm_(self.parameters(), 1.0)"),
        ("optimizer.step()", "optimizer.step(); self.optimizer.param_groups[0]['lr'] *= 0.5"),
    ],
)  # fmt: skip
def test_programs_that_compute_otherwise_have_another(old: str, new: str, trace: object) -> None:
    assert build(edited(old, new))["trace"] != trace


@pytest.mark.parametrize("prm", ['{"lr": 0.2, "momentum": 0.9}', '{"lr": 0.1, "momentum": 0.8}'])
def test_hyperparameters_leave_their_mark(prm: str, trace: object) -> None:
    assert build(NET, prm)["trace"] != trace


SECOND_RELU = ("x = F.relu(self.norm(self.conv(x)))", "x = F.relu(F.relu(self.norm(self.conv(x))))")
"""Another trace, the same function."""


def probe(net: str, prm: str = '{"lr": 0.1, "momentum": 0.9}') -> Probe:
    figures = build(net, prm)["probe"]
    assert isinstance(figures, list)
    return tuple(figures)


@pytest.fixture(scope="module")
def own() -> Probe:
    return probe(NET)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        SECOND_RELU,
        ("F.relu(", "F.threshold("),  # threshold(0, 0) below
        ("x.mean((2, 3))", "F.adaptive_avg_pool2d(x, 1).flatten(1)"),
        ("return self.head(", "return 1.0 * self.head("),
        ("loss.backward()", "loss.backward(); nn.utils.clip_grad_norm_(self.parameters(), 1e6)"),
    ],
)
def test_what_computes_the_same_by_other_operations_has_the_same_probe(
    old: str, new: str, own: Probe, trace: object
) -> None:
    other = edited(old, new)
    if "threshold" in new:
        other = other.replace("self.norm(self.conv(x))", "self.norm(self.conv(x)), 0.0, 0.0")
    built = build(other)
    assert built["trace"] != trace
    assert same_function(probe(other), own)


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [  # parts: own weights, given weights evaluating, given weights training, the change by the training steps
        ("F.relu(", "F.relu6(", (1, 2, 3)),
        ("F.relu(", "F.gelu(", (0, 1, 2, 3)),
        ("padding=1", "padding=1, padding_mode='reflect'", (0, 1, 2, 3)),
        ("nn.Dropout(0.1)", "nn.Dropout(0.11)", (2, 3)),
        ("nn.BatchNorm2d(8)", "nn.BatchNorm2d(8, momentum=0.2)", (3,)),
        ("nn.BatchNorm2d(8)", "nn.Sequential(nn.BatchNorm2d(8), nn.BatchNorm2d(8))", (1, 2, 3)),
        ("self.drop = nn.Dropout(0.1)", "self.drop = nn.Dropout(0.1); nn.init.orthogonal_(self.conv.weight)", (0,)),
        ("nn.CrossEntropyLoss()", "nn.CrossEntropyLoss(label_smoothing=0.1)", (3,)),
        ("momentum=prm", "nesterov=True, momentum=prm", (3,)),
        ("momentum=prm", "weight_decay=1e-4, momentum=prm", (3,)),
        ("loss.backward()", "loss.backward(); nn.utils.clip_grad_norm_(self.parameters(), 0.1)", (3,)),
        ("optimizer.step()", "optimizer.step(); self.optimizer.param_groups[0]['lr'] *= 0.5", (3,)),
    ],
)  # fmt: skip
def test_each_part_of_the_probe_shows_what_it_is_for(old: str, new: str, parts: tuple[int, ...], own: Probe) -> None:
    other = probe(edited(old, new))
    assert len(other) == len(own) == PROBE
    each = PROBE // 4
    mixed = [
        own[: part * each] + other[part * each : (part + 1) * each] + own[(part + 1) * each :] for part in range(4)
    ]
    assert tuple(part for part in range(4) if not same_function(mixed[part], own)) == parts
    assert not same_function(other, own)


def test_an_inserted_layer_leaves_the_weights_of_the_others_alone() -> None:
    """A linear layer between two others, of a shape of its own: what comes before it computes as it did."""
    first, last, again, inserted, back = (nn.Linear(*size) for size in ((4, 8), (8, 8), (8, 8), (8, 16), (16, 8)))
    fill(nn.Sequential(first, last))
    known = [value.clone() for layer in (first, last) for value in layer.parameters()]
    fill(nn.Sequential(first, inserted, back, last, again))
    # Only the biases of eight are numbered anew.
    assert [torch.equal(*pair) for pair in zip(known, [*first.parameters(), *last.parameters()], strict=True)] == [
        True, True, True, False,
    ]  # fmt: skip
    assert not torch.equal(last.weight, again.weight)
    assert not torch.equal(inserted.weight.flatten(), back.weight.flatten())
    norm = nn.BatchNorm2d(64)
    fill(norm)
    assert norm.running_var is not None
    assert norm.running_var.min() >= 0.5
    assert norm.num_batches_tracked == 0
    wide = nn.Linear(300, 1000)
    fill(wide)
    assert float(wide.weight.detach().std()) == pytest.approx(300**-0.5, rel=0.02)


def test_a_network_whose_outputs_run_over_has_no_probe_there() -> None:
    # Finite with its own weights, all of them zero, and not with the given ones.
    hot = edited("return self.head(", "return torch.exp(1e9 * self.scale ** 2) * self.head(")
    figures = probe(hot.replace("self.head = ", "self.scale = nn.Parameter(torch.zeros(1)); self.head = "))
    assert None in figures
    assert not same_function(figures, figures)


def test_what_fails_in_the_training_step_is_told_apart() -> None:
    with pytest.raises(StepError) as caught:
        build(edited("loss.backward()", "loss.backwards()"))
    assert explain(caught.value) == "line 29: AttributeError: 'Tensor' object has no attribute 'backwards'"


def test_a_layer_used_twice_is_not_two_layers() -> None:
    two = edited("self.drop = nn.Dropout(0.1)", "self.drop = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))")
    one = two.replace("nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))", "nn.Sequential(*[nn.Linear(8, 8)] * 2)")
    assert build(two)["trace"] != build(one)["trace"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("out_shape[0])", "4)", "the network returns shape (2, 4), not (2, 5)"),
        ("return self.head", "return self.haed", "line 19: AttributeError: 'Net' object has no attribute 'haed'"),
        ("a, b = x.chunk(2, 1)", "a, b = x.chunk(3, 1)", "line 17: ValueError: too many values to unpack (expected 2)"),
        ("self.head(self.drop(x.mean((2, 3))))", "x", "the network returns shape (2, 8, 9, 9), not (2, 5)"),
        ("self.head(self.drop(x.mean((2, 3))))", "(x, x)", "the network returns a tuple, not a tensor of shape (2, 5)"),
        ("prm[\"lr\"]", "prm[\"rate\"]", "line 23: KeyError: 'rate'"),
        ("class Net(", "class Network(", "the program defines no class Net"),
        ("class Net(nn.Module):", "class Net(nn.Module)", "line 7: SyntaxError: expected ':'"),
        ("            self.optimizer.step()\n", "", "learn() changes no parameter"),
        ("optimizer.step()", "optimizer.step(); self.optimizer.step()",
         "learn() took more optimizer steps than batches, 2 for 1"),
        ("def learn(", "def fit(", "AttributeError: 'Net' object has no attribute 'learn'"),
        ("F.relu(", "F.log(", "line 16: AttributeError: module 'torch.nn.functional' has no attribute 'log'"),
    ],
)  # fmt: skip
def test_a_refusal_says_why_and_where(old: str, new: str, reason: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  the type is what is asked about below
        build(edited(old, new))
    assert explain(caught.value) == reason


@pytest.mark.parametrize("batch", ["0", "-1", "1.5", '"many"', "1e999"])
def test_a_batch_that_is_no_number_is_refused(batch: str) -> None:
    with pytest.raises(ContractError, match="batch is"):
        build(NET, f'{{"lr": 0.1, "momentum": 0.9, "batch": {batch}}}')


def test_a_long_message_is_cut() -> None:
    assert len(explain(ValueError("x" * 10_000))) == 600
