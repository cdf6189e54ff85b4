"""What an exported network says of pictures, by ONNX Runtime, in the tool's own process. torch is not imported."""

from deltanas.prediction.network import Network, Prediction, pictures_in
from deltanas.prediction.opening import open_network

__all__ = ["Network", "Prediction", "open_network", "pictures_in"]
