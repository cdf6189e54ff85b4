"""From an export to a network that predicts.

An ONNX file is data: ONNX Runtime computes by its own operators alone, and no library of others is ever registered. A
file that has values in other files or elsewhere in memory is refused before ONNX Runtime gets it, and so is one of ONNX
Runtime's own format.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deltanas.errors import DataError, UsageError
from deltanas.onnxfile import lies_outside
from deltanas.prediction.denoiser import Denoiser
from deltanas.prediction.network import AGAIN, Network
from deltanas.task import DENOISE
from deltanas.tiling import sight_of
from deltanas.train.data.meaning import Meaning
from deltanas.train.job import WHOLE_SUMS

MODEL, CONFIG, SOURCE, RUN = "model.onnx", "config.json", "net.py", "run.json"
_HINT = "pip install 'deltanas[export]'"


def open_network(export: Path) -> Network:
    """As `open_export`, of a network that names classes. Raises UsageError too where it gives images back."""
    found = open_export(export)
    if isinstance(found, Denoiser):
        raise UsageError(
            f"{export} denoises images, and names no classes", f"deltanas predict {export} IMAGE... --out DIR"
        )
    return found


def open_export(export: Path) -> Network | Denoiser:
    """The network of an export: of its folder, of the best one in a folder of several, or of an ONNX file.

    One that names classes, or one that gives images back.

    What it means is taken from the `config.json` beside the file, or else from the file's own metadata.

    Raises:
        UsageError: there is no such folder, or it is no export.
        DataError: ONNX Runtime is missing, or the export has no ONNX file or one that can't be used.
    """
    file, beside = _located(export)
    session = _session(file)
    texts = session.get_modelmeta().custom_metadata_map
    inside: Mapping[str, Any] = {name: _value(text) for name, text in texts.items()}
    config, where = inside, file
    if (there := file.with_name(CONFIG)).is_file():
        config, where = _config(there), there
        one, other = (_program(each) for each in (config, inside))
        if one and other and one != other:
            raise DataError(
                f"{there} is of the network {one}, and {file} of {other}", "keep what was exported together"
            )
    if _own(config).get("task") == DENOISE.name:
        return _denoiser(file, config, beside, session)
    meaning = Meaning.of(config, str(where))
    if meaning.shape[0] not in (1, 3):
        raise DataError(
            f"{file} takes images of {meaning.shape[0]} channels, which no picture file gives",
            "give it arrays by ONNX Runtime: its input `pixels` is float32 [n, c, h, w] from 0 to 255",
        )
    takes = [(each.name, each.type, list(each.shape[1:])) for each in session.get_inputs()]
    if takes != [("pixels", "tensor(float)", list(meaning.shape))] or len(session.get_outputs()) != 1:
        raise DataError(f"{file} does not take the images that {where} tells of, but {takes}", AGAIN)
    return Network(file, meaning, beside, session)


def exported_graph(export: Path) -> bytes:
    """The ONNX file of an export, read and not opened. Raises UsageError, DataError as `open_export` does."""
    file, _ = _located(export)
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} can't be read: {error.strerror}", "name a file that you may read") from None


def _located(export: Path) -> tuple[Path, int]:
    """The ONNX file, and how many networks the export has beside it."""
    if export.is_file():
        return export, 0
    if not export.is_dir():
        raise UsageError(f"there is no {export}", "deltanas runs export RUN --out FOLDER writes one")
    if (export / MODEL).is_file():
        return export / MODEL, 0
    if (export / RUN).is_file():
        raise UsageError(
            f"{export} is a run, not an export", f"deltanas runs export {export} --out FOLDER, and name that FOLDER"
        )
    # Their names begin with their ranks. Of two exports into one folder the later one counts.
    made = [path.parent for path in export.glob(f"*/{SOURCE}")]
    folders = sorted(made, key=lambda one: (one.name.partition("-")[0], -one.stat().st_mtime, one.name))
    able = [folder for folder in folders if (folder / MODEL).is_file()]
    if able:
        return able[0] / MODEL, len(folders) - 1
    made = folders or ([export] if (export / SOURCE).is_file() else [])
    if made and not (made[0] / "README.md").is_file():
        raise DataError(f"{export}: only sources were exported, without a training (--epochs 0)", AGAIN)
    if made:
        raise DataError(
            f"{export}: the network was exported without an ONNX file; its README.md says why",
            f"{_HINT} if it says that onnx or onnxruntime is missing, and {AGAIN}",
        )
    raise UsageError(f"{export} holds no {MODEL}", "deltanas runs export RUN --out FOLDER writes one")


def _session(file: Path) -> Any:
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise DataError(f"predictions need ONNX Runtime, which can't be imported: {error}", _HINT) from None
    try:
        model = file.read_bytes()
        outside = lies_outside(model)
    except OSError as error:
        raise DataError(f"{file} can't be read: {error.strerror}", "name a file that you may read") from None
    except ValueError as error:
        raise DataError(f"{file} is no ONNX file: {error}", AGAIN) from None
    if outside is not None:
        raise DataError(
            f"{file} has the values of {outside} outside of itself, where it could read any file",
            f"use it only with software that you trust with that; {AGAIN}",
        )
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry(*WHOLE_SUMS)
    try:
        return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  the errors of ONNX Runtime have nothing in common
        raise DataError(f"ONNX Runtime can't load {file}: {' '.join(str(error).split())[:500]}", AGAIN) from None


def _config(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} can't be read: {error}", AGAIN) from None
    return found if isinstance(found, dict) else {}


def _value(text: str) -> object:
    """What a text of the metadata tells; texts of other makers are no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _program(config: Mapping[str, Any]) -> object:
    return _own(config).get("program")


def _own(config: Mapping[str, Any]) -> Mapping[str, Any]:
    own = config.get("deltanas")
    return own if isinstance(own, dict) else {}


def _denoiser(file: Path, config: Mapping[str, Any], beside: int, session: Any) -> Denoiser:
    """Raises DataError where the file takes no images, or does not say of how many channels."""
    channels = config.get("num_channels")
    takes = [(each.name, each.type, list(each.shape)[1:2]) for each in session.get_inputs()]
    if takes != [("pixels", "tensor(float)", [channels])] or len(session.get_outputs()) != 1 or channels not in (1, 3):
        raise DataError(f"{file} does not take images of {channels} channels, but {takes}", AGAIN)
    return Denoiser(file, channels, beside, session, sight_of(file.read_bytes()))
