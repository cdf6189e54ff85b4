"""How many workers of how many threads train most on this machine, as measured and kept in the state folder."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from deltanas.errors import DeltanasError
from deltanas.sandbox.pool import cores
from deltanas.sandbox.state import state_folder
from deltanas.whole import write_whole

_REDO = "measure again with: deltanas calibrate"


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured, and where.

    Attributes:
        cpu, cores, torch: the machine; on any other the rest means nothing.
        threads: of each worker, where most was trained; as many workers as the cores then allow.
        rates: candidates an hour, by "WORKERS x THREADS". task: what was trained.
    """

    cpu: str
    cores: int
    torch: str
    threads: int
    rates: dict[str, float]
    task: str


def calibration_file() -> Path:
    return state_folder() / "calibration.json"


def this_machine() -> tuple[str, int, str]:
    """The model of the CPU, the cores that this process may use, and torch's version."""
    return _cpu(), cores(), metadata.version("torch")


def stored_calibration() -> tuple[Calibration | None, str]:
    """What was measured on this machine, or None; and, where a file was found that can't be used, why."""
    from pydantic import TypeAdapter, ValidationError  # here only, as in `state`

    path = calibration_file()
    try:
        found = TypeAdapter(Calibration).validate_json(path.read_bytes())
    except FileNotFoundError:
        return None, ""
    except (OSError, ValidationError):
        return None, f"{path} can't be read as a calibration, and is not used; {_REDO}"
    if (found.cpu, found.cores, found.torch) != this_machine():
        place = f"{found.cpu}, {found.cores} cores, torch {found.torch}"
        return None, f"{path} was measured elsewhere ({place}), and is not used; {_REDO}"
    if not 1 <= found.threads <= found.cores:
        return None, f"{path} has {found.threads} threads for {found.cores} cores, and is not used; {_REDO}"
    return found, ""


def keep_calibration(calibration: Calibration) -> Path:
    """Write it whole or not at all. Raises DeltanasError where the state folder can't be written."""
    path = calibration_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, json.dumps(asdict(calibration), indent=2) + "\n")
    except OSError as error:
        raise DeltanasError(
            f"the calibration can't be kept in {path.parent}: {error.strerror}", "DELTANAS_STATE names another folder"
        ) from error
    return path


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
