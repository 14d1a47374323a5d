"""What is fuzzed: each target takes any bytes and raises nothing; what it raises is a finding.

Arbitrary bytes give readings or a `PayloadError`, arbitrary texts a profile or a `ConfigError`:
never anything else, and never a value that no store takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from device_profiles.catalogue import load_catalogue
from device_profiles.codecs import Context, compile_decode, parse_cbor, parse_json, unwrap
from device_profiles.codecs.checksum import crc16_modbus, xor8
from device_profiles.codecs.condition import compile_condition
from device_profiles.codecs.contract import SpecError
from device_profiles.draft import draft
from device_profiles.draft_samples import BadSample, read_samples
from device_profiles.draft_text import Wish
from device_profiles.examples import payload_of
from device_profiles.explain import explain
from device_profiles.js.step import JsCodec
from device_profiles.paths import PathFault, compile_path, parse_path
from device_profiles.profile import Profile, load_profile
from device_profiles.topics import TemplateFault, parse_template
from device_profiles.units import UnitFault, parse_unit
from edge_agent.cameras.challenge import authorize, choose
from edge_agent.cameras.inventory import Credential
from edge_agent.cameras.notifications import read_notifications
from edge_agent.cameras.onvif import (
    read_information,
    read_profiles,
    read_services,
    read_time,
    read_uri,
    repair_http,
)
from edge_agent.cameras.parse import read_document
from edge_agent.cameras.pullpoint import read_lifetime, read_subscription
from edge_agent.cameras.rtsp import AnswerReader
from edge_agent.cameras.sdp import parse_sdp
from edge_agent.cameras.soap import read_fault
from gateway_core.errors import ConfigError, PayloadError
from tests.fuzz.listener import listener

CORPUS = Path(__file__).with_name("corpus")
"""A folder for each target: seeds of our own, and every input that once was a finding."""

Target = Callable[[bytes], None]

RECEIVED = 1_700_000_000_000_000_000
_LONGEST = 4096
_CATALOGUE = load_catalogue([])

_TLV = {
    "key": ["u8"],
    "len": "u8",
    "unknown": "skip",
    "cases": {
        "01": [{"a": "u16"}],
        "02": {"list": "rows", "fields": [{"t": "u32"}, {"v": "i16le"}]},
    },
}
_STRUCT = {
    "fields": [
        {"kind": "u8"},
        {"flags": {"type": "u16", "bits": {"on": 0, "mode": [1, 3], "tilt": [4, 4, "signed"]}}},
        {"time": "bcd6"},
        {"count": "u8"},
        {"extra": {"type": "f32", "when": "kind == 3 && flags.mode > 1"}},
        {"rows": {"repeat": {"count": "count", "fields": [{"v": "u24le"}, {"d": "sdec2"}]}}},
        {"rest": {"tlv": _TLV}},
    ],
    "rest": "ignore",
}
_DESCRIBED = {
    "preamble": "fe",
    "start": "68",
    "header": [{"control": "u8"}, {"length": "u8"}],
    "length": "length",
    "checksum": "sum8",
    "end": "16",
    "subtract": 0x33,
}
_STEPS = {
    "json": [{"json": {}}],
    "cbor": [{"cbor": {}}],
    "senml": [{"senml": {"split": ":"}}],
    "struct": [{"struct": _STRUCT}],
    "tlv": [{"tlv": _TLV}],
    "cayenne": [{"cayenne-lpp": {}}],
    "sparkplug": [{"sparkplug-b": {}}],
    "edgex": [{"edgex": {}}],
    "line-protocol": [{"line-protocol": {}}],
    "lwm2m": [{"lwm2m": {"path": "3303", "format": "tlv"}}],
    "thingsboard": [{"thingsboard": {"form": "gateway"}}],
    "described": [{"frame": _DESCRIBED}, {"struct": {"fields": [{"x": "hex"}]}}],
    "carried": [{"json": {"payload": "data"}}, {"tlv": _TLV}],
}
_MODBUS = compile_decode(
    [{"frame": "modbus-rtu"}, {"struct": {"fields": [{"a": "u16"}, {"b": "hex"}]}}]
)
_JT808 = compile_decode([{"frame": "jt808"}, {"struct": _STRUCT}])


def _codec(name: str) -> Target:
    decode = compile_decode(_STEPS[name], many=True)

    def target(data: bytes) -> None:
        form = (None, 50, 60, 110, 112)[data[0] % 5] if data else None
        with suppress(PayloadError):
            decode(data[1:], Context({"device": "d"}, RECEIVED, form, 1))

    return target


def _modbus(data: bytes) -> None:
    for frame in (data, data + crc16_modbus(data).to_bytes(2, "little")):
        with suppress(PayloadError):
            _MODBUS(frame, Context())


def _jt808(data: bytes) -> None:
    body = data + bytes([xor8(data)])
    body = body.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02")
    for frame in (data, b"\x7e" + body + b"\x7e"):
        with suppress(PayloadError):
            _JT808(frame, Context())


def _envelopes(data: bytes) -> None:
    for via in ("chirpstack-v4", "ttn-v3", "zigbee2mqtt"):
        with suppress(PayloadError):
            unwrap(via, data)
    for parse in (parse_json, parse_cbor):
        with suppress(PayloadError):
            parse(data)


def _addresses() -> list[tuple[Profile, bool, str, int | None]]:
    """Return every address of a vector in the catalogue, with its Content-Format."""
    found: dict[tuple[str, bool, str, int | None], Profile] = {}
    for profile in _CATALOGUE.profiles.values():
        if any(isinstance(entry.decode, JsCodec) for entry in profile.entries):
            continue  # runs in a process of its own, and has its own hostile tests
        for recv in received(profile):
            coap = "path" in recv
            address = recv["path"] if coap else recv["topic"]
            found[profile.id, coap, address, recv.get("content_format")] = profile
    return [(found[key], *key[1:]) for key in sorted(found, key=str)]


def received(profile: Profile) -> Iterator[dict]:
    """Yield the messages of a profile's vectors."""
    for test in profile.tests:
        for part in (test, *test.get("steps", ())):
            if "recv" in part:
                yield part["recv"]


