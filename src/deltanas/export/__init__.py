"""The best networks of a run for use elsewhere: source, weights, ONNX, and a card that says where they come from."""

from deltanas.export.best import export_best, write_sources
from deltanas.export.net import Net, Score
from deltanas.export.safetensors import safetensors_bytes

__all__ = ["Net", "Score", "export_best", "safetensors_bytes", "write_sources"]
