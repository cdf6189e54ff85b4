"""What an exported network says or makes of pictures, by ONNX Runtime, in the tool's own process, without torch."""

from deltanas.prediction.denoiser import Denoiser, Restored
from deltanas.prediction.network import Prediction, pictures_in
from deltanas.prediction.opening import exported_graph, open_export, open_network

__all__ = [
    "Denoiser",
    "Prediction",
    "Restored",
    "exported_graph",
    "open_export",
    "open_network",
    "pictures_in",
]
