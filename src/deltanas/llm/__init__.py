"""Language models, on this machine or behind a server. Importing this room is cheap; `open_model` pays."""

from __future__ import annotations

from pathlib import Path

from deltanas.errors import ModelError, UsageError
from deltanas.llm.lesson import Lesson, Loss, Preference, Ranker, Tunable
from deltanas.llm.model import Dtype, HeldModel, Message, Model, Reply, Request, Spent
from deltanas.llm.spec import EMBEDDED, WITHOUT, Spec, cache_folder, how_to_install, parse_spec

__all__ = [
    "EMBEDDED",
    "WITHOUT",
    "Dtype",
    "HeldModel",
    "Lesson",
    "Loss",
    "Message",
    "Model",
    "Preference",
    "Ranker",
    "Reply",
    "Request",
    "Spec",
    "Spent",
    "Tunable",
    "cache_folder",
    "open_model",
    "parse_spec",
    "read_chat",
]


def open_model(
    spec: str,
    *,
    dtype: Dtype | None = None,
    four_bit: bool = False,
    timeout: float = 120.0,
    retries: int = 6,
    adapter: str | None = None,
    first: Request | None = None,
) -> Model:
    """Load the model that `spec` names, or meet the server that runs it.

    Args:
        dtype: what a model on this machine computes in; None: float32, on CUDA bfloat16.
        four_bit: hold the weights in 4 bits (NF4, bitsandbytes); needs CUDA.
        timeout: with a server: seconds for one reply. retries: with a server: further tries of a request that failed.
        adapter: folder of a LoRA adapter to load into a model on this machine.
        first: with a server: what it is asked first, to find what it does not take; None: a word.

    Raises UsageError for an unknown form of spec, ModelError where the model or what it needs is missing or unusable.
    """
    parsed = parse_spec(spec)
    try:
        if parsed.kind == "openai":
            if four_bit or dtype:
                left = "four_bit" if four_bit else "dtype"
                raise UsageError("How a server holds its weights is the server's choice.", f"Leave {left} out.")
            if adapter:
                raise UsageError(
                    "A server puts adapters on itself.", "Give it the adapter, and name that as its model."
                )
            from deltanas.llm.server import FIRST, ServerModel

            return ServerModel.open(parsed, timeout=timeout, retries=retries, first=first or FIRST)
        from deltanas.llm.local import LocalModel
    except ModuleNotFoundError as error:
        hint = "pip install 'deltanas[llm]'" if parsed.kind == "openai" else how_to_install(parsed)
        raise ModelError(f"The language model {parsed} needs the package {error.name!r}.", hint) from error
    model = LocalModel.open(parsed, dtype=dtype, four_bit=four_bit)
    if adapter:
        model.adapt(Path(adapter).expanduser())
    return model


def read_chat(spec: Spec) -> None:
    """Put the chat template of a model on this machine to the test, without its weights.

    Raises ModelError where it writes no prompt, or its tokenizer can't be read.
    """
    from deltanas.llm.chat import Chat
    from deltanas.llm.weights import read_tokenizer

    Chat(read_tokenizer(spec), str(spec))
