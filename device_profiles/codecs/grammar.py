"""Reading a codec's specification: every mistake becomes a `SpecError` that names its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Literal

from device_profiles.codecs.contract import SpecError

Path = tuple[str | int, ...]
"""Where in the ``decode`` list: keys and indices."""

Order = Literal["big", "little"]
"""Byte order."""

PLAIN = "u8..u64, i8..i64, f16, f32, f64, bcdN, decN, sdecN, hexN, asciiN or skipN"


def mapping(spec: object, path: Path, allowed: Iterable[str], needed: str = "") -> dict[str, Any]:
    """Return `spec` as a dict that has only `allowed` keys and, where named, the `needed` one."""
    if not isinstance(spec, dict):
        raise SpecError(path, f"expected a mapping, found {kind(spec)}")
    known = list(allowed)
    for key in spec:
        if key not in known:
            raise SpecError((*path, key), f"unknown key{nearest(str(key), known)}")
    if needed and needed not in spec:
        raise SpecError(path, f"{needed!r} is missing")
    return spec


def sequence(spec: object, path: Path) -> list[Any]:
    """Return `spec` as a list with at least one element."""
    if not isinstance(spec, list) or not spec:
        raise SpecError(path, f"expected a list with at least one entry, found {kind(spec)}")
    return spec


def text(spec: object, path: Path) -> str:
    """Return `spec` as text; a number here is usually hexadecimal that lost its quotes."""
    if not isinstance(spec, str):
        raise SpecError(path, f"expected text, found {kind(spec)}; put it in quotes")
    return spec


def choice(spec: object, path: Path, allowed: Iterable[str]) -> str:
    """Return `spec` when it is one of `allowed`."""
    known = list(allowed)
    if spec not in known:
        raise SpecError(path, f"expected one of {', '.join(known)}{nearest(str(spec), known)}")
    return str(spec)


def whole(spec: object, path: Path, low: int, high: int) -> int:
    """Return `spec` as an integer from `low` to `high`."""
    if not isinstance(spec, int) or isinstance(spec, bool) or not low <= spec <= high:
        raise SpecError(path, f"expected a whole number from {low} to {high}, found {spec!r}")
    return spec


def octets(spec: object, path: Path) -> bytes:
    """Return the bytes that hexadecimal text such as ``"01 75"`` stands for."""
    try:
        return bytes.fromhex(text(spec, path))
    except ValueError as exc:
        raise SpecError(path, f"expected hexadecimal such as '01 75', found {spec!r}") from exc


def order_of(spec: dict[str, Any], path: Path, default: Order) -> Order:
    """Return the specification's ``order``, else `default`."""
    found = choice(spec.get("order", default), (*path, "order"), ("big", "little"))
    return "little" if found == "little" else "big"


def kind(spec: object) -> str:
    """Return what a YAML author would call `spec`."""
    if spec is None:
        return "nothing"
    names = {dict: "a mapping", list: "a list", str: f"text {spec!r}", bool: str(spec).lower()}
    return names.get(type(spec), repr(spec))


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the known word nearest to `word`, or nothing."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""
