"""Clusters that break, and whole searches on Ray by the command line. Each starts a cluster or two of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from deltanas import open_run
from support import Command, told

sys.path.append(str(Path(__file__).parents[1] / "contracts"))
from runner_contract import below, cmdline, gone

pytestmark = [
    pytest.mark.alone,
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not find_spec("ray"), reason="needs Ray: pip install 'deltanas[ray]'"),
]
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
SEARCH = ("search", "--strategy", "random", "--cycles", "1", "--candidates", "2", "--train-size", "200", "--seed", "3",
          "--baseline", "mlp", "--baseline", "nin", "--rungs", "off")  # fmt: skip
HEAD = f"""
import sys, threading, time
import ray
sys.path.append({sys.path[-1]!r})
from ray.cluster_utils import Cluster
from runner_contract import HONEST, learning, train_one
from deltanas.errors import SandboxError
from deltanas.sandbox import RayPool
from deltanas.train.data import load
SLOW = learning("import time; time.sleep(1.5)")
cluster = Cluster(initialize_head=True, head_node_args={{"num_cpus": NODES[0], "include_dashboard": False}})
others = [cluster.add_node(num_cpus=cpus) for cpus in NODES[1:]]
"""


def run(script: str, *nodes: int) -> str:
    """What the script prints, run in a process of its own, as Ray reads its settings once a process."""
    done = subprocess.run(
        [sys.executable, "-c", f"NODES = {nodes}\n{HEAD}{script}"],
        env={**os.environ, **LOOPBACK},
        capture_output=True,
        text=True,
        timeout=390,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_node_lost_in_the_middle_costs_no_result() -> None:
    printed = run(
        """
with RayPool(load("digits"), address=cluster.address) as pool:
    before = train_one(pool, HONEST).score
    threading.Timer(2.0, cluster.remove_node, (others[0],), {"allow_graceful": False}).start()
    outcomes = list(pool.train([SLOW] * 8, seed=0))
    print(sorted(place for place, _ in outcomes) == list(range(8)))
    print({outcome.score for _, outcome in outcomes} == {before})
    while sum(node["Alive"] for node in ray.nodes()) > 1:
        time.sleep(0.2)
    print(train_one(pool, HONEST).score == before)
""",
        1,
        1,
    )
    assert printed.splitlines()[-3:] == ["True"] * 3


def test_a_cluster_that_is_gone_is_an_error_that_says_so() -> None:
    printed = run(
        """
with RayPool(load("digits"), address=cluster.address, timeout=60) as pool:
    outcomes = pool.train([HONEST, *[learning("while True: pass")] * 2], seed=0)
    next(outcomes)
    cluster.head_node.kill_gcs_server(check_alive=False)
    begun = time.monotonic()
    try:
        next(outcomes)
    except SandboxError as error:
        print(error.message)
        print(error.hint)
        print(time.monotonic() - begun < 50)
""",
        2,
    )
    message, hint, soon = printed.splitlines()[-3:]
    assert "the Ray cluster is gone" in message
    assert "same command again" in hint
    assert soon == "True"


def test_a_search_on_ray_that_was_killed_ends_as_the_local_one(installed: Command, tmp_path: Path) -> None:
    assert installed(*SEARCH, "--run", "local").returncode == 0
    command = [str(Path(sys.executable).with_name("deltanas")), *SEARCH, "--executor", "ray", "--run", "run"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as search:
        assert search.stderr is not None
        for line in search.stderr:
            if "training the baselines" in line:
                break
        # Ray's own agents end too, but only once they have given up telling the cluster of its end, in a minute or two.
        family = {pid for pid in below(search.pid) if b"Agent" not in cmdline(pid)}
        assert any(b"zygote" in cmdline(pid) for pid in family)
        search.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while not all(map(gone, family)):
        assert time.monotonic() < deadline, "a process outlived the kill of the search"
        time.sleep(0.1)
    assert not open_run(tmp_path / "run").finished
    resumed = installed("search", "--run", "run")
    assert resumed.returncode == 0, resumed.stderr
    assert told(open_run(tmp_path / "run")) == told(open_run(tmp_path / "local"))
