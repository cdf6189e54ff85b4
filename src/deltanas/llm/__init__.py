"""Language models that run on this machine. Importing this room is cheap; `open_model` pays."""

from __future__ import annotations

from deltanas.errors import ModelError
from deltanas.llm.model import Message, Model, Reply, Request
from deltanas.llm.spec import Spec, cache_folder, parse_spec

__all__ = ["Message", "Model", "Reply", "Request", "Spec", "cache_folder", "open_model", "parse_spec"]


def open_model(spec: str) -> Model:
    """Load the model that `spec` names.

    Raises UsageError for an unknown form of spec, ModelError where the model or what it needs is missing or unusable.
    """
    parsed = parse_spec(spec)
    try:
        from deltanas.llm.local import LocalModel
    except ModuleNotFoundError as error:
        raise ModelError(f"Language models need the package {error.name!r}.", "pip install 'deltanas[llm]'") from error
    return LocalModel.open(parsed)
