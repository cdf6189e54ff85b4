"""Names of torch that its documentation does not promise. No other module uses such a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from deltanas.errors import LibraryError

LIBRARY, TESTED = "torch", "2.14.1"

try:
    from torch._C import DisableTorchFunctionSubclass as without_overrides  # noqa: N813
    from torch.nn.modules.batchnorm import _NormBase as NormBase
    from torch.utils._python_dispatch import TorchDispatchMode
except ImportError as error:
    raise LibraryError(LIBRARY, str(error), TESTED) from error

__all__ = ["NormBase", "TorchDispatchMode", "schema_arguments", "storage_key", "without_overrides"]


def storage_key(tensor: torch.Tensor) -> int:
    """A number that tensors over one storage share, as long as the storage lives. The tensor has to be strided."""
    try:
        key: int = torch.Tensor.untyped_storage(tensor)._cdata
    except AttributeError as error:
        raise LibraryError(LIBRARY, "UntypedStorage._cdata", TESTED) from error
    return key


def schema_arguments(operation: Any) -> Sequence[Any]:
    """The arguments of an operation as its schema declares them, with what it writes to."""
    try:
        arguments: Sequence[Any] = operation._schema.arguments
    except AttributeError as error:
        raise LibraryError(LIBRARY, "OpOverload._schema", TESTED) from error
    return arguments
