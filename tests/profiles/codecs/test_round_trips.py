"""The promise: what is encoded as a codec's specification says is decoded to the same values."""

from __future__ import annotations

import base64
import json
import struct

from hypothesis import given
from hypothesis import strategies as st

from device_profiles.codecs import Context, compile_decode
from device_profiles.codecs.checksum import crc16_modbus, xor8
from device_profiles.packing import encode_cbor, pack_struct

NAMES = st.text("abcdefgh", min_size=1, max_size=4)
WHOLE = st.integers(-(2**63), 2**64 - 1)
LEAVES = (
    st.none()
    | st.booleans()
    | WHOLE
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
)
OBJECTS = st.dictionaries(
    NAMES,
    st.recursive(
        LEAVES,
        lambda x: st.lists(x, max_size=3) | st.dictionaries(NAMES, x, max_size=3),
        max_leaves=8,
    ),
)
BODIES = st.binary(max_size=48)
RECEIVED = 1_700_000_000_000_000_000


def decoded(steps, payload, context=None):
    return compile_decode(steps)(payload, context or Context({}, RECEIVED))


@given(value=OBJECTS)
def test_json_and_cbor_objects(value):
    assert decoded([{"json": {}}], json.dumps(value).encode()) == value
    assert decoded([{"cbor": {}}], encode_cbor(value)) == value
    assert decoded([{"json": {}}], encode_cbor(value), Context(content_format=60)) == value


@given(inner=BODIES, base=st.booleans())
def test_bytes_carried_by_a_member(inner, base):
    coded = base64.b64encode(inner).decode() if base else inner.hex()
    step = {"json": {"payload": "a.b", "encoding": "base64" if base else "hex"}}
    found = decoded(
        [step, {"struct": {"fields": [{"x": "hex"}]}}], json.dumps({"a": {"b": coded}}).encode()
    )
    assert found["x"] == inner.hex()


@given(
    records=st.lists(
        st.tuples(
            NAMES,
            st.integers(1_600_000_000, 1_700_000_000),
            st.floats(-1e6, 1e6) | st.booleans() | st.text(max_size=5),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda r: r[:2],
    )
)
def test_senml_packs_in_both_forms(records):
    def label(value):
        return "vb" if isinstance(value, bool) else "vs" if isinstance(value, str) else "v"

    numbers = {"bn": -2, "n": 0, "t": 6, "v": 2, "vs": 3, "vb": 4}
    pack = [{"n": name, "t": at, label(value): value} for name, at, value in records]
    pack[0] = {"bn": "urn:dev:x:", **pack[0]}
    # small integers as map keys: heads 0x00 to 0x17, and -2 is 0x21
    heads = {
        name: bytes([number]) if number >= 0 else bytes([0x20 - number - 1])
        for name, number in numbers.items()
    }
    cbor = bytes([0x80 | len(pack)]) + b"".join(
        bytes([0xA0 | len(r)])
        + b"".join(heads[key] + encode_cbor(value) for key, value in r.items())
        for r in pack
    )
    wanted = {(at * 10**9, name): value for name, at, value in records}
    for payload in (json.dumps(pack).encode(), cbor):
        packets = decoded([{"senml": {"split": ":"}}], payload)
        found = {(p.time_ns, name): value for p in packets for name, value in p.values.items()}
        named = {name: p.device for p in packets for name in p.values}
        assert found == wanted
        assert named[records[0][0]] in ("urn:dev:x", None)


INTEGERS = {
    "u8": (0, 255),
    "i8": (-128, 127),
    "u16": (0, 65535),
    "i16le": (-32768, 32767),
    "u32le": (0, 2**32 - 1),
    "i64": (-(2**63), 2**63 - 1),
}
FIELDS = st.one_of(
    *(st.tuples(st.just(kind), st.integers(low, high)) for kind, (low, high) in INTEGERS.items()),
    st.tuples(st.just("f32"), st.floats(width=32, allow_nan=False)),
    st.tuples(st.just("f64le"), st.floats(allow_nan=False)),
)


@given(
    fields=st.lists(FIELDS, min_size=1, max_size=12),
    gaps=st.lists(st.integers(0, 3), min_size=12, max_size=12),
)
def test_structs_of_numbers_with_gaps(fields, gaps):
    spec = []
    for number, (kind, _) in enumerate(fields):
        spec += [f"skip{gaps[number]}"] if gaps[number] else []
        spec.append({f"f{number}": kind})
    step = {"struct": {"fields": spec}}
    values = {f"f{number}": value for number, (_, value) in enumerate(fields)}
    assert decoded([step], pack_struct(step)(values)) == values


@given(
    items=st.lists(st.tuples(st.booleans(), st.integers(0, 65535)), max_size=8),
    length=st.booleans(),
)
def test_keyed_streams_with_and_without_lengths(items, length):
    spec = {"cases": {"01": [{"a": "u16"}], "02": {"list": "rows", "fields": [{"b": "u16le"}]}}}
    size = b"\2" if length else b""
    payload = b"".join(
        b"\2" + size + value.to_bytes(2, "little")
        if listed
        else b"\1" + size + value.to_bytes(2, "big")
        for listed, value in items
    )
    found = decoded([{"tlv": {**spec, **({"len": "u8"} if length else {})}}], payload)
    rows = [{"b": value} for listed, value in items if listed]
    plain = [value for listed, value in items if not listed]
    assert found.get("rows", []) == rows
    assert found.get("a") == (plain[-1] if plain else None)


# myDevices, Low Power Payload 1.0: type, bytes of each part, signed, steps in one unit
CAYENNE = {
    "digital_input": (0, (1,), False, 1),
    "analog_input": (2, (2,), True, 100),
    "illuminance": (101, (2,), False, 1),
    "temperature": (103, (2,), True, 10),
    "humidity": (104, (1,), False, 2),
    "barometer": (115, (2,), False, 10),
}


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(sorted(CAYENNE)), st.integers(0, 255)),
        st.integers(0, 255),
        max_size=6,
    )
)
def test_cayenne_channels(wanted):
    payload = b""
    for (name, channel), raw in wanted.items():
        kind, (size,), signed, _ = CAYENNE[name]
        number = -raw if signed else raw
        payload += bytes([channel, kind]) + number.to_bytes(size, "big", signed=signed)
    found = decoded([{"cayenne-lpp": {}}], payload)
    assert found == {
        f"{name}_{channel}": (-raw if CAYENNE[name][2] else raw) / CAYENNE[name][3]
        for (name, channel), raw in wanted.items()
    }


