"""docs/reference/configuration.md: every key of both programs, from the pydantic models."""

# ruff: noqa: E501  # prose of a Markdown page

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from collector.config import CollectorConfig
from edge_agent.config import EdgeConfig
from edge_agent.systems.inventory import System
from gateway_core.units import Address
from pages.table import table

HEAD = """# Configuration

YAML 1.2, so `on` is a word and `010` is ten. `tidegate edge init` and `tidegate collector init` write a first file with
every key explained; `tidegate edge check` and `tidegate collector check` name each mistake as `file:line:col: path: message`.

* Every key can come from the environment, which wins: `TIDEGATE_<SECTION>__<KEY>`, for example `TIDEGATE_EDGE__ID`,
  `TIDEGATE_MQTT__0__URL`. A value that begins with `[` or `{` is YAML.
* Relative paths are relative to the folder of the file that names them. Secrets are paths to files, never values.
* A *size* is written `20GiB`, `512MiB` or `20GB`; a *duration* `20ms`, `5m`, `1h30m` or `30d`; an *address* `[::]:8080`,
  `127.0.0.1:8080` or `:8080`, and several of them as a list. `[::]` serves IPv4 as well.
* An unknown key is a mistake, with the nearest known one as a hint.
"""

_MEANING = re.compile(r"^(\w+): (.*(?:\n(?!\w+: |\w+:$).*)*)", re.MULTILINE)
_SIZES = {"TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10}
_TIMES = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}


LISTS = {
    "profiles": "Folders of profiles beside the catalogue that ships",
    "discovery": "`homeassistant`: follow devices that [announce themselves](codecs.md#devices-that-announce-themselves)",
}
"""What sections that are lists of plain values mean."""


def page() -> str:
    """Return the page."""
    text = [HEAD, "## The edge agent: edge.yaml\n", *_sections(EdgeConfig, skip=set())]
    text += [
        "The files that these keys name: `devices.csv` (`id,profile,address[,name,lat,lon]`), `feeds.csv`",
        "(`id,name,host,onvif_port,rtsp_url,username,password_file,area,lat,lon,group`), the [egress file](egress-file.md)",
        "and `systems.yaml`, a list under `systems:` of:\n",
        _keys(System),
        "## The collector: collector.yaml\n",
        *_sections(CollectorConfig, skip=set()),
    ]
    return "\n".join(text)


def _sections(model: type[BaseModel], skip: set[str]) -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        if name in skip:
            continue
        if part := _model(field.annotation):
            many = " (a list)" if get_origin(field.annotation) is tuple else ""
            about = inspect.cleandoc(part.__doc__ or "").partition("\n\n")[0]
            needed = "" if not field.is_required() else " Needed."
            found.append(f"### {name}{many}\n\n{about}{needed}\n\n{_keys(part)}")
        else:
            found.append(f"### {name}\n\n{LISTS[name]}; a list, default none.\n")
    return found


def _keys(model: type[BaseModel]) -> str:
    said = meanings(model)
    rows = (
        (f"`{name}`", *_kind(field), said.get(name, ""))
        for name, field in model.model_fields.items()
    )
    return table(("key", "type", "default", "meaning"), rows)


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return key to meaning, from the ``Attributes`` of the class and those it inherits from."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if each is BaseModel or not issubclass(each, BaseModel):
            continue
        _, _, attributes = inspect.cleandoc(each.__dict__.get("__doc__") or "").partition(
            "Attributes:\n"
        )
        for name, text in _MEANING.findall(textwrap.dedent(attributes)):
            found[name] = text.replace("``", "`")
    return found


def _kind(field: FieldInfo) -> tuple[str, str]:
    """Return type and default for people."""
    duration = any(
        getattr(m, "func", None).__name__ == "parse_duration"
        for m in field.metadata
        if hasattr(m, "func")
    )
    size = any(
        getattr(m, "func", None).__name__ == "parse_size"
        for m in field.metadata
        if hasattr(m, "func")
    )
    kind = "duration" if duration else "size" if size else _type(field.annotation)
    bounds = [
        f"{word} {_value(getattr(m, name), kind)}"
        for m in field.metadata
        for name, word in (("ge", "from"), ("gt", "more than"), ("le", "to"), ("lt", "below"))
        if getattr(m, name, None) is not None
    ]
    default = field.get_default()
    return ", ".join([kind, *bounds]), "**needed**" if default is PydanticUndefined else _default(
        default, kind
    )


def _type(annotation: Any) -> str:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inside[0])
    if origin is Literal:
        return " or ".join(f"`{each}`" for each in inside)
    if origin in (Union, UnionType):
        return " or ".join(_type(each) for each in inside if each is not NoneType)
    if origin is tuple:
        return "address" if inside[0] is Address else f"list of {_type(inside[0])}"
    if (keys := _model(annotation)) is not None:
        return "{" + ", ".join(f"`{name}`" for name in keys.model_fields) + "}"
    return _NAMES.get(annotation, str(annotation))


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model, get_args(annotation))), None)


def _default(value: Any, kind: str) -> str:
    if value is None or value in ((), ""):
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value)
    return f"`{_value(value, kind)}`"


def _value(value: Any, kind: str) -> str:
    if kind == "size":
        return next(
            (
                f"{value // unit}{name}"
                for name, unit in _SIZES.items()
                if value and value % unit == 0
            ),
            str(value),
        )
    if kind == "duration":
        if 0 < value < 1:
            return f"{value * 1000:g}ms"
        return next(
            (
                f"{value // unit:g}{name}"
                for name, unit in _TIMES.items()
                if value and value % unit == 0
            ),
            f"{value:g}",
        )
    return f"{value:g}" if isinstance(value, float) else str(value)
