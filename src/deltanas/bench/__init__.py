"""Benchmarks: what an evaluation costs, beside other ways to the same score; how edits are read, and what draws
from the space of edits are worth; and a corpus of networks with other widths."""

from deltanas.bench.decode import bench_decode
from deltanas.bench.edits import bench_edits
from deltanas.bench.evaluate import bench_evaluate
from deltanas.bench.mutants import write_mutants
from deltanas.bench.novelty import bench_novelty
from deltanas.bench.propose import bench_propose
from deltanas.bench.sandbox import bench_sandbox
from deltanas.bench.soak import soak
from deltanas.bench.space import bench_space
from deltanas.bench.workers import bench_workers

__all__ = [
    "bench_decode",
    "bench_edits",
    "bench_evaluate",
    "bench_novelty",
    "bench_propose",
    "bench_sandbox",
    "bench_space",
    "bench_workers",
    "soak",
    "write_mutants",
]
