from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from deltanas.nets import DEFAULT_PRM, baselines
from deltanas.program import prm_text
from deltanas.program.transforms import MENU, Step, transform_text
from deltanas.train.augment import Augmentation, run_wide
from deltanas.train.batches import Batches, normalise
from deltanas.train.faults import ContractError
from deltanas.train.job import Augment, Job
from deltanas.train.loop import construct, fitted, train


def batches(n: int, batch: int) -> Batches:
    x = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    return Batches(x, torch.arange(n), order, batch, torch.zeros(1, 1, 1), torch.ones(1, 1, 1))


def labels(pairs: list[tuple[Tensor, Tensor]]) -> list[int]:
    return [int(label) for _, y in pairs for label in y]


def test_every_image_comes_once_with_its_label() -> None:
    data = batches(10, 4)
    pairs = list(data)
    assert len(pairs) == len(data) == 3
    assert sorted(labels(pairs)) == list(range(10))
    for x, y in pairs:
        assert x.dtype == torch.float32
        assert x.flatten().tolist() == y.tolist()


def test_a_look_at_the_first_batch_costs_nothing_twice() -> None:
    data = batches(10, 4)
    first = next(iter(data))
    rest = list(data)
    assert sorted(labels([first, *rest])) == list(range(10))
    with pytest.raises(RuntimeError, match="over its data once"):
        iter(data)


@pytest.mark.parametrize(("n", "batch", "given"), [(9, 4, 8), (1, 4, 1), (8, 4, 8), (3, 1, 3)])
def test_a_last_batch_of_one_is_left_out(n: int, batch: int, given: int) -> None:
    assert len(labels(list(batches(n, batch)))) == given


def test_the_images_can_be_counted_and_looked_at_as_in_a_loader() -> None:
    data = batches(10, 4)
    assert (len(data.dataset), data.batch_size, data.drop_last, data.num_workers) == (10, 4, False, 0)
    assert data.dataset.targets.tolist() == list(range(10))
    assert [(float(x), int(y)) for x, y in map(data.dataset.__getitem__, range(10))] == [
        (float(n), n) for n in range(10)
    ]
    assert int(data.dataset[-1][1]) == 9
    whole = Batches(
        torch.ones(2, 1, 1, 1), torch.arange(2), torch.arange(2), 2, torch.ones(1, 1, 1), torch.ones(1, 1, 1)
    )
    assert [float(whole.dataset[0][0]) for _ in range(2)] == [0.0, 0.0], "a look changes no image"
    first = next(data)
    assert sorted(labels([first, *data])) == list(range(10)), "and takes no batch away"
    with pytest.raises(StopIteration):
        next(data)
    with pytest.raises(AttributeError, match="train_data has no sampler, but len"):
        data.sampler  # noqa: B018
    with pytest.raises(TypeError, match="not by number"):
        data[0]


