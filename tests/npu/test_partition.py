"""Targets that read programs: XNNPACK, by ExecuTorch's partitioner. What needs its package is skipped without it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deltanas import nets, npu
from deltanas.cli import app
from deltanas.config import read_config
from deltanas.errors import DataError, SandboxError, UsageError
from deltanas.npu import Report, graph_of, partition_of, programs, targets
from deltanas.program import Program
from deltanas.sandbox import Ended
from deltanas.task import CLASSIFY, DENOISE
from deltanas.wiring import program_of
from deltanas.wiring.choosing import require_objectives
from npu.graphs import graph


def test_an_onnx_file_is_refused_with_what_to_give_instead(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(graph("relu"))
    made = CliRunner().invoke(app, ["npu", "check", str(file), "--target", "xnnpack"])
    assert isinstance(made.exception, UsageError)
    assert "takes programs, not ONNX" in made.exception.message
    assert "or another target, as --target " in made.exception.hint
    pytest.importorskip("ethosu")
    other = made.exception.hint.rpartition("--target ")[2]
    assert CliRunner().invoke(app, ["npu", "check", str(file), "--target", other]).exit_code == 0


def test_a_target_that_counts_no_bytes_is_no_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltanas.npu.catalog.find_spec", lambda name: True)
    asked = {"task": "denoise", "dataset": "photos", "objectives": "psnr,traffic"}
    for name in ("xnnpack", "mediatek"):
        with pytest.raises(UsageError, match=f"{name} knows no traffic") as caught:
            require_objectives(read_config({**asked, "npu": name}))
    others = caught.value.hint.removeprefix("give --npu one of ").split(",")
    assert others == [name for name, one in targets().items() if one.runs in ("vela", "qnn")]
    assert require_objectives(read_config({**asked, "npu": others[0]}))


def test_the_command_tells_partitions_and_what_is_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (npu.Placed("a", "aten.convolution.default", "delegate"), npu.Placed("b", "aten.sort.default", "cpu"))
    found = Report("xnnpack", "compiler", rows, 1, None, "executorch 0", (8, 8), 1)
    monkeypatch.setattr("deltanas.npu.catalog.find_spec", lambda name: True)
    monkeypatch.setattr("deltanas.cli.npu.partition_of", lambda *_, **__: found)
    made = CliRunner().invoke(app, ["npu", "check", "half", "--target", "xnnpack"])
    assert "xnnpack (executorch 0): 1 operators in 1 partitions, 1 outside of them" in made.stdout
    told = json.loads(CliRunner().invoke(app, ["npu", "check", "half", "--target", "xnnpack", "--json"]).stdout)
    assert (told["partitions"], told["traffic_bytes"], told["fallbacks"]) == (1, None, 1)


@pytest.mark.parametrize("target", ["ethos-u85", "xnnpack"])
def test_a_program_is_not_run_where_the_sandbox_is_not_tight(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltanas.npu.catalog.find_spec", lambda name: True)
    monkeypatch.setattr("deltanas.sandbox.ForkServer.tier", "C")
    ran: list[object] = []

    def run(*asked: object, **_: object) -> Ended:
        ran.append(asked)
        return Ended("exit", 0, 1.0, 1.0, b'{"failed": "error", "reason": "ran"}\n', "")

    monkeypatch.setattr(programs, "run_alone", run)
    command = ["npu", "check", "half", "--target", target]
    made = CliRunner().invoke(app, command)
    assert isinstance(made.exception, SandboxError)
    assert ran == []
    option = made.exception.hint.rpartition(" ")[2]
    assert "ran" in str(CliRunner().invoke(app, [*command, option]).exception)


@pytest.mark.parametrize("name", ["my p.py", "half.py"])
def test_the_command_that_says_more_can_be_pasted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    line = b'{"failed": "error", "reason": "no"}\n'
    monkeypatch.setattr(programs, "run_alone", lambda *_, **__: Ended("exit", 0, 1.0, 1.0, line, ""))
    for ask in (
        lambda program: graph_of(program, DENOISE, (64, 64), name, unsafe=True),
        lambda program: partition_of(program, DENOISE, (64, 64), name, "mediatek", unsafe=True),
    ):
        with pytest.raises(DataError) as caught:
            ask(_u("nearest"))
        command = shlex.split(caught.value.hint.split("`")[1])
        assert command == ["deltanas", "check", name, "--task", "denoise", "--dataset", "photos"]


def _u(mode: str) -> Program:
    """The built-in U, with an upsampling of this kind."""
    source = nets.baselines(DENOISE.name)["lite"]
    assert source.count('mode="nearest"') == 1
    return program_of(source.replace('mode="nearest"', f'mode="{mode}"'))


@pytest.mark.slow
def test_nearest_upsampling_cuts_the_published_shape_and_bilinear_does_not() -> None:
    pytest.importorskip("executorch")
    found = partition_of(_u("nearest"), DENOISE, (1088, 1920), "lite", "xnnpack")
    outside = {one.op for one in found.nodes if one.where == "cpu"}
    assert (found.kind, found.traffic_bytes, found.size) == ("compiler", None, (1088, 1920))
    assert (found.partitions, found.fallbacks, len(outside)) == (5, 4, 1)
    assert "upsample_nearest2d" in outside.pop()
    assert found.version.startswith("executorch ")
    whole = partition_of(_u("bilinear"), DENOISE, (1088, 1920), "lite", "xnnpack")
    assert (whole.partitions, whole.fallbacks) == (1, 0)


@pytest.mark.slow
def test_programs_that_do_not_build_are_told_and_answers_that_make_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("executorch")
    with pytest.raises(DataError, match=r"my\.py can't be checked for xnnpack: .*no") as caught:
        partition_of(Program.of("raise ValueError('no')"), CLASSIFY, (32, 32), "my.py", "xnnpack")
    assert "`deltanas check my.py --task classify`" in caught.value.hint
    good: dict[str, Any] = {"nodes": [["a", "aten.add.Tensor", "delegate"]], "traffic": None, "size": [8, 8]}
    for change in ({"partitions": -1}, {"partitions": 2}, {"nodes": [["a", "add", "moon"]]}, {"partitions": True}):
        monkeypatch.setattr(programs, "_object", lambda raw, change=change: good | {"partitions": 1} | change)
        with pytest.raises(DataError, match="makes no sense"):
            partition_of(program_of(nets.baselines(DENOISE.name)["half"]), DENOISE, (8, 8), "half", "xnnpack")
