"""Qualcomm's compiler for the HTP, through ONNX Runtime: the same answers as of Vela. Runs in the sandbox."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deltanas.npu.report import Where

TRAFFIC = re.compile(rb"QnnLogging\] (?:read|write)_total_bytes=(\d+)")
"""What its log tells of memory, once for each part of the graph."""
_NAME = "QNNExecutionProvider"


_LIBRARIES = ("libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1", "libstdc++.so.6", "libatomic.so.1")


def preload() -> None:
    """Load what the compiler's libraries need of the system and of their wheel: a child may not read it."""
    spec = find_spec("onnxruntime_qnn")
    if spec is None or spec.origin is None:
        return
    own = Path(spec.origin).parent.with_name("onnxruntime_qnn.libs")
    for library in (*_LIBRARIES, *map(str, sorted(own.glob("*.so*")))):
        with contextlib.suppress(OSError):
            ctypes.CDLL(library)


def compiled(model: bytes, options: Mapping[str, str]) -> dict[str, Where]:
    """Where the operators of these names run. The traffic stands in the log, on stderr.

    Names that are not there were fused with others, or computed beforehand.
    """
    runtime: Any = importlib.import_module("onnxruntime")
    package: Any = importlib.import_module("onnxruntime_qnn")
    runtime.disable_telemetry_events()
    runtime.set_default_logger_severity(0)
    runtime.register_execution_provider_library(_NAME, package.get_library_path())
    device = next(one for one in runtime.get_ep_devices() if one.ep_name == _NAME)
    settings = runtime.SessionOptions()
    settings.log_severity_level = 0
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    settings.add_provider_for_devices([device], {"backend_path": package.get_qnn_htp_path(), **options})
    session = runtime.InferenceSession(model, settings)
    found: dict[str, Where] = {}
    for part in session.get_provider_graph_assignment_info():
        for node in part.get_nodes():
            name = re.sub(r"_token_\d+$", "", node.name)
            found[name] = "npu" if part.ep_name == _NAME else "cpu"
    return found
