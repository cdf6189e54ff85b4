from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.main import get_command
from typer.testing import CliRunner

pytest.importorskip("ethosu")

from deltanas import npu
from deltanas.cli import app
from deltanas.errors import DataError, UsageError
from deltanas.npu import Checker, target_of, targets
from npu.graphs import GRAPHS, graph


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker(timeout=60) as open_:
        yield open_


def test_a_report_names_every_operator_and_where_it_runs(checker: Checker) -> None:
    found = checker.check(graph("erf", None), "ethos-u85", (32, 48))
    assert [(one.op, one.where) for one in found.nodes] == [("Conv", "npu"), ("Erf", "cpu"), ("Conv", "npu")]
    assert (found.kind, found.fallbacks, found.size) == ("compiler", 1, (32, 48))
    assert found.version.startswith("ethos-u-vela ")
    assert found.traffic_bytes is not None
    assert found.traffic_bytes > 4 * 8 * 32 * 48  # what goes in and out of Erf, and of the network, at least


def test_what_is_computed_beforehand_is_folded(checker: Checker) -> None:
    model = onnx.load_from_string(graph("relu"))
    model.graph.node.append(helper.make_node("Shape", ["x"], ["sizes"], "sizes"))
    model.graph.node.append(helper.make_node("Reshape", ["z", "sizes"], ["same"], "same"))
    model.graph.node[2].input[0] = "same"
    order = [0, 1, 3, 4, 2]
    nodes = [model.graph.node[place] for place in order]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    found = {one.op: one.where for one in checker.check(model.SerializeToString()).nodes}
    assert found == {"Conv": "npu", "Relu": "npu", "Shape": "folded", "Reshape": "npu"}


def test_a_list_is_said_to_be_one_with_its_source_and_knows_no_traffic(checker: Checker) -> None:
    found = checker.check(graph("elu"), "mediatek")
    assert (found.kind, found.traffic_bytes, found.fallbacks) == ("list", None, 1)
    assert "kSupportedOps, commit " in found.version


def test_files_that_are_none_or_incomplete_are_told(checker: Checker) -> None:
    for raw, words in ((b"no such file", "no ONNX file"), (b"", "no operator in it")):
        with pytest.raises(DataError, match=words):
            checker.check(raw)
    model = onnx.load_from_string(graph("relu"))
    held = model.graph.initializer[0]
    held.data_location = TensorProto.EXTERNAL
    with pytest.raises(DataError, match="in another file"):
        checker.check(model.SerializeToString())


def test_what_is_too_large_is_not_computed_beforehand(checker: Checker) -> None:
    model = onnx.load_from_string(graph("relu"))
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["sizes"], ["huge"]))
    model.graph.node.insert(0, helper.make_node("Constant", [], ["sizes"], value_ints=[1 << 20, 1 << 20]))
    found = {one.op: one.where for one in checker.check(model.SerializeToString()).nodes}
    assert found["ConstantOfShape"] != "folded"
    assert found["Relu"] == "npu"


def test_sizes_that_are_not_known_are_told(checker: Checker) -> None:
    with pytest.raises(DataError, match="any size") as caught:
        checker.check(_vector(), "ethos-u85")
    assert "sizes fixed" in caught.value.hint
    image: list[str | int | None] = ["n", 3, "h", "w"]
    given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, image) for name in "xy")
    halves = [
        helper.make_node("MaxPool", ["x"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Upsample", ["half", "scales"], ["whole"]),
        helper.make_node("Add", ["x", "whole"], ["y"]),
    ]
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    graph = helper.make_graph(halves, "g", [given], [made], [scales])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)])
    with pytest.raises(DataError, match="not known before") as caught:
        checker.check(bytes(model.SerializeToString()), "ethos-u85", (33, 64))
    assert "that the network's strides divide" in caught.value.hint


def test_operators_that_are_none_of_onnx_are_told(checker: Checker) -> None:
    """As in files with activations of sixteen bits; no --size would help."""
    model = onnx.load_from_string(graph("relu"))
    node = next(one for one in model.graph.node if one.op_type == "Relu")
    node.op_type, node.domain = "QuickGelu", "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(DataError, match=r"QuickGelu of com\.microsoft is no operator of ONNX") as caught:
        checker.check(model.SerializeToString(), "mediatek")
    assert "model.onnx or model.int8.onnx" in caught.value.hint


def _vector() -> bytes:
    given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy")
    model = helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [given], [made]))
    return bytes(model.SerializeToString())


