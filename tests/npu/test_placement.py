from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("ethosu")

from ethosu.vela.tflite.Model import Model

from deltanas.npu import targets, vela
from deltanas.npu.flat import Net, flat
from deltanas.npu.lowering import fixed, lowered
from npu.graphs import GRAPHS, graph

_NPU = b"ethos-u"


@pytest.mark.parametrize("name", GRAPHS)
def test_velas_placement_is_that_of_the_file_it_writes_and_the_one_that_is_known(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = _written(monkeypatch)
    net = lowered(fixed(graph(name), None))
    outside, traffic = vela.compiled(net, dict(targets()["ethos-u85"].options))
    kept = _kept_operators(written[-1])
    assert {net.tensors[net.operators[place].outputs[0]].name for place in outside} == kept
    left = {net.operators[place].node.partition("_")[0] for place in outside}
    assert left == set(GRAPHS[name][1])
    assert traffic > 0


def _written(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The files that Vela writes from here on."""
    from ethosu import regor

    files: list[bytes] = []
    compiled = regor.compile

    def compile_(*args: Any, **options: Any) -> Any:
        made = compiled(*args, **options)
        files.append(bytes(made.model))
        return made

    monkeypatch.setattr(regor, "compile", compile_)
    return files


def _kept_operators(file: bytes) -> set[str]:
    """The names of what operators give that are not the NPU's, in a file that Vela wrote."""
    model = Model.GetRootAsModel(file, 0)
    found = set()
    graph_ = model.Subgraphs(0)
    for place in range(graph_.OperatorsLength()):
        one = graph_.Operators(place)
        if model.OperatorCodes(one.OpcodeIndex()).CustomCode() != _NPU:
            found.add(graph_.Tensors(one.Outputs(0)).Name().decode())
    return found


def test_there_are_enough_graphs_and_some_fall_back() -> None:
    assert len(GRAPHS) >= 30
    assert sum(bool(one[1]) for one in GRAPHS.values()) >= 5


def test_of_two_sizes_the_larger_one_moves_more() -> None:
    options = dict(targets()["ethos-u85"].options)
    raw = graph("relu", None)
    small, large = (vela.compiled(lowered(fixed(raw, (side, side))), options)[1] for side in (64, 256))
    assert 8 * small < large < 32 * small


def test_a_file_of_no_operators_is_written() -> None:
    assert flat(Net())[4:8] == b"TFL3"
