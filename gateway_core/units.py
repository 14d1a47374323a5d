"""Quantities as people write them: ``20GiB``, ``5m``, ``[::]:8080``; pydantic types for them."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, PlainSerializer

_BYTES = {
    "": 1, "b": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9,
    "t": 10**12, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_BITS = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_SECONDS = {
    "": 1.0, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0,
    "d": 86_400.0, "w": 604_800.0,
}  # fmt: skip
_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)([a-z]+)")
_PORTS = range(65_536)


class Address(NamedTuple):
    """Where to listen; ``host`` without brackets, ``::`` and ``0.0.0.0`` mean everywhere."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port``, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_size(text: object) -> int:
    """Return bytes; ``20GiB`` is 20 * 2**30, ``20GB`` is 20 * 10**9, a number is bytes."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    found = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    unit = _BYTES.get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise ValueError(f"expected a size such as 512MiB or 20GiB, found {text!r}")
    return int(float(found[1]) * unit)


def parse_duration(text: object) -> float:
    """Return seconds; ``20ms``, ``5m``, ``1h30m``, ``30d``; a number is seconds."""
    if isinstance(text, int | float) and not isinstance(text, bool) and text >= 0:
        return float(text)
    squeezed = re.sub(r"\s+", "", text).lower() if isinstance(text, str) else ""
    parts = _PART.findall(squeezed)
    if squeezed and "".join(a + b for a, b in parts) == squeezed:
        units = [_SECONDS.get(unit) for _, unit in parts]
        if None not in units:
            return sum(float(n) * (u or 0.0) for (n, _), u in zip(parts, units, strict=True))
    raise ValueError(f"expected a duration such as 20ms, 5m or 30d, found {text!r}")


def parse_bit_rate(text: object) -> int:
    """Return bits a second of ``2Mbit/s``, ``512kbit/s`` or ``64000bit/s``."""
    found = _QUANTITY.fullmatch(text.removesuffix("/s")) if isinstance(text, str) else None
    unit = _BITS.get(found[2].lower()) if found else None
    if found is None or unit is None or not str(text).endswith("/s"):
        raise ValueError(f"expected bits a second such as 512kbit/s or 2Mbit/s, found {text!r}")
    return int(float(found[1]) * unit)


def parse_address(text: object) -> Address:
    """Return host and port of ``127.0.0.1:8080``, ``[::]:8080``, ``localhost:1883`` or ``:8080``.

    A missing host is ``::``, which serves IPv4 as well where the system allows it.
    """
    if isinstance(text, Address):
        return text
    if isinstance(text, str):
        host, colon, port = text.strip().rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if colon and port.isascii() and port.isdigit() and int(port) in _PORTS:
            if bracketed:
                return Address(host[1:-1], int(port))
            if ":" not in host:
                return Address(host or "::", int(port))
    raise ValueError(f"expected host:port such as 127.0.0.1:8080 or [::]:8080, found {text!r}")


def parse_addresses(value: object) -> tuple[Address, ...]:
    """Return one address or a list of them as a tuple."""
    if isinstance(value, list | tuple) and not isinstance(value, Address):
        return tuple(parse_address(each) for each in value)
    return (parse_address(value),)


def _write_addresses(value: tuple[Address, ...]) -> str | list[str]:
    texts = [str(each) for each in value]
    return texts[0] if len(texts) == 1 else texts


Size = Annotated[int, BeforeValidator(parse_size, json_schema_input_type=int | str)]
"""Bytes, written ``20GiB``."""

BitRate = Annotated[int, BeforeValidator(parse_bit_rate, json_schema_input_type=str)]
"""Bits a second, written ``2Mbit/s``."""

Duration = Annotated[float, BeforeValidator(parse_duration, json_schema_input_type=float | str)]
"""Seconds, written ``20ms``, ``5m`` or ``30d``."""

Listen = Annotated[
    tuple[Address, ...],
    BeforeValidator(parse_addresses, json_schema_input_type=str | list[str]),
    PlainSerializer(_write_addresses, return_type=str | list[str]),
]
"""Addresses to listen on, written ``[::]:8080`` or a list; the value is a tuple of `Address`."""
