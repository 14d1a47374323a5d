"""How a codec's text is brought to run: as a script, else as a module, else as one of Node's.

A standard engine takes a codec as a classic script. Some can only be a module (``export``), some
only what Node calls one (``module.exports = …`` at the end); those would otherwise end with an
error, so trying the next form changes nothing for the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from device_profiles.js.wire import FUNCTIONS

_HERE = Path(__file__).parent
_HARNESS = (_HERE / "harness.js").read_text("utf-8")
_BUFFER = (_HERE / "buffer.js").read_text("utf-8")
_COMMONJS = (_HERE / "commonjs.js").read_text("utf-8")
_PARTS = (
    (re.compile(r"\bBuffer\b|\bText(?:En|De)coder\b"), _BUFFER),
    (re.compile(r"\bText(?:En|De)coder\b"), (_HERE / "text.js").read_text("utf-8")),
    (re.compile(r"\bDate\b"), (_HERE / "dates.js").read_text("utf-8")),
    (
        re.compile(r"\btoLocale|\blocaleCompare\b|\bIntl\b"),
        (_HERE / "locale.js").read_text("utf-8"),
    ),
)
"""What is offered only to codecs that speak of it, because it takes time to set up."""

_SCOPE = "tidegate scope"
_OF_NODE = re.compile(r"\b(?:module|exports|require)\b")
_NOT_DEFINED = re.compile(r"^ReferenceError: '?(?:module|exports|require)'? is not defined")
_ONLY_MODULE = re.compile(r"\b(?:export|import|await)\b")
_DEFAULT = re.compile(r"\bexport\s+default\s+")
_DEFAULT_NAMED = re.compile(
    r"\bexport\s+default\s+((?:async\s+)?function\b\s*\*?|class\b)\s*([A-Za-z_$][\w$]*)"
)
_LIST = re.compile(r"\bexport\s*\{([^{}]*)\}")
_ALIAS = re.compile(r"^([A-Za-z_$][\w$]*)(?:\s+as\s+([A-Za-z_$][\w$]*))?$")

New = Callable[[], Any]

Started = tuple[Any, Callable[..., Any], str]
"""Context, the harness in it, and the names of the functions that were found."""


def start(text: str, new: New, thrown: type[Exception]) -> Started:
    """Run a codec's text in a context of its own.

    Args:
        text: The codec.
        new: Makes an empty context with its limits set.
        thrown: What the engine raises where JavaScript throws.

    Returns:
        The names are parted by spaces; none where nothing known was found.

    Raises:
        thrown: It does not compile in any form, or throws.
    """
    of_node = bool(_OF_NODE.search(text))
    try:
        started = _as_script(text, new)
    except thrown as exc:
        words = str(exc)
        if of_node and _NOT_DEFINED.match(words):
            return _as_node(text, new)
        if not (words.startswith("SyntaxError") and _ONLY_MODULE.search(text)):
            raise
        try:
            return _as_module(text, new)
        except thrown as second:
            told = second if "export" in words or "import" in words else exc
            raise told from None
    if not started[2] and of_node:
        return _as_node(text, new)
    return started


def _new(text: str, new: New) -> tuple[Any, Callable[..., Any]]:
    context = new()
    harness = context.eval(_HARNESS)
    for speaks_of, part in _PARTS:
        if speaks_of.search(text):
            context.eval(part)
    return context, harness


def _found(context: Any, harness: Callable[..., Any], *scopes: str) -> Started:
    listed = context.eval(f"[{', '.join(scopes)}]" if scopes else "[undefined]")
    return context, harness, str(harness("find", listed))


def _as_script(text: str, new: New) -> Started:
    context, harness = _new(text, new)
    context.eval(text)
    return _found(context, harness)


def _as_module(text: str, new: New) -> Started:
    context, harness = _new(text, new)
    context.module(_opened(text))
    scope = f'globalThis["{_SCOPE}"]'
    return _found(context, harness, scope, f"{scope}.default")


def _as_node(text: str, new: New) -> Started:
    context, harness = _new(text + " Buffer", new)
    context.eval(_COMMONJS)
    context.eval(text)
    exports = "globalThis.module.exports"
    return _found(context, harness, exports, f"{exports} && {exports}.default", "globalThis.driver")


def _opened(text: str) -> str:
    """Return a module that leaves what it exports where it can be found from outside."""
    scope = f'globalThis["{_SCOPE}"]'
    entries = [f'{name}: typeof {name} === "function" ? {name} : undefined' for name in FUNCTIONS]
    tail = []
    for exported in _LIST.findall(text):
        for part in exported.split(","):
            alias = _ALIAS.match(part.strip())
            if alias is not None and alias[2] is not None:
                tail.append(f"{scope}.{alias[2]} = {alias[1]};")
    named = _DEFAULT_NAMED.search(text)
    if named is not None:
        text = _DEFAULT_NAMED.sub(r"\1 \2", text, count=1)
        tail.append(f"{scope}.default = {{{named[2]}}};")
    else:
        text = _DEFAULT.sub(f"{scope}.default = ", text, count=1)
    first = f"{scope} = {{}};"
    return f"{first}{text}\n;Object.assign({scope}, {{{', '.join(entries)}}});{''.join(tail)}"
