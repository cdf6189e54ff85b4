"""Exact tiles: how far a network's pixels see, by its graph, and whole images put together from tiles.

A tile gives the pixels of the whole image to the last bit if it reaches as far around them as they see, and if it
begins where the strides of the network begin. Both follow from the graph alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, lcm

import numpy as np
from numpy.typing import NDArray

from deltanas.onnxfold import folded
from deltanas.onnxgraph import Graph, Node, Tensor, read_graph

Span = tuple[int, int]
"""First and last place along an axis."""
_POINTWISE = frozenset(
    """Abs Add And BatchNormalization Cast Ceil Celu Clip Concat DequantizeLinear Div Dropout Elu Equal Erf Exp Floor
    Gelu Greater HardSigmoid HardSwish Identity LeakyRelu Less Log Max Mean Min Mish Mul Neg Not Or PRelu Pow
    QuantizeLinear Reciprocal Relu Round Selu Sigmoid Sign Softplus Softsign Sqrt Sub Sum Tanh ThresholdedRelu
    Where""".split()  # noqa: SIM905
)
_OVER_CHANNELS = frozenset(
    """ArgMax LogSoftmax LpNormalization ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum Softmax
    Split""".split()  # noqa: SIM905
)
"""Operators that see one pixel alone if their axis is that of the channels."""
_CHANNELS, _AXES = 1, 4


class _UnboundedError(Exception):
    """An operator sees the whole image, or it can't be told what it sees."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Along one axis.

    Attributes:
        before, after: how many pixels before itself and behind itself an output pixel sees at most.
        step: strides divide the image into pieces of so many pixels.
    """

    before: int
    after: int
    step: int


@dataclass(frozen=True, slots=True)
class Sight:
    """How far a network sees: down the rows and across the columns."""

    rows: Reach
    columns: Reach


def sight_of(model: bytes) -> Sight | str:
    """By the graph of an ONNX file from images to images of the same size. A text: why there are no exact tiles.

    Raises ValueError where the bytes are no ONNX file.
    """
    graph = read_graph(model)
    graph = replace(graph, constants=folded(graph.nodes, graph.constants))
    try:
        return Sight(_reach(graph, 0), _reach(graph, 1))
    except _UnboundedError as error:
        return str(error)


def tiled(
    image: NDArray[np.float32],
    sight: Sight,
    compute: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    tile: int,
    ticked: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """What `compute` gives for the whole image, tile by tile.

    image: [c, h, w], sides of whole steps. tile: height and width of what is kept of each, about. ticked: told the
    number of tiles that are done, and of all.
    """
    plans = [
        _plans(size, reach, tile) for size, reach in zip(image.shape[1:], (sight.rows, sight.columns), strict=True)
    ]
    total, done = len(plans[0]) * len(plans[1]), 0
    whole: NDArray[np.float32] | None = None
    for rows in plans[0]:
        for columns in plans[1]:
            part = compute(np.ascontiguousarray(image[:, rows.seen, columns.seen]))
            if whole is None:
                whole = np.empty((len(part), *image.shape[1:]), np.float32)
            whole[:, rows.kept, columns.kept] = part[:, rows.inner, columns.inner]
            done += 1
            if ticked:
                ticked(done, total)
    assert whole is not None
    return whole


@dataclass(frozen=True, slots=True)
class _Plan:
    """Of one tile along one axis. seen: what is computed on. kept: of the whole. inner: the same within the tile."""

    seen: slice
    kept: slice
    inner: slice


def _plans(size: int, reach: Reach, tile: int) -> list[_Plan]:
    """The last tile sees as much as the others: operators fail on what is smaller than their window or border."""
    core = max(reach.step, tile // reach.step * reach.step)
    seen = core + reach.before + reach.after
    found = []
    for start in range(0, size, core):
        end = min(size, start + core)
        last = min(size, ceil((end + reach.after) / reach.step) * reach.step)
        first = max(0, min(start - reach.before, last - seen) // reach.step * reach.step)
        found.append(_Plan(slice(first, last), slice(start, end), slice(start - first, end - first)))
    return found


def _reach(graph: Graph, axis: int) -> Reach:
    """axis: 0 for rows, 1 for columns."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise _UnboundedError("the network has several inputs or outputs")
    scales = {graph.inputs[0]: Fraction(1)}
    sizes: set[str] = set()
    for node in graph.nodes:
        told = {scales[name] for name in node.inputs if name in scales}
        if (told and node.op in ("Shape", "Size")) or (not told and sizes.intersection(node.inputs)):
            sizes.update(node.outputs)
        elif told:
            if sizes.intersection(node.inputs) and node.op != "Slice":
                raise _UnboundedError(f"{node.op} uses the size of the image")
            _require_constants(node, graph)
            scale = _Operator(node, graph, axis).scale()
            if len(told) > 1:
                raise _UnboundedError(f"{node.op} joins maps of several sizes")
            scales |= dict.fromkeys(node.outputs, told.pop() * scale)
    if scales.get(graph.outputs[0]) != 1:
        raise _UnboundedError("the output has not the size of the input")
    step = lcm(*(scale.numerator for scale in scales.values()))
    spans = [_seen(graph, axis, place, frozenset(scales)) for place in range(step)]
    return Reach(
        max(0, *(place - first for place, (first, _) in enumerate(spans))),
        max(0, *(last - place for place, (_, last) in enumerate(spans))),
        step,
    )


