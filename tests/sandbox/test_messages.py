"""What the sandbox does not allow is told in words that are true of the program: its line, what is so, what to do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from deltanas.program import Failed, Refused
from deltanas.sandbox import LocalPool
from deltanas.train.data import Dataset, Images
from odd_programs import line_of, program, source

pytestmark = pytest.mark.alone

NO_GPU = "there is no GPU here: use the `device` that Net is given, not cuda"
COMPILED = (
    "torch.compile (flex_attention too) starts a compiler and writes files, and can do neither here: leave it out"
)
PRETRAINED = "pretrained weights can't be had here, as there is no network and no file: weights=None, pretrained=False"
NO_PROCESS = "no process can be started here: leave it out"
NO_NETWORK = "there is no network here, and no socket can be opened: leave it out"
NO_OTHERS = "there is one process here, and no network to others: leave torch.distributed out"
FORBIDDEN = "the sandbox does not allow that"


def unwritten(name: str) -> str:
    return f"nothing can be written here, as there is no folder to write to: leave {name} out"


def unread(name: str) -> str:
    said = "as there are no files but Python's own: write into the program what it needs"
    return f"{name} can't be read here (FileNotFoundError), {said}"


def lacking(package: str) -> str:
    return f"the package {package} can't be imported here: there are torch, "


# Where the code stands, the code, and what is said of it.
TOLD: list[tuple[str, str, str]] = [
    ("init", "self.head.cuda()", NO_GPU),
    ("init", 'self.to("cuda")', NO_GPU),
    ("forward", 'x = x.to(torch.device("cuda:0"))', NO_GPU),
    ("forward", 'x = x + torch.zeros(1, device="cuda")', NO_GPU),
    ("forward", "x = x.pin_memory()", NO_GPU),
    ("init", "torch.cuda.set_device(0)", NO_GPU),
    ("learn", "torch.cuda.synchronize()", NO_GPU),
    ("learn", "torch.cuda.reset_peak_memory_stats()", NO_GPU),
    ("init", "self.stream = torch.cuda.Stream()", NO_GPU),
    ("init", 'self.head.to("mps")', "there is no such device here: use the `device` that Net is given"),
    ("forward", "x = torch.compile(F.relu)(x)", COMPILED),
    ("init", "import torchvision; torchvision.models.resnet18(weights='DEFAULT')", PRETRAINED),
    ("init", 'torch.hub.load("pytorch/vision", "resnet18")', PRETRAINED),
    ("init", 'torch.hub.load_state_dict_from_url("https://example.org/a.pth")', PRETRAINED),
    ("init", "import timm", lacking("timm")),
    ("init", "from transformers import AutoModel", lacking("transformers")),
    ("init", "from torch.utils.tensorboard import SummaryWriter", lacking("tensorboard")),
    ("init", "from models.resnet import ResNet", lacking("models")),
    ("init", "from sklearn.datasets import load_digits", lacking("sklearn")),
    ("init", "from .blocks import Block", "the program is one file here: put what it imports from beside it into it"),
    ("init", "import torch.nn.functionall", "ModuleNotFoundError: No module named 'torch.nn.functionall'"),
    ("init", "from torch.nn import Conv4d", "ImportError: cannot import name 'Conv4d' from 'torch.nn'"),
    (
        "learn",
        "next(iter(torch.utils.data.DataLoader([(x[0], y[0]) for x, y in train_data], num_workers=2)))",
        "no process can be started here: give the DataLoader num_workers=0",
    ),
    ("learn", 'open("log.txt", "a").write("x")', unwritten("'log.txt'")),
    ("init", 'import logging; logging.FileHandler("train.log")', unwritten("'/train.log'")),
    ("learn", 'import os; os.makedirs("checkpoints", exist_ok=True)', unwritten("'checkpoints'")),
    ("learn", 'torch.save(self.state_dict(), "best.pth")', unwritten("that")),
    ("learn", 'import pathlib; pathlib.Path("x.csv").write_text("x")', unwritten("'x.csv'")),
    ("learn", "import tempfile; tempfile.mkdtemp()", "nothing can be written here"),
    ("init", 'open("config.json").read()', unread("'config.json'")),
    ("init", 'open("/etc/passwd").read()', unread("'/etc/passwd'")),
    ("init", 'self.load_state_dict(torch.load("best.pth"))', unread("'best.pth'")),
    ("init", 'import os; open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "a.txt"))', unread("'/a.txt'")),
    ("init", 'import os; os.listdir(".")', "'.' can't be read here"),
    (
        "init",
        "import torchvision; torchvision.datasets.CIFAR10('data', download=True)",
        "there is no data set here but what learn() is given: leave 'data' out",
    ),
    ("init", 'import subprocess; subprocess.run(["nvidia-smi"])', NO_PROCESS),
    ("init", "import multiprocessing as mp; mp.Process(target=print).start()", NO_PROCESS),
    ("init", "import multiprocessing as mp; mp.Pool(2)", NO_PROCESS),
    ("init", "from concurrent.futures import ProcessPoolExecutor as P; P(2).submit(abs, 1).result()", NO_PROCESS),
    ("init", "import torch.multiprocessing as mp; mp.spawn(print, nprocs=2)", NO_PROCESS),
    ("init", "self.share_memory()", "there are no other processes to share memory with: leave it out"),
    ("init", "import os; os.fork()", FORBIDDEN),
    ("init", "import os; os.nice(5)", FORBIDDEN),
    ("init", "import os, signal; os.kill(os.getppid(), signal.SIGTERM)", FORBIDDEN),
    ("init", 'import urllib.request as u; u.urlopen("http://example.org")', NO_NETWORK),
    ("init", "import socket; socket.socket()", NO_NETWORK),
    ("init", "import asyncio; asyncio.run(asyncio.sleep(0))", NO_NETWORK),
    ("init", 'import torch.distributed as d; d.init_process_group("gloo")', NO_OTHERS),
    ("init", "self.d = nn.parallel.DistributedDataParallel(self.head)", NO_OTHERS),
    ("init", 'input("go on?")', "nobody is here to answer input(): leave it out"),
    ("init", "import sys; sys.exit(3)", "SystemExit: 3: the program ends itself, so leave that out"),
    (
        "init",
        'import argparse; p = argparse.ArgumentParser(); p.add_argument("--lr", required=True); p.parse_args()',
        "there is no command line here to read options from: use `prm`",
    ),
    (
        "init",
        'import os; os.environ["MASTER_ADDR"]',
        "the environment has no 'MASTER_ADDR' here: write the value into the program",
    ),
    (
        "learn",
        "import threading as t, time; [t.Thread(target=time.sleep, args=(3,)).start() for _ in range(500)]",
        "no more threads can be started here: start fewer",
    ),
    (
        "forward",
        "x = F.conv2d(x, torch.ones(1, 1, 9, 9))",
        "the image has become too small by then, so pool or stride less before it, or take larger images",
    ),
    ("learn", "train_data.sampler.set_epoch(1)", "AttributeError: train_data has no sampler, but len(), dataset"),
    ("learn", "train_data[0]", "TypeError: train_data gives batches in a `for` loop, not by number: no train_data[0]"),
]

HARMLESS = [
    ("learn", 'print("x" * 10_000_000)'),
    ("learn", "[print(i) for i in range(100_000)]"),
    ("learn", "import time; time.sleep(0.05)"),
    ("learn", "import threading; t = threading.Thread(target=print); t.start(); t.join()"),
    ("init", "import signal; signal.signal(signal.SIGALRM, lambda *_: None)"),
    ("init", 'import os; os.environ["OMP_NUM_THREADS"] = "1"; os.getenv("HOME")'),
    ("init", "import os; os.path.dirname(os.path.abspath(__file__))"),
    ("init", "import inspect; assert 'class Net' in inspect.getsource(type(self))"),
    ("init", "import logging; logging.basicConfig(); logging.warning('x')"),
    ("init", "self.device = torch.device('cuda' if torch.cuda.is_available() else 'cpu'); self.to(self.device)"),
    ("learn", "n = len(train_data.dataset), len(train_data), train_data.batch_size; assert n == (4, 2, 2)"),
    ("learn", "x, y = train_data.dataset[0]; assert x.shape == (1, 8, 8) and len(train_data.dataset.targets) == 4"),
    ("learn", "assert not hasattr(train_data.dataset, 'word2idx') and getattr(train_data, 'sampler', None) is None"),
    ("learn", "x, y = next(train_data); assert x.shape == (2, 1, 8, 8)"),
    ("learn", "train_data = torch.utils.data.DataLoader([(x[0], y[0]) for x, y in train_data], 2)"),
]


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalPool]:
    images = Images(np.zeros((4, 1, 8, 8), np.uint8), np.arange(4))
    with LocalPool(Dataset("blank", images, images, images, 10), timeout=20, workers=1) as opened:
        yield opened


def written(where: str, code: str) -> str:
    return source(**{where: code})


@pytest.mark.parametrize(("where", "code", "told"), TOLD)
def test_a_reason_names_the_line_and_what_to_do(pool: LocalPool, where: str, code: str, told: str) -> None:
    text = written(where, code)
    (found,) = pool.build([program(text)])
    assert isinstance(found, Refused)
    assert found.reason.startswith(f"line {line_of(text, code)}: ")
    assert told in found.reason
    assert ";" not in found.reason, "lists of reasons are joined by it"


@pytest.mark.parametrize(("where", "code"), HARMLESS)
def test_what_does_no_harm_is_let_be(pool: LocalPool, where: str, code: str) -> None:
    (found,) = pool.build([program(written(where, code))])
    assert not isinstance(found, Refused), found


def test_a_training_tells_the_same_words(pool: LocalPool) -> None:
    """What the build check does not come by: its four images are fewer than those of the training."""
    text = source(forward='if self.training and len(x) == 3: x.to("cuda")')
    images = Images(np.zeros((3, 1, 8, 8), np.uint8), np.arange(3))
    with LocalPool(Dataset("blank", images, images, images, 10), timeout=20, workers=1) as opened:
        assert not isinstance(opened.build([program(text)])[0], Refused)
        ((_, found),) = opened.train([program(text)], seed=0)
    assert isinstance(found, Failed)
    assert found.reason == f"line {line_of(text, 'cuda')}: {NO_GPU}"


@pytest.mark.parametrize(
    ("forward", "told"),
    [
        ("if self.training: return x.flatten(1), x.flatten(1)", "while training, the network returns a tuple, not a"),
        (
            "if self.training: return {'out': self.head(x.flatten(1))}",
            "while training, the network returns a dict, not",
        ),
        (
            "if self.training: return None",
            "while training, the network returns a NoneType, not a tensor of shape (2, 10)",
        ),
        ("if self.training: return self.head.weight * x.mean()", "while training, the network returns shape (10, 64)"),
        ("if self.training: return self.head(x.flatten(1))[:1]", "while training, the network returns shape (1, 10)"),
    ],
)
def test_an_output_that_only_training_gives_is_told_where_learn_fails(pool: LocalPool, forward: str, told: str) -> None:
    text = source(forward=forward)
    (found,) = pool.build([program(text)])
    assert isinstance(found, Refused)
    assert found.stage == "step"
    assert found.reason.startswith(f"line {line_of(text, 'self.criteria(self(inputs), labels)')}: ")
    assert told in found.reason
    assert found.reason.endswith("so let learn() take that apart, or return the logits alone")


def test_one_that_waits_is_told_from_one_that_computes() -> None:
    images = Images(np.zeros((4, 1, 8, 8), np.uint8), np.arange(4))
    with LocalPool(Dataset("blank", images, images, images, 10), timeout=4, workers=2) as opened:
        waits, computes = opened.build(
            [program(source(init="import time; time.sleep(60)")), program(source(init="while True: pass"))]
        )
    assert isinstance(waits, Refused)
    assert isinstance(computes, Refused)
    assert waits.reason.startswith("took longer than 4 s, and computed for only 0.")
    assert waits.reason.endswith("does it sleep or wait for something?")
    assert computes.reason == "took longer than 4 s"
