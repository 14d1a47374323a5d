"""Device ids: made from a template, checked against the profile's pattern and against our own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from device_profiles.cel import Pattern
from device_profiles.escaped import escape, unescape
from device_profiles.paths import compile_path, parse_path
from device_profiles.topics import fill, names_in
from gateway_core.errors import PayloadError

LONGEST_ID = 128
"""Characters a device id may have."""

_SAFE = re.compile(r"[A-Za-z0-9._:;-][A-Za-z0-9._:;@~-]{0,127}")
_REMEMBERED = 65_536


def check_id(device: str) -> None:
    """Refuse an id that could mean something else in a topic, a path, a tag or a file name.

    Raises:
        PayloadError: ``bad_device_id``.
    """
    if not _SAFE.fullmatch(device) or device in (".", ".."):
        raise PayloadError(
            "bad_device_id",
            f"an id has 1 to {LONGEST_ID} of A-Z a-z 0-9 . _ : ; @ ~ - ({len(device)} were found)",
        )


def safe_name(name: str) -> str:
    """Return a name as part of an id: ``~`` and two digits for each byte that no id has."""
    if name.isascii() and name.replace("_", "").replace("-", "").replace(".", "").isalnum():
        return name
    safe = "".join(
        chr(byte) if byte < 128 and (chr(byte).isalnum() or chr(byte) in "_-.") else f"~{byte:02x}"
        for byte in name.encode("utf-8", "replace")
    )
    return f"_{safe}" if safe.startswith("~") else safe


def _text(name: str, part: object) -> str:
    if type(part) is int and part.bit_length() <= 128:
        return str(part)
    if type(part) is not str:
        raise PayloadError("bad_device_id", f"the message has no {name!r} that could name a device")
    return part


class Identity:
    """Makes and checks the device ids of one profile.

    Args:
        template: For example ``{imei}-{addr}``; names are captures or paths into decoded values.
        pattern: What a whole id must match, or None.
        escapes: Whether names may have any character: those that an id may not are escaped.
    """

    def __init__(self, template: str, pattern: Pattern | None, *, escapes: bool = False) -> None:
        self.template = template
        self._escapes = escapes
        self.names = tuple(names_in(template))
        self._bare = [f"{{{name}}}" for name in self.names] == [template]
        self._pattern = pattern
        self._paths: dict[str, Callable[[Any], Any]] = {
            name: compile_path(parse_path(name)) for name in self.names
        }
        self._good: set[str] = set()

    def make(self, captures: Mapping[str, str], values: Any, around: Any = None) -> str:
        """Return the device id.

        Args:
            captures: From topic or path, envelope and pack; they go before decoded values.
            values: Decoded values.
            around: The message about several devices that holds ``values``; they go before it.

        Raises:
            PayloadError: ``bad_device_id``.
        """
        parts: dict[str, Any] = {}
        for name in self.names:
            part = captures.get(name)
            if part is None:
                part = self._paths[name](values)
            if part is None and around is not None:
                part = self._paths[name](around)
            parts[name] = part
        return self.join(parts)

    def join(self, parts: Mapping[str, Any]) -> str:
        """Return the device id of these parts; raises `PayloadError` ``bad_device_id``."""
        texts = {name: _text(name, parts[name]) for name in parts}
        if self._escapes:
            texts = {name: escape(text) for name, text in texts.items()}
        if self._bare:
            return self.check(texts[self.names[0]])
        return self.check(fill(self.template, texts))

    def spoken(self, device: str) -> str:
        """Return what the device is called where it speaks: its id without escapes."""
        return unescape(device) if self._escapes else device

    def check(self, device: str) -> str:
        """Return ``device`` when it is a good id of this profile.

        Raises:
            PayloadError: ``bad_device_id``.
        """
        if device in self._good:
            return device
        check_id(device)
        if self._pattern is not None and not self._pattern.matches(device):
            raise PayloadError("bad_device_id", f"does not match {self._pattern.text!r}")
        if len(self._good) >= _REMEMBERED:
            self._good.clear()
        self._good.add(device)
        return device
