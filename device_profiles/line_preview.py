"""One reading as canonical line protocol, for ``line`` in test vectors and for people.

Tags and fields sorted by name, time in nanoseconds. What is written to a store is made elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway_core.model import Value

_TAG = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})
_MEASUREMENT = str.maketrans({",": r"\,", " ": r"\ "})
_TEXT = str.maketrans({'"': r"\"", "\\": r"\\"})


def render_line(
    measurement: str, tags: Mapping[str, str], fields: Mapping[str, Value], time_ns: int
) -> str:
    """Return one line of line protocol."""
    key = ",".join(
        [
            measurement.translate(_MEASUREMENT),
            *(f"{k.translate(_TAG)}={v.translate(_TAG)}" for k, v in sorted(tags.items())),
        ]
    )
    values = ",".join(f"{k.translate(_TAG)}={_value(v)}" for k, v in sorted(fields.items()))
    return f"{key} {values} {time_ns}"


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}i"
    if isinstance(value, float):
        return repr(value)
    return f'"{value.translate(_TEXT)}"'
