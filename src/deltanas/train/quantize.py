"""An ONNX file with weights of eight bits and activations of eight or sixteen, static, by ONNX Runtime's quantizer.

Runs inside the sandbox only, where no file can be written: ranges are measured here in place of its calibrators.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.train.job import Job
from deltanas.train.tasks import CHILD_TASKS

_BATCH = 8
_LEVELS = 255.0


def quantize(job: Job, model: bytes, pixels: NDArray[np.float32]) -> bytes:
    """The file in QDQ format. pixels: float32 [n, c, h, w] from 0 to 255, by which ranges are measured.

    What goes in keeps its levels; so do images that come out, as they are clipped to their range anyway.
    """
    onnx = importlib.import_module("onnx")
    quantization: Any = importlib.import_module("onnxruntime.quantization")
    calibrate: Any = importlib.import_module("onnxruntime.quantization.calibrate")
    registry: Any = importlib.import_module("onnxruntime.quantization.registry")
    inferred = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(model))
    ranges = _ranges(onnx, inferred, pixels)
    for value in inferred.graph.input:
        ranges[value.name] = (np.float32(0), np.float32(_LEVELS))
    if CHILD_TASKS[job.task].images:
        for value in inferred.graph.output:
            ranges[value.name] = (np.float32(0), np.float32(1))
    quant_utils: Any = importlib.import_module("onnxruntime.quantization.quant_utils")
    quant_utils.add_infer_metadata(inferred)  # else it would do what was done above, over a file
    method = quantization.CalibrationMethod.MinMax
    quantizer = quantization.QDQQuantizer(
        inferred,
        True,
        False,
        quantization.QuantType.QInt8,
        quantization.QuantType.QUInt8 if job.activations == 8 else quantization.QuantType.QUInt16,
        calibrate.TensorsData(method, ranges),
        [],
        [],
        list(registry.QDQRegistry),
        {"UseQDQContribOps": job.activations != 8},  # ONNX itself knows sixteen bits from a later opset on
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()  # it appends what it adds
    return bytes(quantizer.model.model.SerializeToString())


def _ranges(onnx: Any, model: Any, pixels: NDArray[np.float32]) -> dict[str, Any]:
    """The least and the largest value of every tensor of floats over the images."""
    runtime: Any = importlib.import_module("onnxruntime")
    runtime.disable_telemetry_events()
    watched = type(model)()
    watched.CopyFrom(model)
    known = {value.name for value in watched.graph.output}
    floats = [one for one in model.graph.value_info if one.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
    made = {name for node in model.graph.node for name in node.output}
    watched.graph.output.extend(one for one in floats if one.name in made - known)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    found: dict[str, Any] = {}
    for start in range(0, len(pixels), _BATCH):
        for name, values in zip(names, session.run(names, {"pixels": pixels[start : start + _BATCH]}), strict=True):
            low, high = found.get(name, (np.float32(np.inf), np.float32(-np.inf)))
            found[name] = (np.float32(min(low, values.min())), np.float32(max(high, values.max())))
    return found
