"""What a network can be checked for: compilers, and lists of operators where there is no compiler to be had."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import Literal

from deltanas.errors import UsageError

Kind = Literal["compiler", "list"]
FIRST = "ethos-u85"
"""The target that is meant where none is named: its compiler is open."""


SIZE = (1088, 1920)
"""Height and width of a real image: at 256 x 256 much stays in an NPU's own memory, and networks rank otherwise."""


@dataclass(frozen=True, slots=True)
class Target:
    """A processor, or a list that stands for one.

    Attributes:
        about: what it is, in a line. runs: which compiler is run, "" for a list. options: of the compiler.
        package: what it is imported by. wheel: what is installed. extra: of deltanas, which installs it.
        source, version: of a list. operators: of TensorFlow Lite, by name, that a list holds.
    """

    name: str
    about: str
    runs: Literal["vela", "qnn", "xnnpack", ""] = ""
    options: tuple[tuple[str, str], ...] = ()
    package: str = ""
    wheel: str = ""
    extra: str = ""
    source: str = ""
    version: str = ""
    operators: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        return "compiler" if self.runs else "list"

    @property
    def counts(self) -> bool:
        """Whether it knows the bytes through memory."""
        return self.runs in ("vela", "qnn")

    @property
    def takes(self) -> Literal["onnx", "program"]:
        return "program" if self.runs == "xnnpack" else "onnx"


def _ethos(name: str, about: str, macs: int, system: str, memory: str, arena: int) -> Target:
    options = {
        "accelerator": "EthosU" + name[-2:],
        "macs": str(macs),
        "system": system,
        "memory": memory,
        "arena": str(arena),
    }
    return Target(name, about, "vela", tuple(options.items()), "ethosu", "ethos-u-vela", "npu")


def _snapdragon(name: str, about: str, arch: int, soc: int) -> Target:
    options = (("htp_arch", str(arch)), ("soc_model", str(soc)))
    return Target(name, about, "qnn", options, "onnxruntime_qnn", "onnxruntime-qnn", "qnn")


def _list(name: str, about: str) -> Target:
    held = tomllib.loads(files("deltanas.npu").joinpath("lists", f"{name}.toml").read_text("utf-8"))
    return Target(name, about, source=held["source"], version=held["version"], operators=tuple(held["operators"]))


@cache
def targets() -> Mapping[str, Target]:
    """All of them by name."""
    dram = "Dedicated_Sram_384KB"
    known: Sequence[Target] = (
        _ethos("ethos-u55", "Arm Ethos-U55, 128 MACs, SRAM and flash", 128, "Ethos_U55_High_End_Embedded",
               "Shared_Sram", 1 << 31),
        _ethos("ethos-u65", "Arm Ethos-U65, 256 MACs, 384 KiB of SRAM, DRAM", 256, "Ethos_U65_High_End", dram, 393216),
        _ethos("ethos-u85", "Arm Ethos-U85, 256 MACs, 384 KiB of SRAM, DRAM", 256, "Ethos_U85_SYS_DRAM_Mid", dram,
               393216),
        _snapdragon("snapdragon-8-gen-2", "Qualcomm HTP v73", 73, 43),
        _snapdragon("snapdragon-8-gen-3", "Qualcomm HTP v75", 75, 57),
        _snapdragon("snapdragon-8-elite", "Qualcomm HTP v79", 79, 69),
        _snapdragon("snapdragon-8-elite-gen-5", "Qualcomm HTP v81", 81, 87),
        Target("xnnpack", "XNNPACK on the processor, by ExecuTorch's partitioner", "xnnpack", package="executorch",
               wheel="executorch", extra="xnnpack"),
        _list("mediatek", "MediaTek NeuroPilot by LiteRT"),
    )  # fmt: skip
    return {one.name: one for one in known}


def target_of(name: str, *, onnx: bool = False) -> Target:
    """The target of a name. onnx: an ONNX file is to be checked for it.

    Raises UsageError where there is none, where it takes no ONNX, or where its compiler is not installed.
    """
    known = targets()
    if name not in known:
        raise UsageError(f"unknown target {name!r}", f"known: {', '.join(known)}")
    target = known[name]
    if onnx and target.takes == "program":
        raise UsageError(
            f"{name} takes programs, not ONNX: its partitioner reads what torch exports",
            f"give the program (`runs export` writes it as net.py), or another target, as --target {FIRST}",
        )
    needed = (target.package, *(("onnx", "flatbuffers") if target.takes == "onnx" else ()))
    missing = [one for one in needed if one and find_spec(one) is None]
    if missing:
        extra = target.extra or "npu"
        own = " (proprietary: its licence is Qualcomm's own)" if target.runs == "qnn" else ""
        what = "the compiler for" if target.package in missing else "what is needed for"
        raise UsageError(
            f"{what} {name} is not installed: no {' and no '.join(missing)}", f"pip install 'deltanas[{extra}]'{own}"
        )
    return target
