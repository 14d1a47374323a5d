"""Escaped names: a device's own name, whatever is in it, as an id that is safe everywhere.

What an id may not have becomes ``~`` and the hexadecimal digits of its UTF-8 bytes: ``Device A`` is
``Device~20A``. Different names give different ids, and an id gives its name back.
"""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z0-9._:;@-]+")
_SAFE_FIRST = re.compile(r"[A-Za-z0-9_:;-]")
_HEX = re.compile(r"((?:~[0-9a-f]{2})+)")
_LEAD = "."
"""Stands before an escape at the beginning, because an id does not begin with ``~``."""


def escape(name: str) -> str:
    """Return a name with everything escaped that an id may not have."""
    if not name:
        return name
    first = name[0] if _SAFE_FIRST.match(name) else _LEAD + _bytes(name[0])
    rest = name[1:]
    if not rest or _PLAIN.fullmatch(rest):
        return first + rest
    return first + "".join(c if _PLAIN.match(c) else _bytes(c) for c in rest)


def unescape(device: str) -> str:
    """Return the name that an escaped id was made of."""
    text = device.removeprefix(_LEAD) if device.startswith(_LEAD + "~") else device
    pieces = _HEX.split(text)
    for at in range(1, len(pieces), 2):
        pieces[at] = bytes.fromhex(pieces[at].replace("~", "")).decode("utf-8", "replace")
    return "".join(pieces)


def _bytes(char: str) -> str:
    return "".join(f"~{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))
