"""Ray on machines of a network of their own: work is spread, data is sent once, machines die, are cut off, join."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from deltanas import open_run
from deltanas.records import RunView
from deltanas.train.data import load
from machines import Network, network

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not find_spec("ray"), reason="needs Ray: pip install 'deltanas[ray]'"),
]
BIN = Path(sys.executable).parent
HEAD = f"{Network.address(1)}:6379"
STORE = 90_000_000
IMAGES, SIDE = 2500, 32


@pytest.fixture
def machines() -> Iterator[Network]:
    with network() as made:
        yield made


def join(machines: Network, number: int, disk: str = "2g") -> None:
    """A node of one core; the first is the head. Comes back when it works."""
    role = ("--head", "--port", "6379", "--include-dashboard", "false") if number == 1 else ("--address", HEAD)
    here = ("--node-ip-address", Network.address(number), "--object-store-memory", str(STORE))
    command = (BIN / "ray", "start", "--block", "--num-cpus", "1", "--disable-usage-stats")
    for _ in range(3):  # Ray gives up for one answer that is lost on the way
        machines.start(number, *command, *here, *role, disk=disk)
        soon(lambda: "Ray runtime started" in machines.log(number) or machines.ended(number))
        if not machines.ended(number):
            return
        machines.kill(number)
    raise AssertionError(machines.log(number))


def soon(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def cluster(machines: Network, size: int) -> None:
    for number in range(1, size + 1):
        join(machines, number)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of ten kinds, told apart by where they are bright: 9 MB."""
    file = tmp_path_factory.mktemp("data") / "images.npz"
    rng = np.random.default_rng(0)
    y = np.arange(IMAGES) % 10
    x = rng.integers(0, 120, (IMAGES, SIDE, SIDE, 3), np.uint8)
    for kind in range(10):
        x[y == kind, 3 * kind : 3 * kind + 3] += 100
    np.savez(file, x=np.moveaxis(x, -1, 1), y=y)
    return file


class Searching:
    """A search that runs on one of the machines, and what it says."""

    def __init__(self, machines: Network, number: int, data: Path, run: Path) -> None:
        command = [str(BIN / "deltanas"), *search(data), "--executor", "ray", "--address", HEAD, "--run", str(run)]
        self.lines: list[str] = []
        self._run = run
        self._process = machines.within(number, *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as said:
            self.lines.extend(line.decode() for line in said)

    def until(self, words: str) -> None:
        deadline = time.monotonic() + 400
        while words not in self.text:
            assert self._process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)

    def status(self) -> int:
        status = self._process.wait(600)
        self._reader.join()
        return status

    def ends_as(self, undisturbed: RunView) -> None:
        assert self.status() == 0, self.text
        assert rows(open_run(self._run)) == rows(undisturbed)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def spread(self) -> dict[str, int]:
        told = re.findall(r"trainings by node: (.*)", self.text)[-1]
        return {host: int(number) for host, number in (part.split() for part in told.split(", "))}


def search(data: Path) -> list[str]:
    return [
        "search", "--dataset", f"npz:{data}", "--strategy", "random", "--cycles", "4", "--candidates", "6",
        "--epochs", "1", "--seed", "3", "--baseline", "mlp", "--baseline", "nin",
    ]  # fmt: skip


