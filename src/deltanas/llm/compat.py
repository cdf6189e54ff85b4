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
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint
    from transformers.modeling_utils import AttentionInterface
except ImportError as error:
    if isinstance(error, ModuleNotFoundError) and error.name == LIBRARY:
        raise
    raise LibraryError(LIBRARY, str(error), TESTED) from error

__all__ = [
    "FAULTS",
    "UNREADABLE",
    "DynamicLayer",
    "failed",
    "layers_of",
    "line_of",
    "read_gguf",
    "read_keys_in_place",
    "tied_weights",
]

UNREADABLE = (OSError, ValueError, safetensors.SafetensorError)
"""What is raised over a file that is missing, cut short or of another kind."""
FAULTS = (*UNREADABLE, AttributeError, ImportError, LookupError, RuntimeError, TypeError, struct.error)
"""What a library raises over such a file, or over a change of its own: only the file itself tells which."""


def read_keys_in_place() -> None:
    """From here on no model of this process copies its keys and values for each of the heads that share them.

    Behind a mask transformers does, as a GPU has no kernel for both. On a CPU eight replies side by side took 8 to 23 %
    longer for it, and the digits are equal. Of training nothing changes.
    """
    AttentionInterface.register("sdpa", _attend)


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **others: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    special = torch.is_grad_enabled() or any(others.get(name) is not None for name in ("softcap", "position_bias"))
    if special or attention_mask is None or query.device.type != "cpu" or query.shape[2] == 1:
        attend: Any = sdpa_attention_forward  # it carries no types
        found: tuple[torch.Tensor, None] = attend(module, query, key, value, attention_mask, **others)
        return found
    seen = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, scale=others.get("scaling"), enable_gqa=True
    )
    return seen.transpose(1, 2).contiguous(), None


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
