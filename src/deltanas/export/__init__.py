"""The best networks of a run for use elsewhere: source, weights, ONNX, and a card that says where they come from."""

from deltanas.export.best import export_best, write_sources
from deltanas.export.net import Net

__all__ = ["Net", "export_best", "write_sources"]