def test_unknown_targets_and_missing_compilers_are_told_with_the_line_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="unknown target 'ethos'") as caught:
        target_of("ethos")
    assert target_of(caught.value.hint.removeprefix("known: ").split(", ")[0])
    monkeypatch.setattr("deltanas.npu.catalog.find_spec", lambda name: None)
    for name, line in (
        ("ethos-u85", "deltanas[npu]"),
        ("snapdragon-8-elite", "deltanas[qnn]"),
        ("xnnpack", "deltanas[xnnpack]"),
    ):
        with pytest.raises(UsageError, match=f"compiler for {name} is not installed") as caught:
            target_of(name)
        assert f"pip install '{line}'" in caught.value.hint


def test_an_answer_that_makes_no_sense_is_not_believed(checker: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    from deltanas.npu import checker as module

    good: dict[str, Any] = {"nodes": [["a", "Conv", "npu"]], "traffic": 1, "size": [1, 1]}
    for change in ({"traffic": -1}, {"nodes": [["a", "Conv", "moon"]]}, {"nodes": "a"}, {"traffic": "much"}):
        monkeypatch.setattr(module, "object_of", lambda line, change=change: good | change)
        with pytest.raises(DataError, match="makes no sense"):
            checker.check(graph("relu"))


def test_the_command_tells_it_as_json_and_as_a_table(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(graph("depthtospace", None))
    made = CliRunner().invoke(app, ["npu", "check", str(file), "--size", "64x64", "--json"])
    found = json.loads(made.stdout)
    assert set(found) >= {"target", "kind", "nodes", "fallbacks", "traffic_bytes"}
    assert (found["target"], found["kind"], found["fallbacks"]) == (npu.FIRST, "compiler", 1)
    assert {"name", "op", "where"} == set(found["nodes"][0])
    made = CliRunner().invoke(app, ["npu", "check", str(file), "--target", "mediatek"])
    assert "1 on the processor; memory traffic not known" in made.stdout
    assert "list, not compiler" in made.stderr


def test_the_name_of_an_onnx_file_may_be_in_capitals(tmp_path: Path) -> None:
    file = tmp_path / "NET.ONNX"
    file.write_bytes(graph("depthtospace", None))
    made = CliRunner().invoke(app, ["npu", "check", str(file), "--target", "mediatek"])
    assert "1 on the processor" in made.stdout
    made = CliRunner().invoke(app, ["npu", "check", str(file), "--target", "xnnpack"])
    assert "xnnpack takes programs, not ONNX" in str(made.exception)


def test_the_size_of_each_task_is_told() -> None:
    (size,) = (one for one in get_command(app).commands["npu"].commands["check"].params if one.name == "size")  # type: ignore[attr-defined]
    assert "default: 1088x1920 for --task denoise, 32x32 for --task classify." in size.help


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["nix"], "no network 'nix'"), (["resnet"], "resnet is one of --task classify"), (["half", "--task", "x"], "task"),
     (["half", "--size", "3"], "no height and width"), (["half", "--target", "x"], "unknown target")],
)  # fmt: skip
def test_what_can_not_be_checked_is_told_at_once(arguments: list[str], words: str) -> None:
    made = CliRunner().invoke(app, ["npu", "check", *arguments])
    assert isinstance(made.exception, UsageError)
    assert words in str(made.exception)


@pytest.mark.slow
def test_a_built_in_denoiser_is_checked_at_its_real_size() -> None:
    made = CliRunner().invoke(app, ["npu", "check", "half", "--json"])
    found = json.loads(made.stdout)
    assert found["size"] == [1088, 1920]
    assert [one["op"] for one in found["nodes"] if one["where"] == "cpu"] == ["DepthToSpace"]
    assert 300e6 < found["traffic_bytes"] < 3e9


@pytest.mark.slow
@pytest.mark.parametrize("name", GRAPHS)
def test_qualcomms_placement_is_the_one_that_is_known(checker: Checker, name: str) -> None:
    pytest.importorskip("onnxruntime_qnn")
    found = checker.check(graph(name), "snapdragon-8-elite")
    assert {one.op for one in found.nodes if one.where == "cpu"} == set(GRAPHS[name][2])
    assert found.traffic_bytes


def test_every_target_has_a_name_of_its_own_and_says_what_it_is() -> None:
    assert all(name == one.name and one.about for name, one in targets().items())
    assert all(one.runs or (one.source and one.version and one.operators) for one in targets().values())
