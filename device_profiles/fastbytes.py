"""The short way for messages of bytes that one layout reads: no envelope, no frame, no condition.

Like `fastjson` it answers only where every value is good; what is flagged or refused goes the long
way (`reader`), which says why. Where both answer, they give the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from device_profiles.codecs import Context, Decode
from device_profiles.fastjson import FastJson, Fields
from device_profiles.measure import Measure
from device_profiles.paths import compile_path, parse_path
from device_profiles.quality import Flagged
from gateway_core.errors import PayloadError
from gateway_core.model import Value

_LAYOUTS = frozenset({"struct", "tlv", "cayenne-lpp", "csv", "text"})
_ALONE = Context()


def compile_fast_bytes(
    steps: Sequence[dict[str, Any]],
    decode: Decode,
    measures: Sequence[Measure],
    extra: Sequence[str],
) -> FastJson | None:
    """Compile the short way.

    Args:
        steps: The decode steps as written.
        decode: The same, compiled.
        measures: The profile's measurements.
        extra: Further paths to return, for time and device id.

    Returns:
        None when the profile needs the long way for every message.
    """
    (name, spec), *others = [(name, spec) for step in steps for name, spec in step.items()]
    if others or name not in _LAYOUTS or "when" in (spec or {}):
        return None
    if any(measure.expr is not None or measure.when is not None for measure in measures):
        return None
    paths = [(one, parse_path(one.source)) for one in measures]
    flat = tuple((one.name, path[0], one.finish) for one, path in paths if len(path) == 1)
    deep = tuple((one.name, one.get, one.finish) for one, path in paths if len(path) > 1)
    others_at = tuple(compile_path(parse_path(path)) for path in extra)

    def read(payload: bytes) -> Fields | None:
        fields: dict[str, Value] = {}
        try:
            values: Any = decode(payload, _ALONE)
            for field, key, finish in flat:
                found = values.get(key)
                if found is not None:
                    value = finish(found)
                    if value is not None:
                        fields[field] = value
            for field, get, finish in deep:
                found = get(values)
                value = None if found is None else finish(found)
                if value is not None:
                    fields[field] = value
        except (PayloadError, Flagged):
            return None
        return fields, tuple([get(values) for get in others_at]) if others_at else ()

    return read
