"""Each golden message decodes to exactly what stands beside it.

A file of ``tests/profiles/golden/<codec>`` has the ``decode`` list, the message (``text``, ``hex`` or
``json``), and what it gives: ``packets`` (device, time, values, captures), ``values``, or
``refused``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from device_profiles.codecs import Context, compile_decode
from device_profiles.codecs.naming import NAMING
from gateway_core.errors import PayloadError
from gateway_core.yaml_document import read_yaml

GOLDEN = Path(__file__).parent.parent / "golden"
FILES = sorted(GOLDEN.glob("*/*.yaml"))
NOW = 1_795_000_000 * 10**9


def given(case: dict[str, Any]) -> bytes:
    """Return the message's bytes."""
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    return case["text"].encode() if "text" in case else json.dumps(case["json"]).encode()


def found(case: dict[str, Any]) -> dict[str, Any]:
    """Return what a message gives, written as in the file."""
    decode = compile_decode(case["decode"], many=case.get("many", False))
    try:
        out = decode(given(case), Context({}, NOW, case.get("content_format")))
    except PayloadError as exc:
        return {"refused": exc.code}
    if isinstance(out, dict):
        return {"values": out}
    packets = []
    for packet in out:
        one: dict[str, Any] = {"values": packet.values}
        if packet.device is not None:
            one["device"] = packet.device
        if packet.time_ns is not None:
            one["time"] = packet.time_ns
        if packet.captures:
            one["captures"] = dict(packet.captures)
        if packet.units:
            one["units"] = packet.units
        packets.append(one)
    return {"packets": packets}


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_golden_message_decodes_to_what_stands_beside_it(file: Path) -> None:
    for case in read_yaml(file).data:
        wanted = {key: case[key] for key in ("packets", "values", "refused") if key in case}
        assert len(wanted) == 1, case["name"]
        assert (case["name"], found(case)) == (case["name"], wanted)


def test_every_codec_of_whole_messages_that_names_devices_has_golden_messages() -> None:
    assert {file.parent.name for file in FILES} >= set(NAMING)