def rows(view: RunView) -> list[tuple[object, ...]]:
    return [
        (c.cycle, c.index, c.program and c.program.id, c.parent, type(c.outcome).__name__, c.score, len(c.trainings))
        for c in view.candidates
    ]


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunView:
    """The run of one machine."""
    run = tmp_path_factory.mktemp("local") / "run"
    done = subprocess.run([BIN / "deltanas", *search(data), "--run", run], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    view = open_run(run)
    assert sum(c.score is not None for c in view.candidates) >= 12
    return view


@pytest.fixture(scope="module")
def size(data: Path) -> int:
    """Bytes that a node needs: the images of the three splits, and the classes of those that are trained on."""
    found = load(f"npz:{data}")
    return sum(split.x.nbytes for split in (found.train, found.validation, found.test)) + found.train.y.nbytes


def test_work_is_spread_and_a_machine_that_dies_costs_retries_alone(
    machines: Network, data: Path, size: int, undisturbed: RunView, tmp_path: Path
) -> None:
    cluster(machines, 3)
    before = machines.received(2)
    searching = Searching(machines, 1, data, tmp_path / "run")
    searching.until("cycle 1/4: training")
    with machines.held(1, "ray::Node"), machines.held(2, "ray::Node"):  # else they do all of the work meanwhile
        machines.kill(3)
        searching.until("lost node node3")
        join(machines, 3)
        soon(lambda: machines.received(3) > 0.6 * size)
    searching.ends_as(undisturbed)
    assert set(searching.spread()) == {"node1", "node2", "node3"}
    trained = searching.spread()["node2"]
    assert trained >= 3
    received = machines.received(2) - before
    assert 0.6 * size < received < 1.3 * size + 40_000 * trained, (received, size, trained)
    assert machines.received(3) < 1.3 * size + 1_000_000  # since it came back


@pytest.mark.slow
def test_a_machine_that_joins_in_the_middle_of_a_batch_is_used(
    machines: Network, data: Path, size: int, undisturbed: RunView, tmp_path: Path
) -> None:
    cluster(machines, 1)
    searching = Searching(machines, 1, data, tmp_path / "run")
    searching.until("cycle 1/4: training")
    with machines.held(1, "ray::Node"):
        join(machines, 2)
        soon(lambda: machines.received(2) > 0.6 * size)
    searching.ends_as(undisturbed)
    assert searching.spread()["node2"] >= 1


@pytest.mark.slow
def test_a_machine_whose_cable_is_pulled_costs_retries_alone(
    machines: Network, data: Path, undisturbed: RunView, tmp_path: Path
) -> None:
    cluster(machines, 2)
    searching = Searching(machines, 1, data, tmp_path / "run")
    searching.until("cycle 1/4: training")
    machines.cut(2)
    searching.ends_as(undisturbed)
    assert "lost node node2" in searching.text


@pytest.mark.slow
def test_without_its_head_a_search_ends_and_goes_on_when_there_is_one(
    machines: Network, data: Path, undisturbed: RunView, tmp_path: Path
) -> None:
    cluster(machines, 2)
    searching = Searching(machines, 2, data, tmp_path / "run")
    searching.until("cycle 1/4: training")
    machines.kill(1)
    assert searching.status() == 1, searching.text
    assert "mend the cluster and give the same command again" in searching.text
    view = open_run(tmp_path / "run")
    assert not view.finished
    assert rows(view)[:2] == rows(undisturbed)[:2]
    assert {type(c.outcome).__name__ for c in view.candidates} <= {"Trained", "Refused", "NoneType"}
    machines.kill(2)
    cluster(machines, 2)
    again = Searching(machines, 2, data, tmp_path / "run")
    assert again.status() == 0, again.text
    assert rows(open_run(tmp_path / "run")) == rows(undisturbed)


LARGE = """
import numpy as np
from deltanas.errors import SandboxError
from deltanas.sandbox import RayPool
from deltanas.testing.runner import HONEST
from deltanas.train.data import Dataset, Images
def images(n): return Images(np.zeros((n, 3, 32, 32), np.uint8), np.arange(n) % 10)
try:
    with RayPool(Dataset("large", images(200), images(35_000), images(10), 10), address=ADDRESS) as pool:
        print(*(type(outcome).__name__ for _, outcome in pool.train([HONEST] * 3, seed=0)), *pool.spread())
except SandboxError as error:
    print(error.message, error.hint)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("disks", "told"),
    [
        (("2g", "2g"), r"Trained Trained Trained node\d node\d"),  # Ray lays the data on the disk
        (("2g", "60m"), "Trained Trained Trained node1"),
        (
            ("60m", "2g"),
            r"the data \(108 MB\) can't be given to the cluster: Local disk is full .*--object-store-memory BYTES.*",
        ),
    ],
)
def test_data_that_a_machine_has_no_room_for_is_no_fault_of_a_candidate(
    machines: Network, disks: tuple[str, str], told: str
) -> None:
    for number, disk in enumerate(disks, 1):
        join(machines, number, disk)
    script = f"ADDRESS = {HEAD!r}{LARGE}"
    pool = machines.within(1, sys.executable, "-c", script, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    printed, errors = pool.communicate(timeout=200)
    assert re.fullmatch(told, printed.decode().strip()), (printed, errors)
    assert (b"lost node node2" in errors) is (disks[1] == "60m")
