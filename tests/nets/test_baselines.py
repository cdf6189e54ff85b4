"""The baselines' promises: they read as text, keep the contract at every size, and learn in one epoch."""

from __future__ import annotations

import ast
import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from deltanas.errors import UsageError
from deltanas.nets import DEFAULT_PRM, baseline, baselines

FASHION = Path("/usr/share/datasets/fashion-mnist")
NAMES = list(baselines())
Arrays = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def build(name: str, in_shape: tuple[int, ...], classes: int) -> Any:
    """The network, set up; its text is our own and runs here."""
    module: dict[str, Any] = {"__name__": name}
    exec(compile(baseline(name), f"{name}.py", "exec", dont_inherit=True), module)
    assert module["supported_hyperparameters"]() <= set(DEFAULT_PRM)
    net = module["Net"]((4, *in_shape), (classes,), DEFAULT_PRM, torch.device("cpu"))
    net.train_setup(DEFAULT_PRM)
    return net


def accuracy(name: str, data: Arrays, seed: int) -> float:
    """Validation accuracy after one epoch under the default recipe."""
    inputs, labels, unseen, truth = data
    torch.manual_seed(seed)
    net = build(name, tuple(inputs.shape[1:]), 10)
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
    net.learn((inputs[rows], labels[rows]) for rows in torch.split(order, int(DEFAULT_PRM["batch"])))
    net.eval()
    with torch.no_grad():
        guesses = torch.cat([net(rows).argmax(1) for rows in torch.split(unseen, 500)])
    return float((guesses == truth).float().mean())


def normalised(inputs: np.ndarray, labels: np.ndarray, train: int, unseen: int) -> Arrays:
    """The first `train` images and the last `unseen` ones, scaled by the mean and deviation of the first."""
    x = torch.from_numpy(inputs.astype(np.float32))[:, None]
    y = torch.from_numpy(labels.astype(np.int64))
    mean, deviation = x[:train].mean(), x[:train].std()
    x = (x - mean) / deviation
    return x[:train], y[:train], x[-unseen:], y[-unseen:]


def test_there_are_thirteen_and_more_in_the_order_of_their_names() -> None:
    assert len(NAMES) >= 13
    assert sorted(NAMES) == NAMES
    assert "__init__" not in NAMES


def test_a_baseline_is_found_by_name() -> None:
    assert "class Net(nn.Module)" in baseline("resnet")
    with pytest.raises(UsageError, match="resnext") as caught:
        baseline("resnext")
    assert "resnet" in caught.value.hint


def test_reading_the_texts_imports_neither_torch_nor_a_network() -> None:
    code = (
        "import sys, deltanas.nets as nets; nets.baselines();"
        "print([name for name in sys.modules if name == 'torch' or name.startswith('deltanas.nets.')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_short_and_import_only_torch(name: str) -> None:
    text = baseline(name)
    tree = ast.parse(text)
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    sources = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert 40 <= len(text.splitlines()) <= 90
    assert ast.get_docstring(tree)
    assert imports <= {"torch", "torch.nn.functional"}
    assert sources == {"torch", "collections.abc"}


def test_all_train_alike() -> None:
    """The recipe is held fixed when networks are compared, so every file must state the same one."""
    tails = {text[text.index("    def train_setup") :] for text in baselines().values()}
    assert len(tails) == 1


@pytest.mark.parametrize("classes", [2, 100])
@pytest.mark.parametrize(
    "in_shape", [(1, 8, 8), (3, 11, 11), (1, 28, 28), (3, 32, 32), (1, 17, 24), (3, 64, 64)], ids=str
)
@pytest.mark.parametrize("name", NAMES)
def test_one_step_at_every_size(name: str, in_shape: tuple[int, ...], classes: int) -> None:
    torch.manual_seed(0)
    net = build(name, in_shape, classes)
    inputs, labels = torch.randn(4, *in_shape), torch.randint(classes, (4,))
    before = [weights.detach().clone() for weights in net.parameters()]
    net.learn(iter([(inputs, labels)]))
    assert any(not torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True))
    optimised = {id(weights) for group in net.optimizer.param_groups for weights in group["params"]}
    assert optimised == {id(weights) for weights in net.parameters()}
    assert torch.isfinite(net.criteria(net(inputs), labels))
    net.eval()
    with torch.no_grad():
        logits = net(inputs)
        alone = net(inputs[:1])
    assert logits.shape == (4, classes)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(alone, logits[:1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_last_batch_of_one_image_trains(name: str) -> None:
    net = build(name, (1, 8, 8), 10)
    net.learn([(torch.randn(1, 1, 8, 8), torch.tensor([3]))])
    assert all(torch.isfinite(weights).all() for weights in net.parameters())


@pytest.mark.parametrize("name", ["resnet", "mixer"])
def test_digits_in_one_epoch(name: str) -> None:
    digits = load_digits()
    data = normalised(digits.images, digits.target, train=1100, unseen=697)
    assert np.mean([accuracy(name, data, seed) for seed in range(2)]) > 0.75


@pytest.mark.slow
@pytest.mark.skipif(not FASHION.is_dir(), reason=f"{FASHION} is missing (Debian's package dataset-fashion-mnist)")
@pytest.mark.parametrize("name", NAMES)
def test_fashion_in_one_epoch(name: str) -> None:
    images = gzip.decompress((FASHION / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((FASHION / "train-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    data = normalised(pixels, np.frombuffer(labels, np.uint8, offset=8), train=10_000, unseen=10_000)
    assert accuracy(name, data, seed=0) >= 0.70
