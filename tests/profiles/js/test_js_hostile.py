"""Whatever a codec does, it is stopped, its message is refused, and the next codec decodes."""

from __future__ import annotations

import pytest

from device_profiles.js.runtime import Runtime
from tests.fakes.codecs_in_js import GOOD, decoded

STOPPED = {"codec_timeout"}
OUT_OF_MEMORY = {"codec_memory", "codec_threw", "codec_timeout"}

HOSTILE = {
    "endless loop": ("function decodeUplink() { while (true); }", STOPPED),
    "endless loop that catches": (
        "function decodeUplink() { for (;;) { try { while (true); } catch (e) {} } }",
        STOPPED,
    ),
    "catastrophic regular expression": (
        "function decodeUplink() { return {data: {x: /^(a+)+$/.test('a'.repeat(40) + '!')}}; }",
        STOPPED,
    ),
    "huge indexOf": (
        (
            "function decodeUplink() { var s = 'a'.repeat(4e6);"
            " return {data: {x: s.indexOf('a'.repeat(2e6) + 'b')}}; }"
        ),
        STOPPED,
    ),
    "loop of native sorts": (
        (
            "var a = new Float64Array(1.5e6);"
            "function decodeUplink() { for (;;) { a.sort(); a.reverse(); } }"
        ),
        STOPPED,
    ),
    "loop while it is loaded": ("while (true); function decodeUplink() {}", STOPPED),
    "typed arrays without end": (
        "function decodeUplink() { var a = []; for (;;) a.push(new Uint8Array(1e6)); }",
        OUT_OF_MEMORY,
    ),
    "text doubled without end": (
        "function decodeUplink() { var s = 'x'; for (;;) s += s; }",
        OUT_OF_MEMORY,
    ),
    "objects without end": (
        "function decodeUplink() { var a = []; for (;;) a.push({a: {}}); }",
        OUT_OF_MEMORY,
    ),
    "deep recursion": (
        "function decodeUplink(i) { return decodeUplink(i); }",
        {"codec_threw", "codec_timeout"},
    ),
    "deep JSON": (
        "function decodeUplink() { return {data: JSON.parse('['.repeat(1e6))}; }",
        {"codec_threw", "codec_memory", "codec_timeout"},
    ),
    "object 100,000 deep": (
        (
            "function decodeUplink() { var o = {}, t = o;"
            " for (var k = 0; k < 100000; k++) { t.a = {}; t = t.a; } return {data: o}; }"
        ),
        {"codec_output", "codec_timeout", "codec_memory"},
    ),
    "object 300 deep": (
        (
            "function decodeUplink() { var o = {}, t = o;"
            " for (var k = 0; k < 300; k++) { t.a = {}; t = t.a; } return {data: o}; }"
        ),
        {"codec_output"},
    ),
    "text of 20 MB": (
        "function decodeUplink() { return {data: {s: 'x'.repeat(20e6)}}; }",
        {"codec_memory", "codec_output"},
    ),
    "text of 1 MB": (
        "function decodeUplink() { return {data: {s: 'x'.repeat(1e6)}}; }",
        {"codec_output", "codec_timeout"},
    ),
    "result that contains itself": (
        "function decodeUplink() { var o = {}; o.o = o; return {data: o}; }",
        {"codec_output"},
    ),
    "result that loops when it is written": (
        "function decodeUplink() { return {data: {toJSON: function () { for (;;); }}}; }",
        STOPPED,
    ),
    "waiting for ever": (
        (
            "function decodeUplink() {"
            " Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); return {data: {}}; }"
        ),
        {"codec_threw", "codec_timeout"},
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_codec_is_stopped_and_the_next_one_decodes(runtime: Runtime, name: str) -> None:
    text, codes = HOSTILE[name]
    assert decoded(runtime, text) in codes
    assert decoded(runtime, GOOD) == {"battery": 92, "port": 85}


def test_what_a_codec_does_to_the_builtins_reaches_no_other_codec(runtime: Runtime) -> None:
    text = """
    Object.prototype.evil = 1; Array.prototype.push = null; JSON.parse = JSON.stringify = null;
    Date = String = Number = Function.prototype.call = String.prototype.includes = null;
    function decodeUplink() { return {data: {mine: 1, none: null}}; }
    """
    assert decoded(runtime, text) == {"mine": 1}
    spy = """function decodeUplink() { return {data: {
      evil: ({}).evil === undefined, push: typeof [].push, json: typeof JSON.parse}}; }"""
    assert decoded(runtime, spy) == {"evil": True, "push": "function", "json": "function"}


def test_a_codec_finds_no_way_out(runtime: Runtime) -> None:
    names = [
        "require",
        "process",
        "module",
        "exports",
        "std",
        "os",
        "fetch",
        "XMLHttpRequest",
        "WebSocket",
        "Worker",
        "import_",
        "setTimeout",
        "setInterval",
        "WebAssembly",
        "Deno",
        "Bun",
        "load",
        "read",
        "print",
        "scriptArgs",
        "call_python",
    ]
    listed = ",".join(f"typeof {name}" for name in names)
    found = decoded(runtime, f"function Decoder() {{ return {{found: [{listed}]}}; }}")
    assert found == {"found": ["undefined"] * len(names)}


def test_a_codec_cannot_import(runtime: Runtime) -> None:
    text = "import * as os from 'os'; export function decodeUplink() { return {data: {os: 1}}; }"
    assert decoded(runtime, text) == "codec_broken"
    assert decoded(runtime, GOOD) == {"battery": 92, "port": 85}
