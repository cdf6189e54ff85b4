"""What joins the experts: probabilities are mixed, the gate is small, and its losses reach what they should."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from assembled_nets import experts_of, mixture_of, net_of
from deltanas.program.assembly import Expert, assembled
from deltanas.program.heads import Head, Kind

TINY = """import torch
from torch import nn

def supported_hyperparameters():
    return {"lr"}

class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layer = nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0] + EXTRA)

    def forward(self, x):
        return self.layer(x.flatten(1))

    def train_setup(self, prm):
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"])

    def learn(self, train_data):
        raise RuntimeError("the mixture trains its experts itself")
"""
SHAPE = (1, 1, 14, 14)


def tiny(head: Head, rates: tuple[float, ...] = (0.0, 0.1), extras: tuple[int, ...] = (0, 0)) -> Any:
    """A mixture of linear networks."""
    experts = [
        Expert(f"e{place}", TINY.replace("EXTRA", str(extra)), {"lr": rate, "place": place})
        for place, (rate, extra) in enumerate(zip(rates, extras, strict=True))
    ]
    torch.manual_seed(0)
    return net_of(assembled(experts, head), SHAPE, 3)


def images(count: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(count, *SHAPE[1:]), torch.arange(count) % 3


@pytest.mark.parametrize("kind", ["gate", "mean"])
def test_probabilities_are_mixed(kind: Kind) -> None:
    net = tiny(Head(kind)).eval()
    x, _ = images()
    each = torch.stack([expert(x).softmax(1) for expert in net.experts], 1)
    shares = net.gate(x).exp() if kind == "gate" else torch.full((8, 2), 0.5)
    torch.testing.assert_close(net(x).exp(), (shares.unsqueeze(2) * each).sum(1))
    torch.testing.assert_close(net(x).exp().sum(1), torch.ones(8))


@pytest.mark.parametrize("shape", [(1, 1, 28, 28), (1, 3, 32, 32), (1, 1, 8, 8)])
def test_the_gate_is_small_beside_the_cheapest_experts(shape: tuple[int, ...]) -> None:
    net = net_of(assembled(experts_of(["mlp", "shufflenet", "convmixer", "coatnet"])), shape).eval()
    assert sum(value.numel() for value in net.gate.parameters()) <= 3_000
    counts = []
    for part in (net.gate, *net.experts):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            part(torch.zeros(shape))
        counts.append(counter.get_total_flops())
    assert counts[0] <= 0.05 * sum(counts[1:])


def test_the_noise_is_in_training_alone_and_the_temperature_is_learned() -> None:
    net = tiny(Head(noise=5.0, temperature=4.0))
    x, y = images()
    assert net.gate.temperature.exp().item() == pytest.approx(4.0)
    assert not torch.equal(net.train().gate(x), net.gate(x))
    assert torch.equal(net.eval().gate(x), net.gate(x))
    net.learn([(x, y)])
    assert net.gate.temperature.exp().item() != pytest.approx(4.0, abs=1e-6)


def test_the_loss_for_balance_reaches_the_gate_and_does_not_depend_on_the_size_of_a_batch() -> None:
    net = tiny(Head(noise=0.0, balance=1.0), (0.0,) * 4, (0,) * 4).train()
    x, _ = images()
    even = torch.full((8, 4), 0.25).log()
    assert net.gate.loss(even).item() == pytest.approx(0.0)
    one_has_all = torch.tensor([[1.0, 0, 0, 0]] * 8).clamp_min(1e-9).log()
    assert net.gate.loss(one_has_all).item() == pytest.approx(3.0)
    loss = net.gate.loss(net.gate(x))
    assert loss.item() == pytest.approx(net.gate.loss(net.gate(x.repeat(8, 1, 1, 1))).item())
    loss.backward()
    assert net.gate.look[-1].weight.grad.abs().sum() > 0
    # The control: with the shares detached before it, as published, there is nothing to learn from.
    assert not net.gate.loss(net.gate(x).detach()).requires_grad


def test_each_learns_by_its_own_loss_or_all_by_the_mixture() -> None:
    x, y = images()
    for loss in ("own", "joint"):
        net = tiny(Head(loss=loss, balance=0.0)).train()
        weight = net.experts[0].layer.weight
        (own,) = torch.autograd.grad(cross_entropy(net.experts[0](x), y), weight)
        net.learn([(x, y)])  # the first expert has a rate of 0
        clipped = own * min(1.0, 1.0 / torch.linalg.vector_norm(torch.cat([own.flatten()])).item())
        near = torch.nn.functional.cosine_similarity(weight.grad.flatten(), clipped.flatten(), dim=0).item()
        assert (near > 0.99999) == (loss == "own")


def test_experts_are_clipped_apart_and_keep_their_optimizers_and_rates() -> None:
    net = tiny(Head("mean"), (0.0, 0.1)).train()
    x, y = images()
    with torch.no_grad():
        net.experts[1].layer.weight.mul_(1000)
    before = [expert.layer.weight.clone() for expert in net.experts]
    net.learn([(100 * x, y)])
    norms = [
        torch.linalg.vector_norm(torch.cat([value.grad.flatten() for value in expert.parameters()])).item()
        for expert in net.experts
    ]
    assert norms == pytest.approx([1.0, 1.0], abs=1e-3)
    assert torch.equal(net.experts[0].layer.weight, before[0])
    assert torch.allclose(net.experts[1].layer.weight, before[1] - 0.1 * net.experts[1].layer.weight.grad)
    assert [type(one).__name__ for one in net.optimizers] == ["SGD", "SGD"]


def test_a_gate_without_a_rate_stays_as_it_is_drawn() -> None:
    net = tiny(Head(rate=0.0)).train()
    before = [value.clone() for value in net.gate.parameters()]
    net.learn([images()])
    assert all(map(torch.equal, before, net.gate.parameters()))


def test_the_gate_notes_how_it_used_the_experts() -> None:
    net = tiny(Head(noise=0.0)).train()
    with torch.no_grad():
        net.gate.look[-1].weight.zero_()
        net.gate.look[-1].bias.copy_(torch.tensor([4.0, 0.0]))
    net.learn([images()] * 1)
    expected = 0.95 * torch.full((2, 2), 0.5) + 0.05 * torch.tensor(
        [torch.tensor([2.0, 0]).softmax(0).tolist(), [1, 0]]
    )
    torch.testing.assert_close(net.gate.use, expected)


def test_outputs_of_unlike_shapes_are_told_with_the_shapes() -> None:
    net = tiny(Head(), extras=(0, 2))
    with pytest.raises(ValueError, match=r"unlike shapes: \(8, 3\), \(8, 5\)|unlike shapes: \(8, 5\), \(8, 3\)"):
        net(images()[0])


def test_a_mixture_of_baselines_learns() -> None:
    net, _ = mixture_of(["mlp", "nin"])
    x, y = torch.randn(8, 1, 28, 28), torch.arange(8)
    before = torch.nn.functional.nll_loss(net.train()(x), y).item()
    net.learn([(x, y)] * 8)
    assert torch.nn.functional.nll_loss(net(x), y).item() < before - 0.3
