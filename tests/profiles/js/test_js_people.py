"""What a codec writes for people, and the text tools that browsers and Node have, come out as there."""

from __future__ import annotations

import pytest

from device_profiles.js.runtime import Runtime
from tests.fakes.codecs_in_js import decoded

AT = "new Date(1700000000123)"

WRITTEN = [
    ("(1234567.891).toLocaleString()", "1,234,567.891"),
    ("(-1234.5).toLocaleString('en-US', {minimumFractionDigits: 2})", "-1,234.50"),
    ("(1.0005).toLocaleString()", "1.001"),
    ("(0.256).toLocaleString('en-US', {style: 'percent'})", "26%"),
    ("[NaN, -Infinity].map((n) => n.toLocaleString()).join()", "NaN,-∞"),
    (f"{AT}.toLocaleString()", "11/14/2023, 10:13:20 PM"),
    (f"{AT}.toLocaleDateString()", "11/14/2023"),
    (f"{AT}.toLocaleTimeString('en-US', {{hour12: false}})", "22:13:20"),
    (f"{AT}.toLocaleDateString('en-US', {{weekday: 'long', year: 'numeric', month: 'long', day: 'numeric'}})", "Tuesday, November 14, 2023"),
    (f"{AT}.toLocaleTimeString('en-US', {{hour: '2-digit', minute: '2-digit'}})", "10:13 PM"),
    (f"String({AT})", "Tue Nov 14 2023 22:13:20 GMT+0000 (Coordinated Universal Time)"),
    ("String(new Date(NaN))", "Invalid Date"),
    ("['de-DE', 'fr', 'de-CH', 'es', 'sv-SE', 'xx'].map((l) => (-1234.5).toLocaleString(l)).join(' ')", "-1.234,5 -1\u202f234,5 -1'234.5 -1234,5 \u22121\xa0234,5 -1,234.5"),
    (f"['en-GB', 'de-DE', 'sv-SE', 'zh-CN', 'fr'].map((l) => {AT}.toLocaleString(l)).join('; ')", "14/11/2023, 22:13:20; 14.11.2023, 22:13:20; 2023-11-14 22:13:20; 2023/11/14 22:13:20; 14/11/2023 22:13:20"),
    (f"{AT}.toLocaleDateString('de-DE', {{year: 'numeric', month: '2-digit', day: '2-digit'}})", "14.11.2023"),
    (f"{AT}.toLocaleString('en-US', {{timeZone: 'Asia/Shanghai'}})", "11/15/2023, 6:13:20 AM"),
    ("[1711846799000, 1711846800000].map((t) => new Date(t).toLocaleTimeString('de', {timeZone: 'Europe/Berlin'})).join()", "01:59:59,03:00:00"),
    ("[1741503599000, 1741503600000].map((t) => new Date(t).toLocaleTimeString('en-US', {timeZone: 'America/New_York', timeZoneName: 'short'})).join()", "1:59:59 AM EST,3:00:00 AM EDT"),
    (f"(() => {{ try {{ {AT}.toLocaleString('en', {{timeZone: 'Mars/Base'}}); }} catch (e) {{ return e.name; }} }})()", "RangeError"),
    (f"{AT}.toLocaleString('en-US', {{dateStyle: 'medium', timeStyle: 'short'}})", "Nov 14, 2023, 10:13 PM"),
    ("(5).toLocaleString('en-US', {minimumIntegerDigits: 2}) + (123456).toLocaleString('en-US', {maximumSignificantDigits: 3})", "05123,000"),
    ("12345678901234567890n.toLocaleString()", "12,345,678,901,234,567,890"),
    ("new Intl.NumberFormat('de', {minimumFractionDigits: 2}).format(1234.5)", "1.234,50"),
    (f"new Intl.DateTimeFormat('en-GB').format({AT}) + Intl.DateTimeFormat().resolvedOptions().timeZone", "14/11/2023UTC"),
    ("['b', 'a', 'C', 'B', 'é', 'f'].sort((x, y) => x.localeCompare(y)).join('')", "abBCéf"),
    ("new TextDecoder().decode(new Uint8Array([0xe6, 0xb8, 0xa9, 0xff, 0x41]))", "温\ufffdA"),
    ("new TextDecoder('utf-8').decode(new Uint8Array([0xef, 0xbb, 0xbf, 65]).buffer)", "A"),
    ("new TextDecoder('latin1').decode(new Uint8Array([0xe9, 0x80]))", "é€"),
    ("new TextDecoder('utf-16le').decode(Uint8Array.of(65, 0, 0xac, 0x20))", "A€"),
    ("Array.from(new TextEncoder().encode('温°')).join()", "230,184,169,194,176"),
    ("(() => { try { new TextDecoder('utf-8', {fatal: true}).decode(Uint8Array.of(255)); } catch (e) { return e.name; } })()", "TypeError"),
    ("atob('aGk=') + btoa('hi')", "hiaGk="),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "value"), WRITTEN)
def test_text_is_written_as_a_standard_engine_writes_it(
    runtime: Runtime, expression: str, value: str
) -> None:
    assert decoded(runtime, f"function Decoder() {{ return {{v: {expression}}}; }}") == {"v": value}


STRUCTURES = [
    ("new Date(5)", "1970-01-01T00:00:00.005Z"),
    ("new Map([[1, 2]])", {}),
    ("new Uint8Array([1, 2])", {"0": 1, "1": 2}),
    ("Buffer.from([1, 2])", {"type": "Buffer", "data": [1, 2]}),
    ("[, 1, , () => 2, Symbol('x')]", [None, 1, None, None, None]),
    ("({get x() { return 5; }, f() {}, [Symbol('s')]: 1})", {"x": 5}),
    ("Object.create({inherited: 1})", {}),
    ("Object(5)", 5),
    ("[-0, 1e21, 1e-7, 5e-324]", [0, 1e21, 1e-7, 5e-324]),
    ("(25.005).toFixed(2) + (1.45).toFixed(1) + (-1.5).toFixed(0)", "25.001.4-2"),
]


@pytest.mark.parametrize(("expression", "value"), STRUCTURES)
def test_structures_are_what_json_makes_of_them(
    runtime: Runtime, expression: str, value: object
) -> None:
    assert decoded(runtime, f"function Decoder() {{ return {{v: {expression}}}; }}") == {"v": value}


def test_keys_come_in_the_order_of_javascript(runtime: Runtime) -> None:
    found = decoded(runtime, "function Decoder() { return {b: 1, 2: 1, a: 1, 1: 1}; }")
    assert isinstance(found, dict)
    assert list(found) == ["1", "2", "b", "a"]
