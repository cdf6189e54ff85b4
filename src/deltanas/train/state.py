"""What the state of a network may be. The build check and the export ask here, so what passes the one can be written.

Runs inside the sandbox only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from deltanas.train.compat import without_overrides
from deltanas.train.faults import ContractError
from deltanas.train.job import DTYPES, MOST_BYTES, MOST_DIMENSIONS, MOST_NAME, MOST_TENSORS, RESERVED

_CODES = {getattr(torch, name): code for code, (name, _) in DTYPES.items()}
_INSTEAD = {torch.complex128: "complex64", torch.complex32: "complex64"}
_LISTED = 300
"""Bytes that tell a tensor's type and shape, at most; a letter of its name takes up to 10."""
_BESIDE = "compute it anew, or make it a buffer with persistent=False"


class Held(NamedTuple):
    """A tensor of the state. dtype: its code in `DTYPES`."""

    name: str
    dtype: str
    tensor: Tensor


def held(net: nn.Module, *, begun: bool = True) -> list[Held]:
    """The state of a network, tensor by tensor. Raises ContractError for what can't be written, and what to do.

    begun: it has trained, so that no layer of it waits for its shape any more; else those that do are left out.
    """
    state = net.state_dict()
    if not isinstance(state, Mapping):
        raise ContractError(f"state_dict() returns a {type(state).__name__}: leave the method out")
    waits = [name for name, value in state.items() if not begun and isinstance(value, Tensor) and is_lazy(value)]
    found = [_held(name, value) for name, value in state.items() if name not in waits]
    if len(found) > MOST_TENSORS:
        raise ContractError(f"the network's state holds {len(found):,} tensors: only {MOST_TENSORS:,} can be written")
    size = sum(size_of(one.tensor) + 10 * len(one.name) + _LISTED for one in found)
    if size > MOST_BYTES:
        raise ContractError(
            f"the network's state has {size / 2**20:,.0f} MiB: at most {MOST_BYTES >> 20:,} can be written"
        )
    return found


def shaped(values: Iterable[Tensor]) -> Iterator[Tensor]:
    """Those that have a shape: a lazy layer gets its own from the first images that it sees."""
    return (value for value in values if not is_lazy(value))


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """Whatever its class makes of `.shape`."""
    with without_overrides():
        return tuple(Tensor.size(tensor))


def size_of(tensor: Tensor) -> int:
    """Bytes of its values."""
    with without_overrides():
        return Tensor.numel(tensor) * Tensor.element_size(tensor)


def values_of(tensor: Tensor) -> bytes:
    """Its values row by row, as they lie in memory. Raises whatever a tensor raises that has no such bytes."""
    with without_overrides():
        plain = Tensor.detach(tensor).resolve_conj().resolve_neg().contiguous()
        return plain.reshape(-1).view(torch.uint8).numpy().tobytes()


def _held(name: object, value: object) -> Held:
    if not isinstance(name, str) or not 0 < len(name) <= MOST_NAME or not name.isprintable() or name == RESERVED:
        told = repr(name)[:50]
        raise ContractError(
            f"the network's state holds {told}: a name must be printable text of at most {MOST_NAME} characters, "
            f"not {RESERVED}"
        )
    if not isinstance(value, Tensor):
        kind = "extra state" if name.split(".")[-1] == "_extra_state" else "something"
        what = f"{kind} of type {type(value).__name__}: only tensors can be written, so keep it in buffers"
    else:
        what = _fault(value)
    if what:
        raise ContractError(f"the network's state holds {name}, {what}")
    assert isinstance(value, Tensor)
    return Held(name, _CODES[value.dtype], value)


def plain(value: Tensor) -> bool:
    """It holds values of its own, of a type that can be written."""
    return not _fault(value)


def _fault(value: Tensor) -> str:
    """What keeps a tensor from being written; "" if nothing does."""
    kind = type(value).__name__
    if is_lazy(value):
        return "which has no shape: forward() does not use its layer, so leave the layer out"
    with without_overrides():
        if value.is_nested:
            return f"a nested tensor: {_BESIDE}"
        if value.layout is not torch.strided:
            return f"a sparse tensor ({value.layout}): hold it dense, {_BESIDE}"
        if value.is_quantized:
            return f"a quantised tensor ({_short(value.dtype)}): train in float32"
        if value.dtype not in _CODES:
            mend = f"make it {_INSTEAD[value.dtype]}" if value.dtype in _INSTEAD else "make it float32"
            return f"of type {_short(value.dtype)}, which no file of weights takes: {mend}"
        if value.device.type == "meta":
            return "on the device meta, where it has no values"
        if value.dim() > MOST_DIMENSIONS:
            return f"of {value.dim()} dimensions: at most {MOST_DIMENSIONS} can be written"
        try:
            Tensor.untyped_storage(value).data_ptr()
        except RuntimeError:
            return f"a {kind}, which has no values of its own: hold plain tensors, {_BESIDE}"
    return ""


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
