"""A codec runs in whichever form it was published: script, ES module, module of Node, bundle."""

from __future__ import annotations

import pytest

from device_profiles.js.runtime import Runtime
from tests.fakes.codecs_in_js import decoded

BODY = "{data: {battery: i.bytes[2], port: i.fPort}}"
UPLINK = f"function decodeUplink(i) {{ return {BODY}; }}"

PUBLISHED = {
    "script that offers itself to Node if it is there": f"""{UPLINK}
        if (typeof module !== 'undefined' && module.exports) module.exports = {{decodeUplink}};""",
    "script that offers itself to Node without asking": f"{UPLINK} module.exports = {{decodeUplink}};",
    "names set on exports": f"exports.decodeUplink = (i) => ({BODY});",
    "names set on module.exports, one calls the other": f"""
        module.exports.raw = function (i) {{ return {BODY}; }};
        module.exports.decodeUplink = function (i) {{ return this.raw(i); }};""",
    "TypeScript's output": f"""'use strict'; Object.defineProperty(exports, '__esModule', {{value: true}});
        exports.decodeUplink = void 0; {UPLINK} exports.decodeUplink = decodeUplink;
        exports.default = {{decodeUplink}};""",
    "universal module": f"""(function (root, factory) {{
        if (typeof define === 'function' && define.amd) define([], factory);
        else if (typeof exports === 'object') module.exports = factory();
        else root.codec = factory();
        }})(this, function () {{ return {{decodeUplink: (i) => ({BODY})}}; }});""",
    "module of Node that uses its buffers": f"""
        const {{ Buffer }} = require('buffer'); const other = require('node:buffer').Buffer;
        exports.decodeUplink = (i) => Buffer === other && ({BODY});""",
    "module of Node that can do without another": f"""
        let wanted; try {{ wanted = require('./other.js'); }} catch (e) {{ wanted = e.code; }}
        exports.decodeUplink = (i) => wanted === 'MODULE_NOT_FOUND' && ({BODY});""",
    "exported function": f"export {UPLINK}",
    "exported constant": f"export const decodeUplink = (i) => ({BODY});",
    "export list": f"const up = (i) => ({BODY}); export {{ up as decodeUplink, up as other }};",
    "export list at the end": f"{UPLINK}\nexport {{ decodeUplink }};\n",
    "default export of an object": f"export default {{ decodeUplink(i) {{ return {BODY}; }} }};",
    "default export of a function that is called elsewhere": f"""
        export default {UPLINK}
        export function Decoder(bytes, port) {{ return decodeUplink({{bytes, fPort: port}}).data; }}""",
    "default export beside a declaration": f"{UPLINK} export default {{ name: 'x' }};",
    "strict script": f"'use strict'; {UPLINK}",
    "sloppy script": f"n = 010; with ({{two: 2}}) {{ n += two; }} {UPLINK.replace('[2]', '[n - 8]')}",
    "set on the global object": f"globalThis.decodeUplink = (i) => ({BODY});",
    "set on this": f"this.decodeUplink = function (i) {{ return {BODY}; }};",
    "method of a class": f"class C {{ static up(i) {{ return {BODY}; }} }} var decodeUplink = C.up;",
    "comment of HTML and a line for a shell": f"#!/usr/bin/env node\n<!-- old\n{UPLINK}\n--> older",
}


@pytest.mark.parametrize("form", PUBLISHED)
def test_a_codec_runs_in_the_form_in_which_it_was_published(runtime: Runtime, form: str) -> None:
    assert decoded(runtime, PUBLISHED[form]) == {"battery": 92, "port": 85}


def test_a_script_sees_nothing_of_node(runtime: Runtime) -> None:
    text = "var seen = [typeof module, typeof exports, typeof require]; function Decoder() { return {seen}; }"
    assert decoded(runtime, text) == {"seen": ["undefined"] * 3}


def test_a_module_of_node_gets_nothing_that_reaches_outside(runtime: Runtime) -> None:
    text = """exports.Decoder = () => {
      const names = ['fs', 'child_process', 'net', 'http', 'os', 'process', 'vm', 'node:fs', 'constructor'];
      return {found: names.filter((name) => { try { require(name); return true; } catch { return false; } })};
    };"""
    assert decoded(runtime, text) == {"found": []}


UNKNOWN = {
    "neither": "var codec = {};",
    "other name": "exports.decode = (i) => i;",
    "throws": "throw new Error('not here'); function decodeUplink() {}",
}


@pytest.mark.parametrize("form", UNKNOWN)
def test_what_no_form_makes_a_codec_is_broken(runtime: Runtime, form: str) -> None:
    assert decoded(runtime, UNKNOWN[form]) == "codec_broken"
