"""A section of settings: typed, frozen; an unknown key fails and names the known ones."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from deltanas.errors import UsageError

BEFORE: Mapping[str, Any] = {
    "growth": "off",
    "steps_per_edit": 1,
    "rungs": (),
    "train": {"average": 0.0, "validation_size": "all", "crops": ()},
}
"""What a run was held to that was begun before there were the settings."""


class Section(BaseModel):
    """Settings that one reader has, defined beside it. Every field has a default and a description."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """The validated settings. Raises UsageError: an unknown key, a value of a wrong type or out of range."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise UsageError(*_explained(error, cls, values)) from None


def _explained(error: ValidationError, section: type[BaseModel], values: Mapping[str, Any]) -> tuple[str, str]:
    """The first fault as a message and a hint."""
    fault, *more = error.errors()
    place = _place(fault["loc"], values)
    key = ".".join(place)
    if fault["type"] == "extra_forbidden":
        known = _known(section, place[:-1])
        close = difflib.get_close_matches(place[-1], known, 1)
        hint = f"did you mean `{close[0]}`? " if close else ""
        return f"unknown config key `{key}`", f"{hint}known keys: {', '.join(known)}"
    words = [
        one["ctx"]["expected"] for one in more if one["type"] == "literal_error" and place == _place(one["loc"], values)
    ]
    return f"`{key}` = {fault['input']!r}: {', or '.join([fault['msg'][:1].lower() + fault['msg'][1:], *words])}", ""


def _place(path: Sequence[str | int], values: Any) -> list[str]:
    """The keys on the path of a fault: one in a union of types ends with the name of a type, which nobody gave."""
    place = []
    for part in path:
        if isinstance(part, int):
            values = values[part] if isinstance(values, list | tuple) else None
        elif isinstance(values, Mapping) and part in values:
            values = values[part]
        else:
            break
        place.append(str(part))
    return place


def _known(section: Any, path: Sequence[str]) -> list[str]:
    for name in path:
        section = section.model_fields[name].annotation
    return list(section.model_fields)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with others laid over them, section by section."""
    both = dict(base)
    for key, value in over.items():
        sections = isinstance(both.get(key), dict) and isinstance(value, Mapping)
        both[key] = merged(both[key], value) if sections else value
    return both


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def given_settings(
    path: Path | None = None, options: Mapping[str, object] | None = None, preset: str | None = None
) -> dict[str, Any]:
    """What a TOML file says, with `options` (dotted keys; None for not given) laid over it; not validated yet.

    preset: name of one of `presets()`, on which the file is laid.
    """
    values: dict[str, Any] = {} if preset is None else read_toml(_preset(preset))
    values = values if path is None else merged(values, read_toml(path))
    for key, value in (options or {}).items():
        if value is not None:
            nested: Any = value
            for name in reversed(key.split(".")):
                nested = {name: nested}
            values = merged(values, nested)
    return values


def setting(text: str) -> tuple[str, Any]:
    """The dotted key and the value of `key=value`. The value is TOML; what is no TOML is a string as it stands.

    Raises:
        UsageError: it has another form.
    """
    key, found, value = text.partition("=")
    key = key.strip()
    if not found or not all(part for part in key.split(".")):
        raise UsageError(f"{text!r} sets nothing", "give key=value, as in model.top_k=50")
    try:
        parsed = tomllib.loads(f"value = {value}")
    except (tomllib.TOMLDecodeError, RecursionError):  # it is nested too deep to be a setting
        return key, value
    return key, parsed["value"] if len(parsed) == 1 else value


def presets() -> dict[str, Path]:
    """The settings that come with deltanas, by name."""
    folder = Path(str(files("deltanas"))) / "presets"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def _preset(name: str) -> Path:
    known = presets()
    if name not in known:
        raise UsageError(f"no preset {name!r}", f"known: {', '.join(known)}; a file is given without --preset")
    return known[name]


def read_toml(path: Path) -> dict[str, Any]:
    """What a file says. Raises UsageError where it is none, or no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no config file {path}", "give a TOML file, or leave it out for the defaults") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read: {error}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None


def listed(value: object) -> object:
    """Names that stand in one text, as "accuracy,params", apart."""
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts):
        return [name.strip() for text in texts for name in text.split(",")]
    return value


def numbers(value: object) -> object:
    """As `listed`; a single number stands for itself."""
    return (value,) if isinstance(value, int) else listed(value)
