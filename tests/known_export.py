"""Exports whose networks are known: a class for the largest of the pixels' weighted sums."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from deltanas.train.data import Meaning


@dataclass(frozen=True)
class Known:
    """An export in a folder, and what its network computes."""

    folder: Path
    meaning: Meaning
    weights: NDArray[np.float32]

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """pixels: [c, h, w]."""
        logits = pixels.reshape(-1).astype(np.float64) @ self.weights / 255
        powers = np.exp(logits - logits.max())
        shares: NDArray[np.float64] = powers / powers.sum()
        return shares


def onnx_bytes(meaning: Meaning, weights: NDArray[np.float32], operator: str = "MatMul") -> bytes:
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node(operator, ["flat", "w"], ["sums"]),
        helper.make_node("Div", ["sums", "scale"], ["logits"]),
    ]
    ends = [
        helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", *meaning.shape]),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", weights.shape[1]]),
    ]
    held = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.array(255, np.float32), "scale")]
    graph = helper.make_graph(nodes, "known", ends[:1], ends[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def config_of(meaning: Meaning, program: str = "abc") -> dict[str, object]:
    return {**meaning.config(), "deltanas": {"program": program, "run": "a run"}}
