"""Arm's compiler for the Ethos-U, Vela: which operators it takes, and the bytes that it counts. Runs in the sandbox."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.resources import files
from math import prod
from typing import Any

from deltanas.npu.flat import Net, flat

_FAST = ("sram", "lutram", "shram")
"""Memories of the NPU itself."""
_COMPILER = """
[compiler]
enable_db=true
output_format=TFLite
cop_format=COP1
[scheduler]
optimize=Performance
arena_size_limit={arena}
disable_feature=
cpu_tensor_alignment=16
tensor_allocator=HillClimb
[graph]
"""


def compiled(net: Net, options: Mapping[str, str]) -> tuple[set[int], int]:
    """The places of the operators that Vela leaves to the processor, and the bytes through memory.

    The bytes are those that Vela counts for the NPU, and what the processor's operators read and write once.
    """
    regor: Any = importlib.import_module("ethosu.regor")
    held = (files("ethosu") / "config_files" / "Arm" / "vela.ini").read_text("utf-8")
    system = (
        f"[architecture]\nmacs={options['macs']}\ncores=1\n[vela]\nsystem_config_name={options['system']}\n"
        f"memory_mode_name={options['memory']}\n{held}"
    )
    compiler = _COMPILER.format(arena=options["arena"])
    made = regor.compile(options["accelerator"], flat(net), "TFLITE", system, options=compiler, verbose=False)
    outside = _left(made.opt_database.tables)
    if len(outside) != made.perf_report.cpuOps:
        raise ValueError(f"Vela counts {made.perf_report.cpuOps} operators on the processor and names {len(outside)}")
    traffic = sum(
        access.bytesRead + access.bytesWritten
        for name, memory in made.perf_report.memories.items()
        if name.lower() not in _FAST
        for access in memory.accesses.values()
    )
    for place in outside:
        one = net.operators[place]
        traffic += sum(prod(net.tensors[number].shape) for number in (*one.inputs, *one.outputs))
    return outside, int(traffic)


def _left(tables: Mapping[str, Any]) -> set[int]:
    """The places of operators that stand in no queue and no group of the NPU."""
    queued = {row[0] for row in _rows(tables, "queue", "optimised_id")}
    grouped = {row[0] for row in _rows(tables, "group", "id")}
    places = {number: int(place) for number, place in _rows(tables, "source", "id", "ext_key")}
    return {
        places[source]
        for number, source, optimised in _rows(tables, "perf", "id", "source_id", "optimised_id")
        if optimised not in queued and number not in grouped
    }


def _rows(tables: Mapping[str, Any], name: str, *columns: str) -> list[tuple[str, ...]]:
    table = tables.get(name)
    if table is None:
        return []
    header = list(table.header)
    return [tuple(row[header.index(column)] for column in columns) for row in table.data]
