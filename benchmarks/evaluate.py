"""What the sandbox costs: candidates through the pool against the same loop written by hand, in one run, in turns.

    .venv/bin/python benchmarks/evaluate.py [--dataset fashion-mnist] [--size 10000] [--repeats 3]

Prints one JSON object: seconds a candidate of both, their difference and ratio, and the time of a failing build check.
One worker with one thread each, so that both do the same work. Trust the ratio; the seconds are the machine's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from typing import Any

import torch

from deltanas import nets
from deltanas.program import Program
from deltanas.sandbox import LocalPool
from deltanas.train.data import Dataset, load
from deltanas.wiring import program_of


def by_hand(program: Program, data: Dataset, seed: int) -> float:
    """Seconds of one epoch and the evaluation, over tensors in memory, in this process."""
    began = time.perf_counter()
    torch.manual_seed(seed)
    space: dict[str, Any] = {}
    exec(program.net, space)  # noqa: S102  a built-in network, not a candidate
    prm = program.hyperparameters
    net = space["Net"](data.in_shape, data.out_shape, prm, torch.device("cpu"))
    net.train_setup(prm)
    x = torch.from_numpy(data.train.x).float()
    mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    x, y = (x - mean) / std, torch.from_numpy(data.train.y)
    order, size = torch.randperm(len(x)), int(prm["batch"])
    net.train()
    net.learn([(x[order[i : i + size]], y[order[i : i + size]]) for i in range(0, len(x), size)])
    net.eval()
    held = (torch.from_numpy(data.validation.x).float() - mean) / std
    with torch.inference_mode():
        torch.cat([net(held[i : i + 256]) for i in range(0, len(held), 256)]).argmax(1).eq(
            torch.from_numpy(data.validation.y)
        ).float().mean()
    return time.perf_counter() - began


def through_the_pool(program: Program, pool: LocalPool, seed: int) -> float:
    began = time.perf_counter()
    list(pool.train([program], seed=seed))
    return time.perf_counter() - began


def failing_check(pool: LocalPool, net: str, number: int) -> float:
    broken = program_of(net.replace("class Net", f"raise ValueError({number})\n\n\nclass Net", 1))
    began = time.perf_counter()
    pool.build([broken])
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--size", type=int)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--nets", nargs="*", default=["resnet", "vgg", "mlp", "vit"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = load(arguments.dataset, train_size=arguments.size)
    programs = {name: program_of(nets.baseline(name)) for name in arguments.nets}
    rows = []
    with LocalPool(data, workers=1, timeout=600) as pool:
        through_the_pool(next(iter(programs.values())), pool, 0)  # warm: the server starts at its first use
        for program in programs.values():
            by_hand(program, data, 0)
        for repeat in range(arguments.repeats):
            for name, program in programs.items():
                rows.append((name, through_the_pool(program, pool, repeat), by_hand(program, data, repeat)))
        checks = [failing_check(pool, nets.baseline("mlp"), number) for number in range(20)]
    pooled, hand = (statistics.fmean(row[place] for row in rows) for place in (1, 2))
    result = {
        "dataset": arguments.dataset,
        "training_images": len(data.train),
        "nets": arguments.nets,
        "n": len(rows),
        "pool_seconds": round(pooled, 4),
        "by_hand_seconds": round(hand, 4),
        "ratio": round(pooled / hand, 3),
        "added_seconds": round(pooled - hand, 4),
        "failing_check_median_ms": round(1000 * statistics.median(checks), 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