def test_normalising_takes_each_channel_to_mean_0_and_deviation_1() -> None:
    x = torch.randint(0, 256, (50, 2, 6, 6), dtype=torch.uint8)
    mean = x.float().mean((0, 2, 3)).view(2, 1, 1)
    std = x.float().std((0, 2, 3)).view(2, 1, 1)
    y = normalise(x, mean, std)
    assert torch.allclose(y.mean((0, 2, 3)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(y.std((0, 2, 3)), torch.ones(2), atol=1e-4)


def job(transform: str, augment: tuple[Augment, ...] = ()) -> Job:
    shape = (1, 1, 8, 8)
    prm = prm_text(DEFAULT_PRM)
    known = Job("train", baselines()["mlp"], transform, prm, shape, "classify", (3,), seed=1, epochs=2, threads=1)
    return replace(known, training=40, evaluation=9, mean=(127.0,), std=(60.0,), augment=augment)


@pytest.fixture(scope="module")
def data() -> Iterator[int]:
    chance = np.random.default_rng(0)
    labels, pixels = chance.integers(0, 3, 40), chance.integers(0, 256, (49, 1, 8, 8), np.uint8)
    fd = os.memfd_create("data")
    os.write(fd, labels.tobytes() + pixels.tobytes())
    yield fd
    os.close(fd)


FLIP = "def transform(norm):\n    return transforms.Compose([transforms.RandomHorizontalFlip(0.5)])\n"


def test_a_transform_changes_training_images_and_no_evaluation_image(
    data: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = train(job(""), data)
    assert train(job(FLIP), data) == train(job(FLIP), data) != plain
    assert train(job(FLIP), data) == train(job("", augment=("flip",)), data)
    assert train(job(FLIP, augment=("crop",)), data) == train(job(FLIP), data), "it stands in place of the run's"
    seen: list[int] = []

    def untouched(_: Augmentation, x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        return x

    monkeypatch.setattr(Augmentation, "__call__", untouched)
    assert train(job(FLIP), data) == plain
    assert sum(seen) == 2 * 40


EVERY = transform_text([Step(name, one.at(2)) for name, one in list(MENU.items())[:16]])
SHOWN = """
import sys
import torch
from torch import nn


def supported_hyperparameters():
    return {"batch"}


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.labels, self.images = 0.0, 0.0

    def forward(self, x):
        rows = x.double().flatten(1)
        told = (rows * torch.arange(1, 65)).sum(1) + rows.sum(1) ** 2
        return torch.stack([told, told * 0 + self.labels, told * 0 + self.images * WATCHED], 1).float()

    def train_setup(self, prm):
        OVERRIDE

    def learn(self, train_data):
        for x, y in train_data:
            self.labels = (3 * self.labels + float((y * torch.arange(1, len(y) + 1)).sum())) % 100_003
            self.images += float(x.abs().sum())
"""
"""Its outputs tell the images that it is given to evaluate, the labels that it was given, and, if WATCHED, what it was
trained on."""


def shown(transform: str, *, override: str = "pass", watched: int = 0) -> Job:
    return replace(job(transform), net=SHOWN.replace("OVERRIDE", override).replace("WATCHED", str(watched)))


@pytest.mark.parametrize(
    "override",
    [
        "pass",
        "sys.modules['deltanas.train.augment'].Augmentation.__call__ = lambda self, x: x * 0",
        "sys.modules['deltanas.train.augment'].warped = lambda x, warps: x * 0",
        "sys.modules['deltanas.train.batches'].Batches._changed = lambda self: self._x[self._pieces[self.given]] * 0",
        "sys.modules['deltanas.train.loop'].read_transform = lambda text: ()",
        "self.augmentation = self.transform = self.train_transforms = lambda x: x * 0",
    ],
)
def test_evaluation_images_and_labels_are_the_same_with_any_transform_whatever_a_program_replaces(
    data: int, override: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, name in (  # the sandbox's child ends with its program; this process goes on
        (sys.modules["deltanas.train.augment"], "warped"),
        (sys.modules["deltanas.train.loop"], "read_transform"),
        (Augmentation, "__call__"),
        (Batches, "_changed"),
    ):
        monkeypatch.setattr(place, name, getattr(place, name))
    assert train(shown("", watched=1), data) != train(shown(EVERY, watched=1), data)
    assert train(shown(EVERY, override=override), data) == train(shown(""), data)


@pytest.mark.parametrize("batch", [4, 16, 40, 64])
def test_batches_are_changed_together_where_operations_are_of_the_program_and_one_by_one_where_of_the_run(
    batch: int,
) -> None:
    x = torch.randint(0, 256, (1000, 1, 12, 12), dtype=torch.uint8)
    order, zero, one = torch.arange(1000), torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    for steps, together in ((run_wide(["crop", "flip"]), 1), ((Step("RandomRotation", ((-9.0, 9.0),)),), 128 // batch)):
        given = Batches(x, order, order, batch, zero, one, augmentation=Augmentation(steps, 3))
        changes = Augmentation(steps, 3)
        expected = [changes(piece) for piece in torch.split(x[: 1000 // batch * batch], batch * together)]
        rest = x[1000 // batch * batch :]
        images = torch.cat([image for image, _ in given])
        if not len(rest):
            assert torch.equal(images, torch.cat(expected).float())
        assert torch.equal(images[: batch * together], expected[0].float())
        assert len(images) == 1000


def test_large_images_are_changed_batch_by_batch() -> None:
    augmentation = Augmentation([Step("RandomInvert", (0.5,))], 0)
    assert (augmentation.at_once(28 * 28), augmentation.at_once(3 * 224 * 224)) == (128, 3)


def test_a_transform_that_is_not_of_the_menu_trains_nothing(data: int) -> None:
    with pytest.raises(ContractError, match="not an operation of the menu"):
        train(job(FLIP.replace("RandomHorizontalFlip", "eval")), data)


LAYOUT = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, {size}, stride={stride}, bias=False)
        self.head = nn.Linear(16, out_shape[0])

    def forward(self, x):
        return self.head(self.stem(x).{pool})

    def train_setup(self, prm):
        self.optimizer = torch.optim.SGD(self.parameters(), lr=0.01)

    def learn(self, train_data):
        for x, y in train_data:
            self.contiguous = x.is_contiguous()
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self(x), y).backward()
            self.optimizer.step()
"""


@pytest.fixture(scope="module")
def coloured() -> Iterator[int]:
    chance = np.random.default_rng(0)
    fd = os.memfd_create("data")
    os.write(fd, chance.integers(0, 3, 40).tobytes() + chance.integers(0, 256, (49, 3, 8, 8), np.uint8).tobytes())
    yield fd
    os.close(fd)


def of_colours(size: int, stride: int, pool: str) -> Job:
    net = LAYOUT.format(size=size, stride=stride, pool=pool)
    return replace(job(""), net=net, in_shape=(1, 3, 8, 8), mean=(127.0,) * 3, std=(60.0,) * 3)


@pytest.mark.parametrize(("size", "stride", "contiguous"), [(1, 2, True), (1, 1, False), (3, 2, False)])
def test_what_torch_would_write_past_its_memory_is_trained_in_another_layout(
    coloured: int, size: int, stride: int, contiguous: bool
) -> None:
    net, _ = fitted(of_colours(size, stride, "mean((2, 3))"), coloured)
    assert bool(net.contiguous) == contiguous


def test_what_can_be_viewed_in_no_layout_fails_in_the_words_of_torch(coloured: int) -> None:
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        fitted(of_colours(3, 1, "transpose(1, 2)[:, ::2].view(len(x), 16, -1).mean(2)"), coloured)


def annotated(old: str, new: str) -> Job:
    net = LAYOUT.format(size=1, stride=1, pool="mean((2, 3))")
    return replace(of_colours(1, 1, ""), net=net.replace(old, new))


def test_annotations_are_what_plain_python_makes_of_them() -> None:
    net = construct(annotated("    def __init__", "    size: int = 1\n\n    def __init__"))
    assert type(net).__annotations__["size"] is int


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="annotations are evaluated only where they are asked for")
def test_an_annotation_that_is_not_imported_is_an_error() -> None:
    with pytest.raises(NameError, match="Dict"):
        construct(annotated("prm, device)", "prm: Dict[str, float], device)"))
