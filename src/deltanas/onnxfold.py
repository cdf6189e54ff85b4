"""Small constants that an ONNX graph computes of constants, as exporters write the sizes of a border."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.onnxgraph import MOST, Node, Tensor

Values = NDArray[Any]


def folded(nodes: Sequence[Node], constants: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The constants, and those that follow from them by operators that move numbers; of few values alone."""
    known = {name: _array(one) for name, one in constants.items() if one.values}
    found = dict(constants)
    for node in nodes:
        work = _MOVES.get(node.op)
        given = [known.get(name) if name else None for name in node.inputs]
        if work is None or len(node.outputs) != 1 or any(one is None for one in given):
            continue
        try:
            made = work(node, [one for one in given if one is not None])
        except (ValueError, IndexError, TypeError, MemoryError):
            continue
        if 0 < made.size <= MOST:
            known[node.outputs[0]] = made
            found[node.outputs[0]] = Tensor(made.shape, tuple(made.ravel().tolist()))
    return found


def _array(tensor: Tensor) -> Values:
    values = np.array(tensor.values)
    return values.reshape(tensor.shape) if values.size == np.prod(tensor.shape) else values


def _number(node: Node, name: str, usual: int) -> int:
    found = node.attributes.get(name)
    return found if isinstance(found, int) else usual


def _filled(node: Node, given: Sequence[Values]) -> Values:
    shape = [int(size) for size in given[0]]
    if np.prod(shape) > MOST:
        raise ValueError("too large")
    value = node.attributes.get("value")
    return np.full(shape, value.values[0] if isinstance(value, Tensor) and value.values else 0)


def _sliced(node: Node, given: Sequence[Values]) -> Values:  # noqa: ARG001
    x, starts, ends, *more = given
    axes = more[0].astype(int).tolist() if more else range(len(starts))
    steps = more[1].astype(int).tolist() if len(more) > 1 else [1] * len(starts)
    places = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts.astype(int).tolist(), ends.astype(int).tolist(), steps, strict=True):
        # Going back, a far negative end stands for one before the first.
        places[axis] = slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
    return x[tuple(places)]


def _turned(node: Node, given: Sequence[Values]) -> Values:
    order = node.attributes.get("perm")
    return given[0].transpose(order if isinstance(order, tuple) else None)


_MOVES: Mapping[str, Callable[[Node, Sequence[Values]], Values]] = {
    "Cast": lambda node, given: given[0],  # noqa: ARG005
    "Concat": lambda node, given: np.concatenate(given, axis=_number(node, "axis", 0)),
    "ConstantOfShape": _filled,
    "Identity": lambda node, given: given[0],  # noqa: ARG005
    "Reshape": lambda node, given: given[0].reshape([int(size) for size in given[1]]),  # noqa: ARG005
    "Slice": _sliced,
    "Transpose": _turned,
}