ADDRESSES = _addresses()


def _route(data: bytes) -> None:
    """Decode with the profile that the first two bytes choose; check what comes out."""
    if len(data) < 2:
        return
    profile, coap, address, form = ADDRESSES[int.from_bytes(data[:2], "big") % len(ADDRESSES)]
    routes = _CATALOGUE.coap(address, form) if coap else _CATALOGUE.mqtt(address)
    for route in routes:
        if isinstance(route.entry.decode, JsCodec):
            continue
        try:
            decoded = route.decode(data[2:], RECEIVED, form)
        except PayloadError:
            continue
        for one in decoded.devices:
            for point in one.readings:
                assert 0 <= point.time < 2**63
                for value in point.fields.values():
                    assert isinstance(value, bool | int | float | str)
                    assert not isinstance(value, float) or math.isfinite(value)
                    assert not isinstance(value, int) or -(2**63) <= value < 2**63
        msgspec.msgpack.encode(decoded)
    assert profile


def _explained(data: bytes) -> None:
    if not 2 <= len(data) <= 64:
        return
    profile, coap, address, form = ADDRESSES[int.from_bytes(data[:2], "big") % len(ADDRESSES)]
    key = "path" if coap else "topic"
    found = explain(profile, data[2:], **{key: address}, content_format=form, received=RECEIVED)
    msgspec.json.encode(found.as_dict())


def _text(data: bytes) -> str:
    return data[:_LONGEST].decode("utf-8", "replace")


def _profile(data: bytes) -> None:
    with suppress(ConfigError):
        load_profile(_text(data), "fuzz.yaml")


def _grammars(data: bytes) -> None:
    """The small languages inside a profile."""
    text = _text(data)
    with suppress(SpecError):
        compile_condition(text, ("fc", "count", "flags"), ())(
            {"fc": 4, "count": "x", "flags": {"a": 1}}
        )
    with suppress(UnitFault):
        parse_unit(text)
    with suppress(PathFault):
        compile_path(parse_path(text))({"a": [{"b": 1}]})
    with suppress(TemplateFault):
        parse_template(text)


def _drafted(data: bytes) -> None:
    with suppress(BadSample):
        draft(Wish("acme/fuzz", "acme/+/up"), read_samples(_text(data), "fuzz"), _NOBODY)


def _onvif(data: bytes) -> None:
    """What a camera answers over ONVIF; an address in it leads to the registered host or nowhere."""
    try:
        document = read_document(data)
    except PayloadError:
        return
    read_fault(document, 500)
    read_time(document)
    assert all(path.startswith("/") for path in read_services(document).values())
    for each in read_notifications(document):
        assert each.topic
        assert isinstance(each.on, bool)
    assert 1 <= read_lifetime(document) <= 86_400
    for read in (read_information, read_profiles, read_subscription):
        with suppress(PayloadError):
            read(document)
    with suppress(PayloadError):
        url = repair_http(read_uri(document), "10.0.0.7", 80)
        assert not url or url.startswith(("http://10.0.0.7:", "http://10.0.0.7/"))


def _rtsp(data: bytes) -> None:
    """What a camera answers over RTSP is the same whole and in pieces."""
    found = []
    for size in (len(data) or 1, 1, 7):
        reader, answers, code = AnswerReader(), [], ""
        try:
            for at in range(0, len(data), size):
                answers += reader.feed(data[at : at + size])
        except PayloadError as exc:
            code = exc.code
        found.append((tuple(answers) if not code else (), code))
    assert found[0] == found[1] == found[2]


def _sdp(data: bytes) -> None:
    for track in parse_sdp(data):
        assert track.size is None or min(track.size) > 0
        assert track.framerate is None or 0 < track.framerate < 10_000


def _challenge(data: bytes) -> None:
    """A challenge is answered in one line, without the password."""
    challenge = choose([data.decode("latin-1")], basic=False)
    if challenge is None:
        return
    login = Credential("viewer", "hunter2")
    answer = authorize(challenge, login, "DESCRIBE", "rtsp://h/", count=1, cnonce="c")
    assert not {"\r", "\n", "\0"} & set(answer)
    assert "hunter2" not in answer or b"hunter2" in data


_NOBODY = load_catalogue([], shipped=False)

TARGETS: dict[str, Target] = {
    **{name: _codec(name) for name in _STEPS},
    "modbus": _modbus,
    "jt808": _jt808,
    "envelopes": _envelopes,
    "route": _route,
    "explain": _explained,
    "profile": _profile,
    "grammars": _grammars,
    "draft": _drafted,
    "onvif": _onvif,
    "rtsp": _rtsp,
    "sdp": _sdp,
    "challenge": _challenge,
    "listen": listener,
}
"""Name to target."""


def seeds(name: str) -> list[bytes]:
    """Return the committed inputs of a target, and for routes every message of the catalogue."""
    folder = CORPUS / name
    found = [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []
    if name not in ("route", "explain"):
        return found
    for number, (profile, coap, address, _form) in enumerate(ADDRESSES):
        key = "path" if coap else "topic"
        head = number.to_bytes(2, "big")
        found += [head + payload_of(r) for r in received(profile) if r.get(key) == address]
    return found
