"""A task is a record in `task.py` and its other half in `train/tasks.py`: the sandbox trains for it, the loop ranks by
it."""

from __future__ import annotations

import json
from pathlib import Path

from house import House

TASK = '''
@dataclass(frozen=True, slots=True)
class Ink:
    """How much of an image is ink: its mean brightness, a number from 0 to 1; the metric is the mean absolute error."""

    name: str = "ink"
    metric: Metric = Metric(
        "error",
        "lower",
        lambda score, n, per_image: Estimate(score, 0.9 * score, 1.1 * score),
        lambda score: f"{score:.4f}",
        lambda gain: f"{gain:+.4f}",
        "",
    )

    def out_shape(self, classes: int, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (1,)

    def target(self, x: NDArray[np.uint8], y: NDArray[Any]) -> NDArray[Any]:
        return (x.reshape(len(x), -1).mean(axis=1, keepdims=True) / 255).astype(np.float32)

    def scores(self, outputs: NDArray[np.float32], target: NDArray[Any]) -> Floats:
        return np.abs(outputs.astype(np.float64) - target)[:, 0]

    def packed(self, scores: Floats) -> bytes:
        return scores.astype("<f4").tobytes()

    def unpacked(self, packed: bytes, n: int) -> Floats:
        if len(packed) != 4 * n:
            raise ValueError(f"{len(packed)} bytes are not the scores of {n} images")
        return np.frombuffer(packed, "<f4").astype(float)


TASKS["ink"] = Ink()
'''

CHILD = """
CHILD_TASKS["ink"] = ChildTask(
    torch.float32,
    target_shape=lambda out_shape: out_shape,
    examples=lambda n, out_shape: torch.rand(n, *out_shape),
)
"""

NET = '''"""A small network that gives a number."""

import torch
from torch import nn


def supported_hyperparameters():
    return {"lr", "momentum"}


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.hidden = nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], 16)
        self.act = nn.ReLU()
        self.head = nn.Linear(16, out_shape[0])

    def forward(self, x):
        return self.head(self.act(self.hidden(x.flatten(1))))

    def train_setup(self, prm):
        self.criteria = nn.MSELoss()
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def learn(self, train_data):
        for inputs, targets in train_data:
            self.optimizer.zero_grad()
            self.criteria(self(inputs), targets).backward()
            self.optimizer.step()
'''


READ = """
import json, deltanas
from deltanas.journal import Journal
from deltanas.task import task_of

view = deltanas.open_run("run")
task = task_of(view.manifest)
trained = [c for c in view.candidates if c.score is not None]
best, *_ = Journal(view.candidates, metric=task.metric).parents
others = [c for c in trained if c is not best]
kept = [len(task.unpacked(c.trainings[0].per_image, c.trainings[0].n)) for c in trained]
print(json.dumps([best.score, [c.score for c in others], kept, trained[0].outcome.n]))
"""


def test_a_task_touches_two_files(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.change("task.py", ("", TASK))
    house.change("train/tasks.py", ("", CHILD))
    (tmp_path / "small.py").write_text(NET)

    small = ("--task", "ink", "--strategy", "random", "--baseline", "small.py", "--prm", "lr=0.02")
    house.run("search", *small, "--cycles", 2, "--candidates", 3, "--unsafe", "--run", "run")
    assert house.touched == {"task.py", "train/tasks.py"}

    best, others, kept, n = json.loads(house.python(READ))
    assert best < 0.05, "the error of a guess is about 0.07"
    assert best <= min(others), "less is better: the best of all is the first parent"
    assert kept == [n] * (1 + len(others))
    house.run("runs", "report", "run", "--no-open")
