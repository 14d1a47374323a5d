"""Codecs of whole messages that name devices themselves: ``devices: many`` is for these."""

from __future__ import annotations

from collections.abc import Callable

from device_profiles.codecs.contract import Decode
from device_profiles.codecs.edgex import compile_edgex
from device_profiles.codecs.lines import compile_lines
from device_profiles.codecs.lwm2m import compile_lwm2m
from device_profiles.codecs.thingsboard import compile_thingsboard

NAMING: dict[str, Callable[..., Decode]] = {
    "edgex": compile_edgex,
    "line-protocol": compile_lines,
    "lwm2m": compile_lwm2m,
    "thingsboard": compile_thingsboard,
}
"""Step to its compiler: ``compile(spec, path, many=…)``; SenML (`steps`) is one of them as well."""
