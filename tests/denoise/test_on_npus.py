"""Denoisers on NPUs: eight bits, scored beside floats, and the traffic of each network of a search."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from deltanas.config import read_config
from deltanas.errors import DataError
from deltanas.export.quantizing import MOST_LOSS, Quantized, quantized
from deltanas.npu import Checker, UnfinishedError
from deltanas.objective import TRAFFIC
from deltanas.onnxfile import with_metadata
from deltanas.prediction import Denoiser, open_export
from deltanas.program import Program
from deltanas.sandbox import Ended, Exported, LocalPool
from deltanas.task import DENOISE
from deltanas.wiring.choosing import measures_of
from pairs_of_images import denoiser, pairs

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalPool]:
    with LocalPool(pairs(), task=DENOISE, epochs=8, timeout=60, workers=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def found(pool: LocalPool) -> Exported:
    ((_, found),) = pool.export([denoiser("half")], seed=0)
    assert isinstance(found, Exported)
    assert found.onnx is not None
    return found


@pytest.fixture(scope="module")
def made(pool: LocalPool, found: Exported) -> tuple[Quantized, bytes, NDArray[np.uint8]]:
    """The record, the file, and the images that told the ranges."""
    assert found.onnx is not None
    seen: list[NDArray[np.uint8]] = []
    plain = pool.quantized

    def watched(graph: bytes, pixels: NDArray[np.uint8], activations: Literal[8, 16]) -> object:
        seen.append(pixels)
        return plain(graph, pixels, activations)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "quantized", watched)
        made = quantized(found.onnx, found, pool, {"name": "value"})
    assert not isinstance(made, str), made
    return *made, seen[0]


def test_eight_bits_lose_little_and_the_loss_is_that_of_the_file(
    pool: LocalPool, found: Exported, made: tuple[Quantized, bytes, NDArray[np.uint8]]
) -> None:
    told, file, _ = made
    assert found.onnx is not None
    assert told.high <= MOST_LOSS["psnr"]
    assert told.warned is False
    assert told.low <= told.loss <= told.high
    assert told.bytes == len(file) < 0.5 * len(found.onnx)
    model = onnx.load_from_string(file)
    onnx.checker.check_model(model, full_check=True)
    assert {one.op_type for one in model.graph.node} >= {"QuantizeLinear", "DequantizeLinear", "Conv"}
    assert {one.key: one.value for one in model.metadata_props}["name"] == "value"
    targets = pool.targets("both")
    answer = pool.infer(file, pool.evaluated("both", told.images))
    assert isinstance(answer, np.ndarray)
    apart = DENOISE.scores(found.outputs, targets) - DENOISE.scores(answer, targets)
    assert told.loss == pytest.approx(apart.mean(), abs=1e-9)


def test_activations_of_sixteen_bits_lose_less(
    pool: LocalPool, found: Exported, made: tuple[Quantized, bytes, NDArray[np.uint8]]
) -> None:
    assert found.onnx is not None
    wide = quantized(found.onnx, found, pool, {}, "w8a16")
    assert not isinstance(wide, str), wide
    assert wide[0].loss < made[0].loss
    assert not wide[0].warned
    types = {one.name: one.data_type for one in onnx.load_from_string(wide[1]).graph.initializer}
    kinds = [kind for name, kind in types.items() if name.endswith("_zero_point")]
    assert {onnx.TensorProto.UINT16, onnx.TensorProto.INT8} <= set(kinds)
    assert onnx.TensorProto.UINT8 not in kinds


def test_no_sum_of_eight_bits_is_cut_off(
    pool: LocalPool, made: tuple[Quantized, bytes, NDArray[np.uint8]], tmp_path: Path
) -> None:
    """As ONNX Runtime does on x86 processors without VNNI; floats in place of the integers tell what is due."""
    pixels = pool.evaluated("both", made[0].images)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    floats = onnxruntime.InferenceSession(made[1], options, providers=["CPUExecutionProvider"])
    (due,) = floats.run(None, {"pixels": pixels.astype(np.float32)})
    answer = pool.infer(made[1], pixels)
    assert isinstance(answer, np.ndarray)
    assert np.abs(255 * (answer - due)).mean() < 0.1
    texts = {"deltanas": json.dumps({"task": "denoise", "program": "x"}), "num_channels": "3"}
    (tmp_path / "model.int8.onnx").write_bytes(with_metadata(made[1], texts))
    denoiser = open_export(tmp_path / "model.int8.onnx")
    assert isinstance(denoiser, Denoiser)
    assert np.abs(255 * (np.stack([denoiser.computed(one) for one in pixels]) - due)).mean() < 0.1


def test_an_npu_takes_the_file_of_eight_bits_as_that_of_floats(
    found: Exported, made: tuple[Quantized, bytes, NDArray[np.uint8]]
) -> None:
    pytest.importorskip("ethosu")
    assert found.onnx is not None
    with Checker() as checker:
        floats, integers = (checker.check(file, "ethos-u85", (64, 64)) for file in (found.onnx, made[1]))
    assert floats.fallbacks == integers.fallbacks == 1
    assert abs(floats.traffic_bytes - integers.traffic_bytes) < 0.1 * floats.traffic_bytes  # type: ignore[operator]
    assert {one.op for one in integers.nodes if one.where == "folded"} == {"QuantizeLinear", "DequantizeLinear"}


def test_training_images_alone_tell_the_ranges(
    pool: LocalPool, made: tuple[Quantized, bytes, NDArray[np.uint8]]
) -> None:
    known = {one.tobytes() for one in pool.dataset.train.x}
    assert all(one.tobytes() in known for one in made[2])
    assert len(made[2]) == min(64, len(pool.dataset.train))


def test_a_network_that_loses_much_is_told(
    pool: LocalPool,
    found: Exported,
    made: tuple[Quantized, bytes, NDArray[np.uint8]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(MOST_LOSS, "psnr", -1.0)
    monkeypatch.setattr(pool, "quantized", lambda *_: made[1])
    again = quantized(b"", found, pool, {})
    assert isinstance(again, tuple)
    assert again[0].warned


def test_what_can_not_be_quantised_gives_the_reason(pool: LocalPool, found: Exported) -> None:
    made = quantized(b"no ONNX file", found, pool, {})
    assert isinstance(made, str)
    assert made.startswith("ONNX Runtime does not quantise it: ")


def test_networks_are_measured_at_their_real_size_and_what_falls_back_is_kept(
    pool: LocalPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ethosu")
    config = read_config({"task": "denoise", "dataset": "photos", "objectives": "psnr,traffic"})
    with ExitStack() as stack:
        measure = measures_of(config, pool, stack)[TRAFFIC]
        plain = denoiser("half")
        gated = plain.net.replace("y = self.trunk(y)", "y = y * nn.functional.adaptive_avg_pool2d(self.trunk(y), 1)")
        programs = [plain, plain.edited("net", gated), Program.of("raise ValueError('no')")]
        half, wider, broken = measure(programs)
        assert half.value is not None
        assert 1088 * 1920 * 3 * 2 < half.value < 3e9
        assert half.detail == "ethos-u85: 1 DepthToSpace on the processor"
        assert wider.value is not None, wider.detail
        assert wider.value > half.value
        assert broken.value is None
        assert "can't be exported" in broken.detail
        tries = []

        def busy(self: Checker, *_: object) -> None:
            tries.append(1)
            raise UnfinishedError("out of time", "", Ended("timeout", -9, 1.0, 1.0, b"", ""))

        monkeypatch.setattr(Checker, "check", busy)
        (found,) = measure([denoiser("half")])
        assert found.value is None
        assert len(tries) == 3

        def refused(self: Checker, *_: object) -> None:
            raise DataError("not for this one")

        monkeypatch.setattr(Checker, "check", refused)
        (found,) = measure([denoiser("half")])
        assert (found.value, found.detail) == (None, "not for this one")
