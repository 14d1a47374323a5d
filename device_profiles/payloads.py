"""Payloads of commands: JSON, text and binary templates filled with arguments."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from device_profiles.topics import fill, names_in
from gateway_core.errors import PayloadError
from gateway_core.model import Value

_ARG = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_CODES = {
    "u8": "B", "u16": "H", "u32": "I", "u64": "Q",
    "i8": "b", "i16": "h", "i32": "i", "i64": "q", "f32": "f", "f64": "d",
}  # fmt: skip

Build = Callable[[Mapping[str, Value], Mapping[str, str]], bytes]
"""From arguments and template values to the payload; raises `PayloadError`."""


class CommandFault(Exception):
    """A command's specification is wrong.

    Attributes:
        path: Where, below the command.
        message: What was expected.
    """

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


def compile_payload(send: Mapping[str, Any], arguments: Mapping[str, object]) -> Build:
    """Compile the payload of a command's ``send``.

    Args:
        send: As written.
        arguments: The command's arguments.

    Raises:
        CommandFault: No form or two, or a name that is not an argument.
    """
    forms = [form for form in ("json", "text", "bytes") if form in send]
    if len(forms) != 1:
        raise CommandFault(("send",), "expected one of 'json', 'text' and 'bytes'")
    form = forms[0]
    if form == "bytes":
        return _bytes(send["bytes"], arguments)
    check_names(send[form], arguments, ("send", form))
    if form == "text":
        return lambda args, names: str(filled(send["text"], args, names)).encode()
    return lambda args, names: msgspec.json.encode(filled(send["json"], args, names))


def check_names(template: Any, known: Mapping[str, object], path: tuple[str | int, ...]) -> None:
    """Raise `CommandFault` where ``${name}`` is not among the ``known`` arguments."""
    if isinstance(template, dict):
        for key, value in template.items():
            check_names(value, known, (*path, key))
    elif isinstance(template, list):
        for index, value in enumerate(template):
            check_names(value, known, (*path, index))
    elif isinstance(template, str):
        for name in _ARG.findall(template):
            if name not in known:
                raise CommandFault(path, f"${{{name}}} is not among the arguments")


def filled(template: Any, args: Mapping[str, Value], names: Mapping[str, str]) -> Any:
    """Return the template with its names replaced.

    Args:
        template: JSON value; a text that is ``${arg}`` alone becomes the argument in its own type.
        args: Checked arguments.
        names: What ``{name}`` within text stands for.

    Raises:
        PayloadError: ``missing_capture``.
    """
    if isinstance(template, dict):
        return {key: filled(value, args, names) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, args, names) for value in template]
    if not isinstance(template, str):
        return template
    whole = _ARG.fullmatch(template)
    if whole is not None:
        return args[whole[1]]
    pieces = _ARG.split(template)  # odd elements are arguments
    for at in range(0, len(pieces), 2):
        missing = [name for name in names_in(pieces[at]) if name not in names]
        if missing:
            raise PayloadError("missing_capture", f"the device's record has no {missing[0]!r}")
        pieces[at] = fill(pieces[at], dict(names))
    for at in range(1, len(pieces), 2):
        value = args[pieces[at]]
        pieces[at] = value if isinstance(value, str) else json.dumps(value)
    return "".join(pieces)


def _bytes(chunks: list[Any], arguments: Mapping[str, object]) -> Build:
    parts: list[Callable[[Mapping[str, Value]], bytes]] = []
    for index, chunk in enumerate(chunks):
        if isinstance(chunk, str):
            parts.append(_literal(bytes.fromhex(chunk)))
        elif chunk["arg"] in arguments:
            parts.append(_packed(chunk))
        else:
            raise CommandFault(("send", "bytes", index), f"no argument {chunk['arg']!r}")
    return lambda args, _names: b"".join(part(args) for part in parts)


def _literal(raw: bytes) -> Callable[[Mapping[str, Value]], bytes]:
    return lambda _args: raw


def _packed(chunk: Mapping[str, Any]) -> Callable[[Mapping[str, Value]], bytes]:
    name, form, scale, table = chunk["arg"], chunk["as"], chunk.get("scale", 1), chunk.get("map")
    order = "<" if form.endswith("le") else ">"
    kind = form.removesuffix("le").removesuffix("be")
    pack = struct.Struct(order + _CODES[kind]).pack

    def packed(args: Mapping[str, Value]) -> bytes:
        value: Any = args[name]
        if table is not None:
            value = table.get(value if isinstance(value, str) else json.dumps(value))
        if isinstance(value, str) or value is None:
            raise PayloadError("arg_value", f"{name}: has no form as {form}")
        number = value * scale
        try:
            return pack(float(number) if kind[0] == "f" else round(number))
        except (struct.error, OverflowError) as exc:
            raise PayloadError("arg_range", f"{name}: does not fit into {form}") from exc

    return packed
