"""Where a model's weights lie. A GGUF is dequantised once, into a cache: reading it anew each time takes far longer."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import safetensors
import torch
import transformers

from deltanas.errors import ModelError
from deltanas.llm.compat import FAULTS, UNREADABLE, failed, line_of, read_gguf, read_keys_in_place, tied_weights
from deltanas.llm.model import Dtype
from deltanas.llm.spec import EMBEDDED, WHEEL, WITHOUT, Spec, cache_folder

hf: Any = transformers
"""Most of it carries no types."""

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
"""The file of a model's weights, or that which names the files over which they are spread."""
COPIED = ("config.json", "tokenizer.json", WEIGHTS)
"""What a copy holds at least, as it is written here."""


def load(spec: Spec, *, dtype: Dtype | None = None, four_bit: bool = False) -> tuple[Any, Any]:
    """The model (evaluation mode; `dtype` None: float32, on CUDA bfloat16) and its tokenizer, both of transformers.

    four_bit: the weights of its linear layers are NF4 numbers (Dettmers et al., 2023, "QLoRA", section 3).

    Raises ModelError where the weights are missing or unusable, or 4 bits are asked for without CUDA or bitsandbytes.
    Only `hub:` may use the network.
    """
    hf.utils.logging.disable_progress_bar()
    read_keys_in_place()
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


def read_tokenizer(spec: Spec) -> Any:
    """The tokenizer alone, of a model that is on this machine. Raises ModelError where it can't be read."""
    source = str(Path(spec.where).expanduser()) if spec.kind == "path" else spec.where
    options: dict[str, str] = {}
    if spec.kind in ("smollm2", "gguf"):
        gguf = _embedded() if spec.kind == "smollm2" else Path(spec.where).expanduser()
        copy = _copy_of(gguf)
        source, options = (str(copy), {}) if copy.is_dir() else (str(gguf.parent), {"gguf_file": gguf.name})
    try:
        return hf.AutoTokenizer.from_pretrained(source, local_files_only=True, **options)
    except FAULTS as error:
        raise failed(f"read the tokenizer of {spec}", error) from error


