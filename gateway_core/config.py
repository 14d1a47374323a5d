"""Read a YAML file that a person wrote into a pydantic model; every mistake has a place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway_core.errors import ConfigError, Fault
from gateway_core.units import Address, BitRate, Duration, Listen, Size
from gateway_core.yaml_document import Step, YamlDocument, read_yaml

__all__ = [
    "BitRate",
    "Duration",
    "Listen",
    "Size",
    "YamlDocument",
    "anchored",
    "faults_of",
    "load_config",
    "read_yaml",
]

M = TypeVar("M", bound=BaseModel)
V = TypeVar("V")

_SECRET = ("password", "token", "secret", "key")
_WORDS = {
    "tuple_type": "expected a list, each element after a `-` or in brackets",
    "list_type": "expected a list, each element after a `-` or in brackets",
    "model_type": "expected keys and values such as `name: {…}`",
    "dict_type": "expected keys and values such as `name: {…}`",
}
_PLAIN = (str, int, float, bool)


def load_config(
    model: type[M],
    path: Path,
    env_prefix: str = "TIDEGATE",
    env: Mapping[str, str] | None = None,
) -> M:
    """Read ``path`` into ``model``.

    ``<env_prefix>_<SECTION>__<KEY>`` in the environment wins over the file; more ``__`` go
    deeper, a number is an index of a list. A value that begins with ``[`` or ``{`` is YAML, all
    else is text. A section that the model does not have is another program's.

    Args:
        model: Frozen, ``extra="forbid"``.
        path: The file. Relative paths inside it mean what they would mean on a command line.
        env_prefix: Of the environment's names.
        env: The environment; None: the process's.

    Raises:
        ConfigError: Every mistake as ``file:line:col: path: message``.
    """
    document = read_yaml(path)
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        raise ConfigError(document.fault((), "expected sections such as `name: {…}`"))
    given = _overrides(model, env_prefix, os.environ if env is None else env)
    for name, steps, value in given:
        _put(data, steps, value, name)
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        names = {steps: name for name, steps, _ in given}
        merged = replace(document, data=data)
        raise ConfigError(*faults_of(exc, model, merged, names)) from exc


def faults_of(
    error: ValidationError,
    model: type[BaseModel],
    document: YamlDocument,
    names: Mapping[tuple[Step, ...], str] | None = None,
) -> list[Fault]:
    """Turn pydantic's errors into faults, in the order of the file.

    Args:
        error: What ``model_validate`` raised.
        model: The model that it was called on, for did-you-mean.
        document: Where the data came from.
        names: Paths that came from the environment, and the variables' names.
    """
    told: dict[tuple[Step, ...], list[str]] = {}
    for each in error.errors(include_url=False):
        steps = _real(each, document.data)
        message = _say(each, steps, model)
        if message not in told.setdefault(steps, []):
            told[steps].append(message)
    faults: list[Fault] = []
    for steps, messages in told.items():
        fault = document.fault(steps, "; or ".join(messages))
        variable = next((n for s, n in (names or {}).items() if steps[: len(s)] == s), None)
        if variable is not None:
            fault = Fault(f"environment variable {variable}", 0, 0, fault.path, fault.message)
        faults.append(fault)
    return sorted(faults, key=lambda fault: (fault.line, fault.col))


def anchored(value: V, folder: Path) -> V:
    """Return a configuration with every relative path in it made relative to ``folder``.

    A site's folder can then be moved as a whole, and a program started from anywhere.
    """
    changed: object = value
    if isinstance(value, Path):
        changed = folder / value
    elif isinstance(value, BaseModel):
        held = {name: getattr(value, name) for name in type(value).model_fields}
        changed = value.model_copy(update={k: anchored(v, folder) for k, v in held.items()})
    elif isinstance(value, tuple) and not isinstance(value, Address):
        changed = tuple(anchored(each, folder) for each in value)
    return cast("V", changed)


def _overrides(
    model: type[BaseModel], prefix: str, env: Mapping[str, str]
) -> list[tuple[str, tuple[Step, ...], Any]]:
    found: list[tuple[str, tuple[Step, ...], Any]] = []
    for name in sorted(env):
        head, _, rest = name.partition(f"{prefix}_")
        keys = rest.lower().split("__")
        if head or len(keys) < 2 or keys[0] not in model.model_fields:
            continue
        steps = tuple(int(key) if key.isdecimal() else key for key in keys)
        value: Any = env[name]
        if value[:1] in ("[", "{"):
            # `[::]:8080` begins as a YAML list does and is none
            with contextlib.suppress(ConfigError):
                value = read_yaml(value, f"environment variable {name}").data
        found.append((name, steps, value))
    return found


def _put(data: dict[str, Any], steps: tuple[Step, ...], value: object, name: str) -> None:
    at: Any = data
    for step, following in zip(steps, (*steps[1:], None), strict=True):
        last = following is None
        empty: object = value if last else [] if isinstance(following, int) else {}
        if isinstance(at, dict) and isinstance(step, str):
            if last or not isinstance(at.get(step), dict | list):
                at[step] = empty
        elif isinstance(at, list) and isinstance(step, int) and step <= len(at):
            at[step : step + 1] = [empty if last or step == len(at) else at[step]]
        else:
            message = f"there is no {step} in {'.'.join(map(str, steps))}"
            raise ConfigError(Fault(f"environment variable {name}", 0, 0, "", message))
        at = at[step]


def _real(each: ErrorDetails, data: object) -> tuple[Step, ...]:
    """Return the steps that stand in the data (pydantic adds names of union members)."""
    steps: list[Step] = []
    at = data
    last = len(each["loc"]) - 1
    for index, step in enumerate(each["loc"]):
        if inside := _below(at, step):
            (at,) = inside
        elif not (index == last and each["type"] == "missing"):
            continue
        steps.append(step)
    return tuple(steps)


def _below(at: object, step: Step) -> tuple[object, ...]:
    """Return what stands at ``step``, or nothing."""
    if isinstance(at, dict) and step in at:
        return (at[step],)
    if isinstance(at, list) and isinstance(step, int) and step < len(at):
        return (at[step],)
    return ()


def _say(each: ErrorDetails, steps: tuple[Step, ...], model: type[BaseModel]) -> str:
    if each["type"] == "extra_forbidden":
        known = sorted(_known(model, steps[:-1]))
        close = get_close_matches(str(steps[-1]), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
        return f"unknown key; {hint}"
    if each["type"] == "missing":
        return "this key is missing"
    if each["type"] == "value_error":
        return each["msg"].removeprefix("Value error, ")
    message = _WORDS.get(each["type"]) or each["msg"][:1].lower() + each["msg"][1:]
    secret = any(word in str(step) for step in steps for word in _SECRET)
    found = each["input"]
    if isinstance(found, _PLAIN) and len(str(found)) <= 60 and not secret and "@" not in str(found):
        quotes = each["type"] == "string_type" and found is not None
        return f"{message}, found {found!r}" + ("; write it in quotes" if quotes else "")
    return message


def _known(model: type[BaseModel], steps: tuple[Step, ...]) -> set[str]:
    """Return the keys that are allowed below ``steps``."""
    here = [model]
    for step in steps:
        if isinstance(step, int):
            continue
        fields = [each.model_fields.get(step) for each in here]
        here = [found for each in fields if each for found in _models(each.annotation)]
    return {field.alias or name for each in here for name, field in each.model_fields.items()}


def _models(annotation: object) -> list[type[BaseModel]]:
    """Return the models that an annotation speaks of, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for each in get_args(annotation) for found in _models(each)]
