"""Which operators of a network an NPU takes, and the bytes that it moves through memory, by its compiler."""

from deltanas.npu.catalog import FIRST, SIZE, target_of, targets
from deltanas.npu.checker import Checker, UnfinishedError
from deltanas.npu.programs import graph_of, partition_of
from deltanas.npu.report import Placed, Report

__all__ = [
    "FIRST",
    "SIZE",
    "Checker",
    "Placed",
    "Report",
    "UnfinishedError",
    "graph_of",
    "partition_of",
    "target_of",
    "targets",
]