def _seen(graph: Graph, axis: int, place: int, flowing: frozenset[str]) -> Span:
    """What a pixel of the output sees of the input, far from all borders. flowing: what comes from the input."""
    needed: dict[str, Span] = {graph.outputs[0]: (place, place)}
    for node in reversed(graph.nodes):
        wanted = [needed[name] for name in node.outputs if name in needed]
        if not wanted:
            continue
        first, last = min(one for one, _ in wanted), max(one for _, one in wanted)
        span = _Operator(node, graph, axis).seen((first, last))
        for name in node.inputs:
            if name in flowing:
                known = needed.get(name, span)
                needed[name] = min(known[0], span[0]), max(known[1], span[1])
    return needed[graph.inputs[0]]


def _require_constants(node: Node, graph: Graph) -> None:
    """A constant that differs from place to place, as a learned map of positions, is not the same in a tile."""
    if node.op not in _POINTWISE or node.op == "BatchNormalization":
        return
    for name in node.inputs:
        constant = graph.constants.get(name)
        if constant and max(constant.shape[-2:], default=1) > 1:
            raise _UnboundedError(f"{node.op} has a constant of {list(constant.shape)}, other values at other places")


class _Operator:
    """One node along one axis."""

    def __init__(self, node: Node, graph: Graph, axis: int) -> None:
        self.node, self.graph, self.axis = node, graph, axis

    def scale(self) -> Fraction:
        """How many pixels of the input the output goes on by, a pixel. Raises _UnboundedError."""
        match self._kind():
            case "window":
                return Fraction(self._number("strides", 1))
            case "transposed":
                return Fraction(1, self._number("strides", 1))
            case "resized":
                return 1 / self._factor()
            case "shuffled":
                return Fraction(1, self._block())
            case "unshuffled":
                return Fraction(self._block())
            case _:
                return Fraction(1)

    def seen(self, span: Span) -> Span:
        """What places of the output see of the input."""
        first, last = span
        stride = self._number("strides", 1)
        match self._kind():
            case "window":
                start = self._pad()
                return first * stride - start, last * stride - start + self._extent()
            case "transposed":
                start = self._pad()
                return -((self._extent() - first - start) // stride), (last + start) // stride
            case "resized":
                return self._resized(first, last)
            case "shuffled":
                return first // self._block(), last // self._block()
            case "unshuffled":
                return first * self._block(), (last + 1) * self._block() - 1
            case "padded":
                return first - self._border(), last - self._border()
            case _:
                return span

    def _kind(self) -> str:
        op = self.node.op
        if op in _POINTWISE:
            if op == "Concat" and self.node.attributes.get("axis") not in (_CHANNELS, _CHANNELS - _AXES):
                raise _UnboundedError("Concat joins along another axis than the channels")
            return "pointwise"
        if op in _OVER_CHANNELS and self._axes() <= {_CHANNELS, _CHANNELS - _AXES}:
            return "pointwise"
        if op == "Slice" and {int(axis) for axis in self._constant(3).values} <= {_CHANNELS, _CHANNELS - _AXES}:
            return "pointwise"
        known = {
            "Conv": "window",
            "MaxPool": "window",
            "AveragePool": "window",
            "ConvTranspose": "transposed",
            "Resize": "resized",
            "DepthToSpace": "shuffled",
            "SpaceToDepth": "unshuffled",
            "Pad": "padded",
        }
        if op not in known or self.node.attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
            raise _UnboundedError(f"{op} may see the whole image")
        if op == "Pad" and self.node.attributes.get("mode") == b"wrap":
            raise _UnboundedError("Pad brings in the opposite border")
        if self.node.attributes.get("ceil_mode"):
            raise _UnboundedError(f"{op} rounds its size up")
        return known[op]

    def _axes(self) -> set[int]:
        """Of an operator over some axes; all of them where it names none."""
        axes = self.node.attributes.get("axes", self.node.attributes.get("axis"))
        if axes is None and len(self.node.inputs) > 1 and self.node.op.startswith("Reduce"):
            constant = self.graph.constants.get(self.node.inputs[1])
            axes = tuple(int(value) for value in constant.values) or None if constant else None
        return {axes} if isinstance(axes, int) else set(axes) if isinstance(axes, tuple) else set(range(_AXES))

    def _number(self, name: str, usual: int) -> int:
        """Of an attribute with a number for each of the two axes."""
        found = self.node.attributes.get(name)
        return found[self.axis] if isinstance(found, tuple) and len(found) > self.axis else usual

    def _extent(self) -> int:
        """From the first to the last place of a window."""
        kernel = self._number("kernel_shape", 0)
        if not kernel:
            raise _UnboundedError(f"{self.node.op} does not tell its kernel")
        return self._number("dilations", 1) * (kernel - 1)

    def _pad(self) -> int:
        return self._number("pads", 0)

    def _block(self) -> int:
        block = self.node.attributes.get("blocksize")
        return block if isinstance(block, int) and block > 0 else 1

    def _constant(self, place: int) -> Tensor:
        name = self.node.inputs[place] if len(self.node.inputs) > place else ""
        constant = self.graph.constants.get(name)
        if constant is None or not constant.values:
            raise _UnboundedError(f"{self.node.op} has sizes that follow from the image's")
        return constant

    def _factor(self) -> Fraction:
        if len(self.node.inputs) > 3 and self.node.inputs[3]:
            raise _UnboundedError("Resize has sizes that follow from the image's")
        return Fraction(self._constant(2).values[-2:][self.axis]).limit_denominator(64)

    def _resized(self, first: int, last: int) -> Span:
        named = self.node.attributes.get
        mode, how = named("mode", b"nearest"), named("coordinate_transformation_mode", b"half_pixel")
        factor = self._factor()
        if how == b"asymmetric" and mode == b"nearest" and named("nearest_mode") == b"floor":
            return floor(first / factor), floor(last / factor)
        known = how in (b"half_pixel", b"pytorch_half_pixel") and mode in (b"linear", b"cubic")
        if not known or named("antialias"):
            raise _UnboundedError(f"Resize by {bytes(mode).decode()}, {bytes(how).decode()} is not known")  # type: ignore[arg-type]
        if any(side & (side - 1) for side in factor.as_integer_ratio()):
            raise _UnboundedError(f"Resize by {factor} rounds its weights otherwise at other places")
        ends = [floor((place + Fraction(1, 2)) / factor - Fraction(1, 2)) for place in (first, last)]
        more = 0 if mode == b"linear" else 1
        return ends[0] - more, ends[1] + 1 + more

    def _border(self) -> int:
        pads = self._constant(1).values if len(self.node.inputs) > 1 else self.node.attributes.get("pads", ())
        if not isinstance(pads, tuple) or len(pads) != 2 * _AXES:
            raise _UnboundedError("Pad does not tell how much")
        return int(pads[2 + self.axis])
