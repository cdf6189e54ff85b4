"""LoRA adapters on disk and on a model: PEFT's own format, and `lineage.json` with where the adapter comes from."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from deltanas.errors import ModelError
from deltanas.llm.compat import FAULTS, UNREADABLE, failed, line_of

try:
    import peft
except ModuleNotFoundError as error:
    raise ModelError(f"Adapters need the package {error.name!r}.", "pip install 'deltanas[learn]'") from error

lora: Any = peft
"""Most of it carries no types."""

PEFT = ("peft", "0.21.2")
"""The library, and the release that was tested."""
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
LINEAGE = "lineage.json"


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where an adapter comes from.

    Attributes:
        base: the model that it is for, as its spec, and `fingerprint` of that model's weights.
        weights: SHA-256 of the adapter's own weights. parent: that of the adapter which it continues, if any.
        samples: hash of samples of all weights of that model; "" where it was in 4 bits, or a version took none.
    """

    base: str
    fingerprint: str
    weights: str
    parent: str | None
    samples: str = ""


def dress(network: Any, config: Any, weights: dict[str, torch.Tensor] | None = None) -> Any:
    """The network with an adapter in place, new or with these weights. Raises ModelError if they don't fit."""
    config = copy.copy(config)
    config.base_model_name_or_path = None  # PEFT puts the folder of the weights here, and warns of any other name
    with warnings.catch_warnings():
        # Of tied output layers, which can't be merged: nothing here merges. And of names that PEFT has yet to change.
        warnings.filterwarnings("ignore", message=".*tie.*", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*deprecated.*", category=FutureWarning)
        try:
            dressed = lora.get_peft_model(network, config)
        except ValueError as error:
            raise ModelError(f"The adapter does not fit the model: {error}") from error
        except FAULTS as error:
            raise failed("put the adapter on the model", error, *PEFT) from error
        if weights is not None:
            _fill(dressed, weights)
    return dressed.eval()


def _fill(dressed: Any, weights: dict[str, torch.Tensor]) -> None:
    try:
        unused = lora.set_peft_model_state_dict(dressed, weights).unexpected_keys
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"The adapter does not fit the model: {error}") from error
    lacking = weights_of(dressed).keys() - weights.keys()
    if unused or lacking:
        told = f"weights without a layer: {unused}; layers without weights: {sorted(lacking)}"
        raise ModelError(f"The adapter does not fit the model: {told}")


def weights_of(dressed: Any) -> dict[str, torch.Tensor]:
    """The adapter's own weights, by the names that PEFT gives them in files. Never the base model's."""
    weights: dict[str, torch.Tensor] = lora.get_peft_model_state_dict(dressed, save_embedding_layers=False)
    return weights


def read(folder: Path) -> tuple[Any, dict[str, torch.Tensor]]:
    """An adapter's config and weights. Raises ModelError where it is missing, corrupt or of another kind than LoRA."""
    try:
        told = json.loads((folder / CONFIG).read_text("utf-8")) if (folder / CONFIG).is_file() else {}
        if not isinstance(told, dict):
            raise ValueError(f"{CONFIG} holds no settings")
        weights = safetensors.torch.load_file(folder / WEIGHTS)
        config = lora.PeftConfig.from_pretrained(str(folder)) if told.get("peft_type") == "LORA" else None
    except UNREADABLE as error:
        raise ModelError(
            f"The adapter {folder} can't be read: {line_of(error)}", "Is it complete, as PEFT saves it?"
        ) from error
    except FAULTS as error:
        raise failed(f"read the adapter {folder}", error, *PEFT) from error
    if not isinstance(config, lora.LoraConfig):
        raise ModelError(f"{folder} is no LoRA adapter.", f"Name a folder with {CONFIG} and {WEIGHTS}.")
    return config, weights


def check_base(folder: Path, config: Any, base: str, print_: str, samples: str) -> None:
    """Raises ModelError, naming both, where the adapter is for another base model."""
    mark = lineage(folder)
    named = mark.base if mark else config.base_model_name_or_path or "an unknown model"
    if mark:
        same = mark.fingerprint == print_ and ("" in (mark.samples, samples) or mark.samples == samples)
    else:
        same = named in (base, base.partition(":")[2])
    if not same:
        of_hub = not mark and re.fullmatch(r"[\w.-]+/[\w.-]+", named)
        raise ModelError(
            f"The adapter {folder} is for the model {named}, not for {base}"
            + (" as it is here: their weights differ." if named == base else "."),
            f"Open {'hub:' if of_hub else ''}{named} to use it, or name an adapter of {base}.",
        )


def lineage(folder: Path) -> Lineage | None:
    """Where the adapter comes from; None for one that was not tuned here. Raises ModelError where it can't be read."""
    if not (folder / LINEAGE).is_file():
        return None
    try:
        told = json.loads((folder / LINEAGE).read_text("utf-8"))
        told = {"samples": "", **told}
        return Lineage(**{field.name: told[field.name] for field in fields(Lineage)})
    except (*UNREADABLE, LookupError, TypeError) as error:
        raise ModelError(f"{folder / LINEAGE} can't be read: {error}", "Tune that adapter again.") from error


def save(dressed: Any, folder: Path, *, base: str, print_: str, samples: str, parent: str | None) -> None:
    """Write the adapter of `dressed`, and its lineage, into an empty folder."""
    safetensors.torch.save_file(weights_of(dressed), folder / WEIGHTS, metadata={"format": "pt"})
    config = copy.copy(dressed.peft_config["default"])
    config.base_model_name_or_path, config.inference_mode = base, True
    config.save_pretrained(str(folder))
    mark = Lineage(base, print_, digest(folder), parent, samples)
    (folder / LINEAGE).write_text(json.dumps(asdict(mark), indent=2) + "\n", "utf-8")


def digest(folder: Path) -> str:
    """SHA-256 of an adapter's weights."""
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