def fingerprint(network: Any) -> str:
    """Hash of a base model: its sizes and some embeddings, which are the same at all precisions down to bfloat16."""
    table = network.get_input_embeddings().weight
    some = table[:: max(1, len(table) // 256)].detach().to(torch.bfloat16).float().cpu().numpy()
    layers = network.config.get_text_config().num_hidden_layers
    return hashlib.sha256(f"{layers}:{tuple(table.shape)}".encode() + some.tobytes()).hexdigest()


def samples(network: Any) -> str:
    """Hash of samples of all weights of a base model; "" for one in 4 bits, whose weights are other numbers."""
    if not all(weight.is_floating_point() for weight in network.parameters()):
        return ""
    return hashlib.sha256(_sampled(network)).hexdigest()


def digest(network: Any, tokenizer: Any) -> str:
    """Hash of a base model as it is asked: samples of all its weights, vocabulary and chat template.

    It is the same for all files that hold the model, at all precisions down to bfloat16, with or without an adapter.
    """
    words = json.dumps([tokenizer.get_vocab(), tokenizer.chat_template], sort_keys=True)
    return hashlib.sha256(_sampled(network) + words.encode()).hexdigest()


def _sampled(network: Any) -> bytes:
    """Hashes of samples of each tensor of a base model."""
    tensors = []
    for name, weight in network.state_dict().items():
        if "lora_" not in name and weight.is_floating_point():
            some = weight.detach().flatten()[:: max(1, weight.numel() // 1024)]
            held = f"{tuple(weight.shape)}".encode() + some.to(torch.bfloat16).float().cpu().numpy().tobytes()
            tensors.append(hashlib.sha256(held).digest())
    return b"".join(sorted(tensors))


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
    except FAULTS as error:
        damage = _damage(Path(source))
        if damage or isinstance(error, OSError):
            told = damage or line_of(error)
            raise ModelError(f"The language model {source} can't be loaded: {told}", hint) from error
        raise failed(f"load the language model {source}", error) from error


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
        raise ModelError("The embedded model smollm2 is not installed.", f"{EMBEDDED}{WITHOUT}")
    return found[0]


def _load_gguf(gguf: Path, **options: Any) -> tuple[Any, Any]:
    """From the cache; what is missing there or can't be read is made (anew) from the GGUF."""
    copy = _copy_of(gguf)
    if copy.is_dir():
        try:
            return _from_pretrained(str(copy), local_files_only=True, **options)
        except FAULTS as error:
            if not _damage(copy, COPIED):
                raise failed(f"load {copy}, the copy of {gguf}", error) from error
            shutil.rmtree(copy, ignore_errors=True)
    _convert(gguf, copy)
    return _read(str(copy), f"Remove {copy} and try again.", local_files_only=True, **options)


def _copy_of(gguf: Path) -> Path:
    """Where the copy of a GGUF file lies, once it is made."""
    try:
        state = gguf.stat()
        with gguf.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelError(f"The model file {gguf} can't be read: {error.strerror}.", "Is the path right?") from error
    if magic != b"GGUF":
        raise ModelError(f"{gguf} is no GGUF file.", "Fetch it again, or name another.")
    key = hashlib.sha256(f"{gguf.name}:{state.st_size}:{state.st_mtime_ns}".encode()).hexdigest()[:16]
    return cache_folder() / "models" / key


def _damage(folder: Path, needed: Sequence[str] = ()) -> str:
    """Which file of a model is missing or broken, and how; "" if none is. It asks the formats, not transformers."""
    names = {*needed, *(file.name for kind in ("*.json", "*.safetensors") for file in folder.glob(kind))}
    name = INDEX
    try:
        if INDEX in names:
            names |= set(json.loads((folder / INDEX).read_text("utf-8"))["weight_map"].values())
            names.discard(WEIGHTS)
        for name in sorted(names):
            if name.endswith(".json"):
                json.loads((folder / name).read_text("utf-8"))
            else:
                with safetensors.safe_open(folder / name, "pt"):
                    pass
    except (*UNREADABLE, LookupError, TypeError) as error:
        return f"{name}: {line_of(error)}"
    return ""


def _damage_of_gguf(gguf: Path) -> str:
    """What its own reader finds wrong with a GGUF file; "" if nothing."""
    from gguf import GGUFReader

    try:
        GGUFReader(gguf)
    except (*UNREADABLE, LookupError) as error:
        return line_of(error)
    return ""


def _convert(gguf: Path, copy: Path) -> None:
    """Write `gguf` as safetensors, with its tokenizer, to the folder `copy`, which appears whole or not at all."""
    try:
        model, tokenizer = _dequantised(gguf)
    except FAULTS as error:
        damage = _damage_of_gguf(gguf)
        if not damage:
            raise failed(f"convert the model file {gguf}", error) from error
        raise ModelError(f"The model file {gguf} is corrupt: {damage}", "Fetch it again, or name another.") from error
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
            f"The model can't be cached in {copy.parent}: {line_of(error)}",
            "It needs room and the right to write; DELTANAS_CACHE names another folder.",
        ) from error


def _dequantised(gguf: Path) -> tuple[Any, Any]:
    """In float32. (`from_pretrained` can read a GGUF too, but only where accelerate is installed.)"""
    place: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
    config = hf.AutoConfig.from_pretrained(str(gguf.parent), **place)
    tokenizer = hf.AutoTokenizer.from_pretrained(str(gguf.parent), **place)
    model = hf.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with contextlib.redirect_stderr(io.StringIO()):  # it draws a bar of its own, which can't be switched off
        tensors = read_gguf(str(gguf), model)
    lacking = model.state_dict().keys() - tensors.keys()
    if lacking - tied_weights(model):
        raise ValueError(f"it lacks the weights {', '.join(sorted(lacking))}")
    model.load_state_dict(tensors, strict=False)
    return model, tokenizer
