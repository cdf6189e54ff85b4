"""Denoisers that want a better score than they earn: nothing in a child tells the clean evaluation images."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from deltanas.imagery import psnr
from deltanas.program import Failed, Program, Trained, prm_text
from deltanas.sandbox import LocalPool
from deltanas.task import DENOISE
from deltanas.testing.runner import train_one
from deltanas.train.data.photos import installed_photos
from pairs_of_images import PRM, denoiser, pairs

pytestmark = pytest.mark.alone

DATA = pairs(64)
"""So many pixels that no wrong guess at an image's noise lies near it by luck: at 16 x 16 it may gain .03 dB."""
NET = """
import gc, mmap, os
import numpy as np
import torch
from torch import nn


def supported_hyperparameters():
    return {"lr"}


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen = 0

    def forward(self, x):
        return FORWARD

    def trick(self, x):
        TRICK

    def train_setup(self, prm):
        self.optimizer = torch.optim.SGD(self.parameters(), lr=1e-9)

    def learn(self, train_data):
        for noisy, clean in train_data:
            self.optimizer.zero_grad()
            (self(noisy) - clean).square().mean().backward()
            self.optimizer.step()
        self.seen += len(train_data)
"""


def hostile(forward: str, trick: str = "return x") -> Program:
    lines = trick.strip().replace("\n", "\n        ")
    return Program.of(NET.replace("FORWARD", forward).replace("TRICK", lines), prm=prm_text(PRM))


IDENTITY = hostile("x + 0 * self.weight")
NOISY = float(psnr(DATA.validation.x, DATA.validation.y).mean())


@pytest.fixture(scope="module")
def runner() -> Iterator[LocalPool]:
    with LocalPool(DATA, task=DENOISE, epochs=2, timeout=20, memory_bytes=2**30, workers=1) as pool:
        yield pool


def score(runner: LocalPool, program: Program) -> float:
    outcome = train_one(runner, program)
    assert isinstance(outcome, Trained), outcome
    return outcome.score


def test_one_that_returns_its_input_scores_what_the_noisy_images_do(runner: LocalPool) -> None:
    assert score(runner, IDENTITY) == pytest.approx(NOISY, abs=1e-9)


def test_one_that_learns_scores_better(runner: LocalPool) -> None:
    outcome = train_one(runner, denoiser("plain", lr=0.005))
    assert isinstance(outcome, Trained), outcome
    kept = DENOISE.unpacked(outcome.per_image or b"", outcome.n)
    assert kept.mean() == pytest.approx(outcome.score, abs=1e-4)
    assert dict(outcome.further)["ssim"] < 1


REDRAWN = """
import hashlib, math
y = x.clone()
for place in range(len(x)):
    for key in (b"", b"a", b"training noise: a child sees the clean images beside it"):
        seed = hashlib.sha256(key + f"waves:validation:{place}".encode()).digest()
        chance = np.random.RandomState(np.frombuffer(seed, np.uint32))
        noise = torch.from_numpy(chance.standard_normal(x.shape[1:])).float()
        for shot in (0.0004, 0.002, 0.008):
            light = x[place].clamp(1e-6, 1) ** 2.2
            read = math.exp(2.18 * math.log(shot) + 1.2)
            was = (light - (shot * light + read).sqrt() * noise).clamp(1e-6, 1) ** (1 / 2.2)
            if (was[:, 1:] - was[:, :-1]).abs().mean() < (y[place][:, 1:] - y[place][:, :-1]).abs().mean():
                y[place] = was
return y
"""


def test_one_that_draws_the_noise_again_gains_nothing(runner: LocalPool) -> None:
    """With the secret the same code takes the noise off: what it lacks is the secret, not the skill."""
    told = REDRAWN.replace('b"a"', 'b"a secret"')
    trick = "x if self.training else self.trick(x)"
    blind = score(runner, hostile(f"({trick}) + 0 * self.weight", REDRAWN))
    assert blind <= NOISY + 0.01
    assert score(runner, IDENTITY) == pytest.approx(NOISY, abs=1e-9)
    places = {image.tobytes(): place for place, image in enumerate(DATA.validation.x)}
    assert len(places) == len(DATA.validation.x)
    by_place = told.replace("{place}", "{self.order[place]}")
    order = runner._evaluated("validation")[1].tolist()
    knowing = hostile(f"({trick}) + 0 * self.weight", f"self.order = {order}\n{by_place}")
    assert score(runner, knowing) > NOISY + 1


FOUND = """
rows = [bytes.fromhex(row) for row in {rows!r}]
held = [os.pread(4, os.fstat(4).st_size, 0)]
tensors = [one for one in gc.get_objects() if type(one) is torch.Tensor and one.dtype is torch.uint8]
held += [one.contiguous().numpy().tobytes() for one in tensors]
held += [memory[:] for memory in gc.get_objects() if isinstance(memory, mmap.mmap)]
if any(row in one for row in rows for one in held):
    raise RuntimeError("found a clean image")
return x
"""


@pytest.mark.parametrize(
    ("images", "found"), [(DATA.train.y, True), (DATA.validation.y, False), (DATA.test.y, False)], ids=str
)
def test_no_clean_evaluation_image_is_in_a_child(runner: LocalPool, images: np.ndarray, found: bool) -> None:
    """The search finds the clean training images, which are there."""
    rows = [image[0, :8].tobytes().hex() for image in images]
    outcome = train_one(
        runner, hostile("(x if self.seen < 2 else self.trick(x)) + 0 * self.weight", FOUND.format(rows=rows))
    )
    assert isinstance(outcome, Failed) == found, outcome
    if isinstance(outcome, Failed):
        assert "found a clean image" in outcome.reason


def test_photographs_that_lie_on_this_machine_are_not_read(runner: LocalPool) -> None:
    trick = "for path in PATHS:\n    open(path, 'rb').read()\n    raise RuntimeError('read a photograph')\nreturn x"
    paths = [str(path) for path in installed_photos()]
    assert paths
    outcome = train_one(runner, hostile("self.trick(x) + 0 * self.weight", trick.replace("PATHS", repr(paths))))
    assert isinstance(outcome, Failed), outcome
    assert "read a photograph" not in outcome.reason


@pytest.mark.parametrize(
    ("forward", "says"),
    [
        ("x[:, :, 1:] + self.weight", r"returns shape \(2, 3, 63, 64\), not \(2, 3, 64, 64\)"),
        ("x.repeat(1, 2, 1, 1) + self.weight", "returns shape"),
        ("x if self.training else (255 * x).to(torch.uint8)", "returns uint8, not floats from 0 to 1"),
        ("torch.complex(x + self.weight, x)", "returns complex numbers"),
        ("(x + self.weight) / 0", "not finite"),
        ("[x + self.weight]", "returns a list"),
    ],
)
def test_outputs_of_another_kind_are_refused(runner: LocalPool, forward: str, says: str) -> None:
    (refusal,) = runner.build([hostile(forward)])
    assert not hasattr(refusal, "params"), refusal
    assert re.search(says, refusal.reason), refusal.reason


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')"])
def test_values_that_are_not_finite_have_no_score(runner: LocalPool, value: str) -> None:
    outcome = train_one(runner, hostile(f"x + self.weight * 0 + (0 if self.training or self.seen < 2 else {value})"))
    assert isinstance(outcome, Failed)
    assert "not finite" in outcome.reason
