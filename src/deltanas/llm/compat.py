"""Names of transformers that its documentation does not promise. No other module uses such a name."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import safetensors
import torch

from deltanas.errors import LibraryError, ModelError, installed

LIBRARY, TESTED = "transformers", "5.24.0"

try:
    from transformers.cache_utils import DynamicLayer
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint
except ImportError as error:
    if isinstance(error, ModuleNotFoundError) and error.name == LIBRARY:
        raise
    raise LibraryError(LIBRARY, str(error), TESTED) from error

__all__ = ["FAULTS", "UNREADABLE", "DynamicLayer", "failed", "layers_of", "line_of", "read_gguf", "tied_weights"]

UNREADABLE = (OSError, ValueError, safetensors.SafetensorError)
"""What is raised over a file that is missing, cut short or of another kind."""
FAULTS = (*UNREADABLE, AttributeError, ImportError, LookupError, RuntimeError, TypeError, struct.error)
"""What a library raises over such a file, or over a change of its own: only the file itself tells which."""


def layers_of(cache: Any) -> list[Any]:
    """The layers of a DynamicCache, in the network's order; assign to the list's items to replace them."""
    try:
        layers: list[Any] = cache.layers
    except AttributeError as error:
        raise LibraryError(LIBRARY, "DynamicCache.layers", TESTED) from error
    return layers


def read_gguf(path: str, model: Any) -> Mapping[str, torch.Tensor]:
    """The dequantised tensors of a GGUF file, by the names that `model` gives them."""
    read: Any = load_gguf_checkpoint  # it carries no types
    tensors: Mapping[str, torch.Tensor] = read(path, return_tensors=True, model_to_load=model)["tensors"]
    return tensors


def tied_weights(model: Any) -> set[str]:
    """Names of the weights that a model shares with others; files may leave them out."""
    try:
        return set(model._tied_weights_keys or ())
    except AttributeError as error:
        raise LibraryError(LIBRARY, "PreTrainedModel._tied_weights_keys", TESTED) from error


def failed(work: str, error: Exception, library: str = LIBRARY, tested: str = TESTED) -> ModelError:
    """The error to raise where a library gives up over files that are whole. work: as in "load the model x"."""
    return ModelError(
        f"{library} {installed(library)} can't {work}: {type(error).__name__}: {line_of(error)}",
        f"The files are whole and kept. deltanas was tested with {library} {tested}: pip install '{library}=={tested}'",
    )


def line_of(error: Exception) -> str:
    """The first line of what an error says, or its name."""
    return next(iter(str(error).splitlines()), type(error).__name__)
