"""Commands that the vendor's codec encodes, in the message of the device's network server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from device_profiles.js.step import JsCodec
from device_profiles.lorawan import DOWN_TOPICS, SERVERS, downlink
from device_profiles.payloads import Build, CommandFault, check_names, filled
from device_profiles.route import Entry
from gateway_core.errors import PayloadError
from gateway_core.model import Value


@dataclass(frozen=True, slots=True)
class Encoding:
    """What makes a profile's downlinks.

    Attributes:
        codec: The codec that decodes its messages, or None.
        servers: The network servers by which they come, in the order of ``match``.
    """

    codec: JsCodec | None
    servers: tuple[str, ...]

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Encoding:
        """Return the encoding of the profile with these entries."""
        known = list(entries)
        codec = next((entry.decode for entry in known if isinstance(entry.decode, JsCodec)), None)
        return cls(codec, tuple(entry.via for entry in known if entry.via in SERVERS))


NONE = Encoding(None, ())
"""Of a profile without a JavaScript codec."""


def compile_js_send(
    send: Mapping[str, Any], arguments: Mapping[str, object], encoding: Encoding
) -> tuple[str, Build]:
    """Compile ``send: {js: …}``.

    Args:
        send: As written.
        arguments: The command's arguments.
        encoding: Of the profile.

    Returns:
        The topic's template, and what makes the payload; that raises `PayloadError` as
        `JsCodec.encode` does. It runs the codec: call it where that may wait.

    Raises:
        CommandFault: No codec, no network server, or a name that is not an argument.
    """
    spec, codec = send["js"], encoding.codec
    if codec is None:
        raise CommandFault(("send", "js"), "the profile's 'decode' has no JavaScript codec")
    via = spec.get("via", next(iter(encoding.servers), None))
    if via is None:
        raise CommandFault(("send", "js"), f"expected 'via', one of {', '.join(SERVERS)}")
    topic = send.get("topic", DOWN_TOPICS.get(via))
    if topic is None:
        raise CommandFault(("send",), f"the key 'topic' is missing: {via} has no topic of its own")
    if "path" in send or {"json", "text", "bytes"} & send.keys():
        raise CommandFault(("send",), "'js' goes to a topic, and is the only form")
    template = spec["data"]
    check_names(template, arguments, ("send", "js", "data"))
    fport, confirmed = spec.get("fport"), spec.get("confirmed", False)

    def build(args: Mapping[str, Value], names: Mapping[str, str]) -> bytes:
        data = filled(template, args, names)
        if not isinstance(data, dict):
            raise PayloadError("arg_type", "the codec takes an object of data")
        made = codec.encode(data, fport)
        return msgspec.json.encode(
            downlink(via, names["device"], made.payload, made.fport, confirmed=confirmed)
        )

    return topic, build
