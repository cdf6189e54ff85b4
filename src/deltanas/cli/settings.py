"""Options of a command that are settings: their types and help texts are those of the settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from typer.core import TyperCommand

from deltanas.config import SearchConfig
from deltanas.errors import UsageError

Options = dict[str, Any]
"""What was given, by the key of the setting; None for what was not."""


def with_settings(options: Mapping[str, str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command an option for each setting, in place of its parameter `options: Options`.

    options: key of the setting by the option's names, as `--train-size`.
    """
    keys = {_name(names): key for names, key in options.items()}
    made = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, **_declared(names.split(), key))
        for (name, key), names in zip(keys.items(), options, strict=True)
    ]

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**given: Any) -> None:
            command(**{name: value for name, value in given.items() if name not in keys}, options=_given(given, keys))

        own = list(inspect.signature(command, eval_str=True).parameters.values())
        place = [one.name for one in own].index("options")
        own[place : place + 1] = made
        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        return run

    return decorated


def _name(names: str) -> str:
    """Of the parameter, as train_size of `--train-size`, and colour of `--colour/--grey`."""
    return names.split()[0].partition("/")[0].strip("-").replace("-", "_")


class SettingsCommand(TyperCommand):
    """A command with `--set`: an unknown option that is the name of a setting is told how to be given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = {name for parameter in self.params for name in (*parameter.opts, *parameter.secondary_opts)}
        for name, _, value in (each.partition("=") for each in args if each.startswith("--")):
            keys = [key for key in _keys(SearchConfig) if key.rpartition(".")[2] == name[2:].replace("-", "_")]
            if keys and name not in known:
                ways = " or ".join(f"--set {key}={value or 'VALUE'}" for key in keys)
                raise UsageError(f"no option {name}", f"it is a setting: {ways}")
        return super().parse_args(ctx, args)


def _keys(section: Any, prefix: str = "") -> Iterator[str]:
    """All keys of the settings, as "model.top_k"."""
    for name, field in section.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _given(given: Mapping[str, Any], keys: Mapping[str, str]) -> Options:
    """An address alone says that a Ray cluster is meant."""
    options = {key: given[name] for name, key in keys.items()}
    if options.get("train.address") and not options["train.executor"]:
        options["train.executor"] = "ray"
    return options


def _declared(names: list[str], key: str) -> dict[str, Any]:
    section: Any = SearchConfig
    *path, last = key.split(".")
    for name in path:
        section = section.model_fields[name].annotation
    field = section.model_fields[last]
    first, *rest = field.description.split(" ")
    said = first if rest[:1] == ["|"] else f"{first[:1].upper()}{first[1:]}"  # a value keeps its case
    option = typer.Option(*names, help=f"{' '.join([said, *rest])}.")
    match [kind for kind in _kinds(field.annotation) if kind is not NoneType]:
        case [kind] if kind is bool:
            # Without the option the setting's own value counts, be it true or false: None says so.
            option.metavar = ""
            return {"annotation": Annotated[bool | None, option], "default": None}
        case [kind] if kind in (int, float):
            return {"annotation": Annotated[kind | None, option], "default": None}
        case [kind] if get_origin(kind) is tuple:
            return {"annotation": Annotated[list[str] | None, option], "default": None}
        case _:
            return {"annotation": Annotated[str | None, option], "default": None}


def _kinds(annotation: Any) -> list[Any]:
    """The members of a union, without what is annotated to them."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for one in get_args(annotation) for kind in _kinds(one)]
    return [annotation]