@given(
    addr=st.integers(0, 255),
    fc=st.sampled_from([1, 2, 3, 4, 6, 16]),
    data=st.binary(min_size=1, max_size=64),
)
def test_modbus_answers(addr, fc, data):
    frame = bytes([addr, fc]) + (bytes([len(data)]) if fc <= 4 else b"") + data
    frame += struct.pack("<H", crc16_modbus(frame))
    found = decoded([{"frame": "modbus-rtu"}, {"struct": {"fields": [{"x": "hex"}]}}], frame)
    assert found == {"addr": addr, "fc": fc, "count": len(data), "x": data.hex()}


@given(
    msg=st.integers(0, 65535),
    seq=st.integers(0, 65535),
    phone=st.integers(0, 10**12 - 1),
    body=BODIES,
    edition=st.sampled_from([0, 1]),
)
def test_jt808_messages_of_both_editions(msg, seq, phone, body, edition):
    digits = f"{phone:020d}" if edition else f"{phone:012d}"
    properties = len(body) | (0x4000 if edition else 0)
    inner = struct.pack(">HH", msg, properties) + (bytes([edition]) if edition else b"")
    inner += bytes.fromhex(digits) + struct.pack(">H", seq) + body
    inner += bytes([xor8(inner)])
    frame = b"\x7e" + inner.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e"
    found = decoded([{"frame": "jt808"}, {"struct": {"fields": [{"x": "hex"}]}}], frame)
    assert found == {
        "msg_id": msg,
        "phone": digits,
        "seq": seq,
        "version": edition,
        "x": body.hex(),
    }


@given(control=st.integers(0, 255), data=BODIES, woken=st.integers(0, 3))
def test_described_frames(control, data, woken):
    frame = {
        "preamble": "fe",
        "start": "68",
        "header": [{"control": "u8"}, {"length": "u8"}],
        "length": "length",
    }
    frame |= {"checksum": "sum8", "end": "16", "subtract": 0x33}
    sent = bytes((byte + 0x33) % 256 for byte in data)
    raw = bytes([0x68, control, len(data)]) + sent
    raw = b"\xfe" * woken + raw + bytes([sum(raw) % 256, 0x16])
    found = decoded([{"frame": frame}, {"struct": {"fields": [{"x": "hex"}]}}], raw)
    assert found == {"control": control, "length": len(data), "x": data.hex()}
