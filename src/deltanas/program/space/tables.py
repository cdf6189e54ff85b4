"""Widths (sizes of channels or features), and what torch's layers and functions do to them."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

SIDES = {
    **dict.fromkeys(("Conv1d", "Conv2d", "Conv3d"), ("in_channels", "out_channels", "kernel_size")),
    **dict.fromkeys(("ConvTranspose1d", "ConvTranspose2d"), ("in_channels", "out_channels", "kernel_size")),
    **dict.fromkeys(("Conv2dNormActivation", "Conv3dNormActivation"), ("in_channels", "out_channels", "kernel_size")),
    "Linear": ("in_features", "out_features", "bias"),
    **dict.fromkeys(("LazyConv2d", "LazyConv1d"), ("out_channels", "kernel_size", "stride")),
    "LazyLinear": ("out_features", "bias"),
}
"""The first arguments of layers that take one width and give another."""
SAME = {
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d"), "num_features"),
    "LayerNorm": "normalized_shape",
    "RMSNorm": "normalized_shape",
    "GroupNorm": "num_channels",
    "MultiheadAttention": "embed_dim",
    "PReLU": "num_parameters",
}
"""Layers that give the width that they take, and the argument that names it."""
PASSING = frozenset(
    """AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool2d AlphaDropout AvgPool1d AvgPool2d CELU
    ChannelShuffle Dropout Dropout1d Dropout2d ELU Flatten GELU Hardsigmoid Hardswish Hardtanh Identity
    LazyBatchNorm2d LeakyReLU LocalResponseNorm LPPool2d MaxPool1d MaxPool2d Mish ReflectionPad2d ReLU ReLU6
    SELU Sigmoid SiLU Softmax Softplus StochasticDepth Tanh Upsample ZeroPad2d""".split()  # noqa: SIM905
)
"""Layers that give what width they take, and name none."""
FUNCTIONS = frozenset(
    """adaptive_avg_pool2d adaptive_max_pool2d avg_pool1d avg_pool2d celu channel_shuffle checkpoint dropout
    dropout2d elu flatten gelu hardsigmoid hardswish interpolate leaky_relu max_pool1d max_pool2d mean mish
    normalize pad permute relu relu6 relu_ selu sigmoid silu softmax softplus sqrt stochastic_depth tanh
    transpose""".split()  # noqa: SIM905
)
"""Functions of torch that keep the width of their first argument."""
METHODS = frozenset(
    """amax clone contiguous expand expand_as flatten float mean permute real relu reshape sigmoid softmax
    squeeze sum tanh to transpose unsqueeze view""".split()  # noqa: SIM905
)
"""Methods of a tensor that keep its width, if not its place."""


@dataclass(eq=False)
class Width:
    """One width: the arguments that hold it, and those that hold a sum that it is a part of (after a concatenation).

    fixed: something that can't be edited depends on it. through: it enters or leaves the class that it is seen in.
    """

    sites: list[ast.expr] = field(default_factory=list)
    sums: list[ast.expr] = field(default_factory=list)
    fixed: bool = False
    through: bool = False
    _same: Width | None = None

    def root(self) -> Width:
        width = self
        while width._same is not None:
            width = width._same
        return width

    def join(self, other: Width) -> Width:
        one, two = self.root(), other.root()
        if one is not two:
            one.sites += two.sites
            one.sums += two.sums
            one.fixed |= two.fixed
            one.through |= two.through
            two._same = one
        return one


Flow = tuple[Width, ...]
"""The width of a tensor: of its channels or features, as the sum of its parts. (): not a tensor, or not known."""
