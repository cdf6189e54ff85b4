"""Outputs in the course of a training, and of averaged weights. The programs are read in this process."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from deltanas.nets import DEFAULT_PRM, baselines
from deltanas.program import prm_text
from deltanas.train.average import TailAverage, untouched
from deltanas.train.job import Job
from deltanas.train.loop import fitted, train

IMAGES, TOLD = 40, 9
"""Images to train on and to evaluate: five batches of eight."""

ODD = """
import random
import numpy as np
import torch
from torch import nn


def supported_hyperparameters():
    return {"lr", "momentum"}


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.Linear(4, out_shape[0])
        self.register_buffer("seen", torch.zeros(1))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        SETUP

    def forward(self, x):
        FORWARD
        return self.last(torch.relu(self.norm(self.first(x))).mean((2, 3)))

    def train_setup(self, prm):
        self.criteria = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.parameters(), lr=0.1)

    def learn(self, train_data):
        for x, y in train_data:
            self.optimizer.zero_grad()
            self.criteria(self(x), y).backward()
            self.optimizer.step()
            self.steps += 1
"""


def odd(*, forward: str = "pass", setup: str = "pass", learn: str = "") -> str:
    text = ODD.replace("FORWARD", forward).replace("SETUP", setup)
    return text[: text.index("    def learn")] + learn if learn else text


def job(net: str, **known: Any) -> Job:
    prm = prm_text({**DEFAULT_PRM, "batch": 8})
    made = Job("train", net, "", prm, (1, 1, 8, 8), "classify", (3,), seed=1, epochs=4, threads=1)
    return replace(made, training=IMAGES, evaluation=TOLD, mean=(127.0,), std=(60.0,), **known)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data() -> Iterator[int]:
    chance = np.random.default_rng(0)
    labels, pixels = chance.integers(0, 3, IMAGES), chance.integers(0, 256, (IMAGES + TOLD, 1, 8, 8), np.uint8)
    fd = os.memfd_create("data")
    os.write(fd, labels.tobytes() + pixels.tobytes())
    yield fd
    os.close(fd)


def outputs(raw: bytes) -> NDArray[np.float32]:
    return np.frombuffer(raw, np.float32).reshape(-1, TOLD, 3)


DRAWS = "self.seen += 1 + 0 * torch.rand(1) * random.random() * np.random.rand(); x = x + self.seen % 2"
DRAWN = "x = x + torch.rand(1) + random.random() + np.random.rand()"


@pytest.mark.parametrize("forward", ["pass", DRAWS, DRAWN], ids=["plain", "counts", "draws"])
@pytest.mark.parametrize("average", [0.0, 0.5])
def test_what_is_read_in_between_changes_nothing_of_the_training(data: int, forward: str, average: float) -> None:
    net = odd(forward=forward)
    alone = train(job(net, average=average), data)
    watched = outputs(train(job(net, average=average, evaluate=(1, 3), both=True), data))
    assert watched[-1].tobytes() == alone
    assert len(watched) == (6 if average else 3)
    assert len({one.tobytes() for one in watched}) == len(watched), "each is of another moment, or of other weights"


def test_what_is_read_in_between_is_what_a_shorter_training_ends_with(data: int) -> None:
    net = baselines()["mobilenet"]
    watched = outputs(train(job(net, average=0.5, evaluate=(1, 2), both=True), data))
    for place, epochs in ((0, 1), (2, 2), (4, 4)):
        last = replace(job(net), epochs=epochs)
        assert train(last, data) == watched[place].tobytes()
        assert train(replace(last, average=0.5), data) == watched[place + 1].tobytes()


def test_a_network_that_evaluates_in_another_layout_trains_on_in_its_own(data: int) -> None:
    net = odd(forward="self.training or self.first(x).view(len(x), -1)")
    assert outputs(train(job(net, evaluate=(1, 2)), data))[-1].tobytes() == train(job(net), data)


def test_the_mean_is_that_of_the_weights_after_each_of_the_last_steps(data: int) -> None:
    """By hand: the same training, with a copy of the state after each step."""
    kept = "self.kept = []"
    step = "            self.optimizer.step()\n            self.kept.append(copy.deepcopy(self.state_dict()))\n"
    text = (
        odd(setup=kept)
        .replace("            self.optimizer.step()\n", step)
        .replace("import random", "import copy, random")
    )
    net, raw = fitted(job(text, average=0.5), data)
    states = net.kept[10:]  # type: ignore[index]
    assert len(states) == 10
    for name, value in net.state_dict().items():
        if name == "steps":
            assert int(value) == 20, "integers stay as they are"
        elif "norm" in name and "running" in name:  # moved once more before the next step, by what the net sees then
            assert torch.allclose(value, torch.stack([one[name] for one in states]).mean(0), atol=0.1)
        elif not name.endswith("tracked"):
            assert torch.allclose(value, torch.stack([one[name] for one in states]).mean(0), atol=1e-6)
    again, _ = fitted(job(text), data)
    again.load_state_dict(net.state_dict())
    assert raw != train(job(text), data)


LEARN = "    def learn(self, train_data):\n"
LOOP = LEARN + "        for x, y in train_data:\n"
LOSS = "            self.optimizer.zero_grad()\n            self.criteria(self(x), y).backward()\n"
LAST = {
    "never steps": LEARN + "        pass\n",
    "steps by hand": LOOP + LOSS + "            [p.data.sub_(0.1 * p.grad) for p in self.parameters()]\n",
    "takes all batches before it steps": LEARN
    + "        for x, y in list(train_data):\n"
    + LOSS
    + "            self.optimizer.step()\n",
    "another layer at the end": LOOP
    + LOSS
    + "            self.optimizer.step()\n        self.last = nn.Linear(4, 3)\n",
    "another shape at the end": LOOP
    + LOSS
    + "            self.optimizer.step()\n        self.seen.data = torch.zeros(2)\n",
}


@pytest.mark.parametrize("learn", LAST.values(), ids=LAST)
def test_where_nothing_can_be_averaged_the_last_weights_are_evaluated(data: int, learn: str) -> None:
    net = odd(learn=learn)
    last = replace(job(net), epochs=1)
    assert train(replace(last, average=0.5), data) == train(last, data)
    one, other = outputs(train(replace(last, average=0.5, both=True), data))
    assert one.tobytes() == other.tobytes()


AVERAGED = {
    "two optimizers": {
        "setup": "self.other = torch.optim.Adam(self.last.parameters(), lr=0.01)",
        "learn": LOOP + LOSS + "            self.optimizer.step(); self.other.step()\n",
    },
    "a closure": {
        "setup": "self.lbfgs = torch.optim.LBFGS(self.parameters(), lr=0.01, max_iter=2)",
        "learn": LOOP
        + "            def closure():\n                self.lbfgs.zero_grad()\n"
        + "                loss = self.criteria(self(x), y)\n                loss.backward()\n"
        + "                return loss\n            self.lbfgs.step(closure)\n",
    },
    "a step every second batch": {
        "learn": LEARN
        + "        for number, (x, y) in enumerate(train_data):\n"
        + LOSS
        + "            if number % 2:\n                self.optimizer.step()\n",
    },
    "shared and odd tensors": {
        "setup": "; ".join(
            (
                "self.again = nn.Linear(4, out_shape[0], bias=False)",
                "self.again.weight = self.last.weight",
                "self.register_buffer('viewed', self.seen.view(1, 1))",
                "self.register_buffer('wide', torch.zeros(1).expand(5))",
                "self.register_buffer('halves', torch.ones(2, dtype=torch.bfloat16))",
                "self.register_buffer('sparse', torch.eye(2).to_sparse(), persistent=False)",
                "self.register_buffer('nothing', None)",
            )
        ),
    },
    "a lazy layer": {
        "setup": "self.lazy = nn.LazyLinear(out_shape[0])",
        "forward": "return self.lazy(torch.relu(self.norm(self.first(x))).mean((2, 3)))",
    },
    "weights under a norm": {
        "setup": "self.last = nn.utils.parametrizations.weight_norm(self.last)",
    },
}


@pytest.mark.parametrize("odds", AVERAGED.values(), ids=AVERAGED)
def test_odd_programs_are_averaged_and_left_alone(data: int, odds: dict[str, str]) -> None:
    known = job(odd(**odds), evaluate=(2,), average=0.5)
    one, last = outputs(train(replace(known, average=0.0), data))
    averaged = outputs(train(known, data))
    assert np.isfinite(averaged).all()
    assert not np.array_equal(averaged[0], one)
    assert not np.array_equal(averaged[1], last)
    assert outputs(train(replace(known, both=True), data))[2].tobytes() == last.tobytes()


def test_weights_and_mean_change_places_and_back_even_where_tensors_share_memory() -> None:
    net = torch.nn.Linear(2, 2)
    net.register_buffer("view", net.weight.detach()[0])
    tail = TailAverage(net, 1.0, 3)
    for number in range(1, 4):
        tail.before_step(number)
        with torch.no_grad():
            net.weight.fill_(number)
            net.bias.fill_(-number)
    assert tail.end()
    before = copy.deepcopy(net.state_dict())
    tail.swap()
    assert net.weight.tolist() == [[2.0, 2.0]] * 2
    assert net.bias.tolist() == [-2.0, -2.0]
    tail.swap()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_untouched_takes_back_what_a_network_does_to_itself() -> None:
    net = torch.nn.BatchNorm1d(2)
    before = copy.deepcopy(net.state_dict())
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    with untouched(net, "cpu"):
        net(torch.rand(4, 2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
