"""Commands: arguments checked, topic and payload built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from device_profiles.answers import Ack, Confirm, compile_ack, compile_confirm
from device_profiles.js_command import NONE, Encoding, compile_js_send
from device_profiles.payloads import Build, CommandFault, check_names, compile_payload, filled
from device_profiles.quality import LONGEST_TEXT
from device_profiles.swift import INT_MAX, INT_MIN
from device_profiles.topics import names_in
from gateway_core.errors import PayloadError
from gateway_core.model import Value

ArgType = Literal["float", "int", "bool", "string", "enum", "any"]
_FORMATS = {"json": 50, "text": 0, "bytes": 42}
"""Forms of a payload and their CoAP Content-Formats (RFC 7252 section 12.3)."""

_UNSAFE = re.compile(r"[+#\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Command:
    """A downlink, ready to send.

    Attributes:
        topic: MQTT topic, or CoAP path where ``via`` says so.
        payload: The bytes.
        via: What carries it.
        method: Of a CoAP request.
        content_format: CoAP Content-Format of the payload; None for MQTT.
    """

    topic: str
    payload: bytes
    via: Literal["mqtt", "coap"] = "mqtt"
    method: Literal["post", "put"] = "post"
    content_format: int | None = None


@dataclass(frozen=True, slots=True)
class Argument:
    """What an argument may be.

    Attributes:
        type: Its type; ``any`` where the profile does not say.
        low: Least value of a number, or None.
        high: Greatest value of a number, or None.
        values: Allowed texts, or None.
        default: Used when it is left out; None: it must be given.
    """

    type: ArgType
    low: float | None
    high: float | None
    values: tuple[str, ...] | None
    default: Value | None

    def check(self, name: str, value: object) -> Value:
        """Return the value in its type; raises `PayloadError` ``arg_type arg_value arg_range``."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if self.type == "bool" and not isinstance(value, bool):
            raise PayloadError("arg_type", f"{name}: expected true or false")
        if self.type in ("string", "enum") and not isinstance(value, str):
            raise PayloadError("arg_type", f"{name}: expected text")
        if self.type in ("float", "int") and not number:
            raise PayloadError("arg_type", f"{name}: expected a number")
        if not isinstance(value, bool | int | float | str):
            raise PayloadError("arg_type", f"{name}: expected one value")
        if self.values is not None and str(value) not in self.values:
            raise PayloadError("arg_value", f"{name}: expected one of {', '.join(self.values)}")
        if isinstance(value, str):
            if len(value) > LONGEST_TEXT:
                raise PayloadError("arg_value", f"{name}: longer than {LONGEST_TEXT} characters")
            return value
        return value if isinstance(value, bool) else self._number(name, value)

    def _number(self, name: str, value: float) -> int | float:
        if value != value or not INT_MIN <= value <= INT_MAX:  # noqa: PLR0124 - NaN
            raise PayloadError("arg_range", f"{name}: not a number of 64 bits")
        if self.type == "int":
            if not float(value).is_integer():
                raise PayloadError("arg_type", f"{name}: expected a whole number")
            value = int(value)
        elif self.type == "float":
            value = float(value)
        if (self.low is not None and value < self.low) or (
            self.high is not None and value > self.high
        ):
            raise PayloadError("arg_range", f"{name}: expected {self.low} to {self.high}")
        return value


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One command of a profile.

    Attributes:
        name: Its name.
        role: Who may send it.
        idempotent: Whether sending it twice does no more than once.
        arguments: Name to what it may be.
        topic: Template of topic or path.
        via: What carries it.
        build: Makes the payload.
        ack: The answer that shows that the device has it, or None.
        confirm: The reading that shows that it did it, or None.
        waits: Whether `encode` runs a JavaScript codec: call it where that may wait.
        method: Of a CoAP request.
        content_format: CoAP Content-Format of the payload; None for MQTT.
    """

    name: str
    role: Literal["operator", "engineer", "admin"]
    idempotent: bool
    arguments: Mapping[str, Argument]
    topic: str
    via: Literal["mqtt", "coap"]
    build: Build
    ack: Ack | None
    confirm: Confirm | None
    waits: bool = False
    method: Literal["post", "put"] = "post"
    content_format: int | None = None

    def encode(
        self, device: str, args: Mapping[str, object], captures: Mapping[str, str]
    ) -> Command:
        """Return the command for one device.

        Args:
            device: What it is called where it speaks: its id, unless the profile escapes names.
            args: Argument to value.
            captures: Further names of the templates, from the device's record (``app``, ``mac``).

        Raises:
            PayloadError: ``missing_arg unknown_arg arg_type arg_value arg_range missing_capture``.
        """
        checked = self.check(args)
        names = {**captures, "device": device}
        topic = str(filled(self.topic, checked, names))
        slashes = device.count("/") * names_in(self.topic).count("device")  # its name may have some
        if _UNSAFE.search(topic) or topic.count("/") != self.topic.count("/") + slashes:
            raise PayloadError("arg_value", f"{self.name}: does not fit into one level of a topic")
        payload = self.build(checked, names)
        return Command(topic, payload, self.via, self.method, self.content_format)

    def check(self, args: Mapping[str, object]) -> dict[str, Value]:
        """Return all arguments in their types, defaults included.

        Raises:
            PayloadError: ``missing_arg unknown_arg arg_type arg_value arg_range``.
        """
        for name in args:
            if name not in self.arguments:
                raise PayloadError("unknown_arg", f"{self.name} takes no {name!r}")
        checked: dict[str, Value] = {}
        for name, argument in self.arguments.items():
            value = args.get(name, argument.default)
            if value is None:
                raise PayloadError("missing_arg", f"{self.name} needs {name!r}")
            checked[name] = argument.check(name, value)
        return checked


def compile_command(
    name: str, spec: Mapping[str, Any], fields: Mapping[str, Any], encoding: Encoding = NONE
) -> CommandSpec:
    """Compile one command.

    Args:
        name: Its name.
        spec: As written.
        fields: The profile's ``measurements``.
        encoding: What makes the profile's downlinks.

    Raises:
        CommandFault: The specification is wrong.
    """
    arguments = {key: _argument(one) for key, one in spec.get("args", {}).items()}
    send = spec["send"]
    if "js" in send:
        topic, build = compile_js_send(send, arguments, encoding)
        send = {"topic": topic}
    elif ("topic" in send) == ("path" in send):
        raise CommandFault(("send",), "expected one of 'topic' (MQTT) and 'path' (CoAP)")
    else:
        build = compile_payload(send, arguments)
    via: Literal["mqtt", "coap"] = "mqtt" if "topic" in send else "coap"
    where = "topic" if via == "mqtt" else "path"
    check_names(send[where], arguments, ("send", where))
    if "method" in send and via == "mqtt":
        raise CommandFault(("send", "method"), "only a CoAP request ('path') has a method")
    if "ack" in spec and via == "coap":
        raise CommandFault(("ack",), "a CoAP device answers the request itself: leave ack out")
    return CommandSpec(
        name,
        spec["role"],
        spec.get("idempotent", False),
        arguments,
        send[where],
        via,
        build,
        compile_ack(spec["ack"], arguments) if "ack" in spec else None,
        compile_confirm(spec["confirm"], arguments, fields) if "confirm" in spec else None,
        "js" in spec["send"],
        send.get("method", "post"),
        next(_FORMATS[form] for form in _FORMATS if form in send) if via == "coap" else None,
    )


def _argument(spec: Mapping[str, Any]) -> Argument:
    kind = spec.get("type", "enum" if "values" in spec else "float" if "range" in spec else "any")
    low, high = spec.get("range", (None, None))
    values = tuple(spec["values"]) if "values" in spec else None
    return Argument(kind, low, high, values, spec.get("default"))
