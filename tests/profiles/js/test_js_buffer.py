"""Codecs written for Node's Buffer find the part of it that codecs use."""

from __future__ import annotations

import pytest

from device_profiles.js.runtime import Runtime
from tests.fakes.codecs_in_js import decoded

HAVE = "Buffer.from([0x01, 0x75, 0x5c, 0x80, 0xff, 0xfe, 0x7f, 0x00, 0x40, 0x49])"

EXPRESSIONS = [
    (f"{HAVE}.readUInt8(3)", 128),
    (f"{HAVE}.readInt8(3)", -128),
    (f"{HAVE}.readUInt16BE(1)", 0x755C),
    (f"{HAVE}.readUint16LE(1)", 0x5C75),
    (f"{HAVE}.readInt16LE(4)", -257),
    (f"{HAVE}.readInt32BE(3)", -2130706817),
    (f"{HAVE}.readUInt32LE()", 2153542913),
    (f"{HAVE}.readUIntBE(0, 3)", 0x01755C),
    (f"{HAVE}.readUintLE(0, 6)", 0xFEFF805C7501),
    (f"{HAVE}.readIntLE(3, 3)", -65664),
    (f"{HAVE}.readIntBE(4, 2)", -2),
    ("Buffer.from('40490fdb', 'hex').readFloatBE(0).toFixed(5)", "3.14159"),
    ("Buffer.from('182d4454fb210940', 'hex').readDoubleLE(0)", 3.141592653589793),
    ("String(Buffer.from('ffffffffffffffff', 'hex').readBigInt64LE(0))", "-1"),
    ("String(Buffer.from('ffffffffffffffff', 'hex').readBigUInt64BE(0))", "18446744073709551615"),
    ("Buffer.from('AXVc', 'base64').toString('hex')", "01755c"),
    ("Buffer.from('-_8', 'base64').toString('base64')", "+/8="),
    ("Buffer.from('-_8', 'base64').toString('base64url')", "-_8"),
    ("Buffer.from('30.8 °C').length", 8),
    ("Buffer.from([0x33, 0xc2, 0xb0, 0xe6, 0xb8, 0xa9, 0xf0, 0x9f, 0x8c, 0xa1]).toString()", "3°温🌡"),
    ("Buffer.from([0x33, 0xc2, 0x34, 0xff]).toString()", "3\ufffd4\ufffd"),
    ("Buffer.from('é', 'latin1').toString('hex')", "e9"),
    ("Buffer.from([0xe9, 0x41]).toString('ascii')", "iA"),
    (f"{HAVE}.toString('hex', 1, 3)", "755c"),
    (f"{HAVE}.slice(-2).toString('hex')", "4049"),
    (f"(b => {{ b.slice(0, 1)[0] = 9; return b[0]; }})({HAVE})", 9),
    ("Buffer.concat([Buffer.from('a'), Buffer.from([98])]).toString()", "ab"),
    ("Buffer.alloc(3, 7).toJSON()", {"type": "Buffer", "data": [7, 7, 7]}),
    ("Buffer.alloc(2).equals(Buffer.allocUnsafe(2).fill(0))", True),
    ("Buffer.isBuffer(Buffer.alloc(1)) && !Buffer.isBuffer([1])", True),
    ("Buffer.byteLength('°')", 2),
    ("['YQ==', 'YWI', 'a===', 'YQ==\\n'].map(t => Buffer.byteLength(t, 'base64'))", [1, 2, 1, 3]),
    ("new Buffer([1, 2]).length + Buffer('0102', 'hex').length", 4),
    ("Buffer.from(new Uint16Array([258]).buffer).toString('hex')", "0201"),
    ("(b => [b.writeInt16BE(-2, 1), b.writeUIntLE(0x010203, 3, 3), b.toString('hex')])(Buffer.alloc(6))", [3, 6, "00fffe030201"]),
    ("(b => [b.write('hi', 1), b.toString('latin1', 1)])(Buffer.alloc(3))", [2, "hi"]),
    ("(b => [Buffer.from([1, 2, 3]).copy(b, 1), b.toString('hex')])(Buffer.alloc(3))", [2, "000102"]),
    ("[...Buffer.from([5, 6]).map(x => x * 2)]", [10, 12]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "value"), EXPRESSIONS)
def test_a_buffer_reads_and_writes_as_in_node(
    runtime: Runtime, expression: str, value: object
) -> None:
    assert decoded(runtime, f"function Decoder() {{ return {{v: {expression}}}; }}") == {"v": value}


BEYOND = [
    f"{HAVE}.readUInt16BE(9)",
    f"{HAVE}.readInt8(-1)",
    f"{HAVE}.readUIntBE(0, 7)",
    f"{HAVE}.readUInt8(1.5)",
    "Buffer.alloc(2).writeUInt8(256)",
    "Buffer.alloc(2).writeUInt32LE(1)",
]


@pytest.mark.parametrize("expression", BEYOND)
def test_what_is_out_of_range_throws(runtime: Runtime, expression: str) -> None:
    text = f"""function Decoder() {{
      try {{ {expression}; }} catch (e) {{ return {{range: e instanceof RangeError}}; }}
    }}"""
    assert decoded(runtime, text) == {"range": True}


def test_a_codec_may_declare_a_buffer_of_its_own(runtime: Runtime) -> None:
    assert decoded(runtime, "const Buffer = 3; function Decoder() { return {v: Buffer}; }") == {
        "v": 3
    }
