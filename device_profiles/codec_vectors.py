"""Vectors of a codec alone: what one of its functions returns, to the letter.

What counts as the same: a key that is null, or ``errors`` and ``warnings`` that are empty, are
absent; 1 is 1.0, and true is not 1; numbers agree to 1e-6 of their size, because the last digit of
some functions (``Math.pow``) is every engine's own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gateway_core.errors import PayloadError

if TYPE_CHECKING:
    from device_profiles.profile import Profile

_RELATIVE = 1e-6
_LONGEST = 80
_MOST = 5
_OF_RESULT = ("errors", "warnings")


def run_codec(profile: Profile, call: Mapping[str, Any]) -> list[str]:
    """Run a ``codec`` vector; return what was not as expected.

    Args:
        profile: With the codec.
        call: ``function``, ``input``, and ``output`` or ``reject``.
    """
    codec = profile.codec
    if codec is None:
        return ["the profile's 'decode' has no JavaScript codec"]
    expected = call.get("reject")
    try:
        found = codec.call(call.get("function", "decodeUplink"), call["input"])
    except PayloadError as exc:
        return [] if exc.code == expected else [f"rejected: {exc}"]
    if expected is not None:
        return [f"expected reject {expected}, found {_short(found)}"]
    return differences(call.get("output"), found)


def differences(expected: Any, found: Any) -> list[str]:
    """Return where two results of a codec differ, at most five places, for people."""
    wanted, got = _result(expected), _result(found)
    listed: list[str] = []
    for path, one, other in _unlike(wanted, got, ()):
        if len(listed) == _MOST:
            listed.append("and more")
            break
        listed.append(f"{_dotted(path)}: expected {_short(one)}, found {_short(other)}")
    return listed


class _Absent:
    """Stands for what is not there."""


_ABSENT = _Absent()
_Path = tuple[str | int, ...]


def _result(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if item or key not in _OF_RESULT}


def _unlike(expected: Any, found: Any, path: _Path) -> Iterator[tuple[_Path, Any, Any]]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in [*expected, *(key for key in found if key not in expected)]:
            one, other = _member(expected, key), _member(found, key)
            yield from _unlike(one, other, (*path, key))
    elif isinstance(expected, list) and isinstance(found, list):
        for at in range(max(len(expected), len(found))):
            one = expected[at] if at < len(expected) else _ABSENT
            other = found[at] if at < len(found) else _ABSENT
            yield from _unlike(one, other, (*path, at))
    elif not _alike(expected, found):
        yield path, expected, found


def _member(value: Mapping[str, Any], key: str) -> Any:
    found = value.get(key)
    return _ABSENT if found is None else found


def _alike(expected: object, found: object) -> bool:
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    if isinstance(expected, int | float) and isinstance(found, int | float):
        return expected == found or math.isclose(expected, found, rel_tol=_RELATIVE)
    return expected is found or (type(expected) is type(found) and expected == found)


def _dotted(path: _Path) -> str:
    return ".".join(map(str, path)) or "result"


def _short(value: object) -> str:
    if value is _ABSENT:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
