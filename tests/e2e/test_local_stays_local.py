"""A field marked local never leaves: not as a value, not in an alarm, not in a refusal, not at all.

A proxy between edge and collector keeps every byte that crosses. Each upload is also decompressed
and decoded. The owners' telephone numbers of 10,000 messages are in none of it, while they are all
on site, and the egress ledger accounts for every byte that did leave.
"""

from __future__ import annotations

import contextlib
import json
import random
import urllib.error
from hashlib import sha256

import pytest
import zstandard

from edge_agent.audit import verify
from edge_agent.ledger_entry import ledger_files
from gateway_core.model import Alarm, Reading
from gateway_core.wire import decode_upload
from tests.e2e.blast import publish
from tests.e2e.city import City, free_port, http, wait_for
from tests.e2e.proxy import Proxy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MESSAGES, DEVICES = 10_000, 500
PROFILE = """\
format: 1
id: sim/gate
version: 1.0.0
status: draft
title: {en: Simulated gate of a car park, zh: 模拟停车场道闸}
vendor: Tidegate
model: gate
license: CC0-1.0
match:
  - {via: mqtt, topic: "gates/{device}", payload: json}
device: {id: "{device}", pattern: "[a-z0-9-]{1,64}"}
decode: [{json: {}}]
measurements:
  opened: {type: int, unit: "1", range: [0, 1000000]}
  owner_phone: {type: string, kind: state}
store: {measurement: gate, tags: [edge, device, profile]}
egress:
  class: operational
  default: none
  allow: {opened: raw}
  alarms: full
availability: {expect_every: 5m, offline_after: 15m}
alarms:
  busy: {severity: minor, raise: opened > 9000, clear: opened < 10, text: {en: Busy, zh: 繁忙}}
  marked: {severity: minor, raise: owner_phone == "PHONE", text: {en: Marked, zh: 标记}}
tests:
  - name: one
    recv: {topic: gates/g-1, at: 1700000060, payload: {opened: 4, owner_phone: "1"}}
    expect: {points: [{opened: 4, owner_phone: "1"}]}
  - name: a number without a gate
    recv: {topic: gates/g-1, at: 1700000060, payload: {owner_phone: "1"}}
    expect: {points: [{owner_phone: "1"}]}
  - name: not JSON
    recv: {topic: gates/g-1, at: 1700000060, hex: "7b2274"}
    expect: {reject: not_json}
"""


def test_the_owners_telephone_numbers_never_cross_the_wire(city: City) -> None:
    rng = random.Random(5)
    phones = [f"+8613{rng.randrange(10**9):09d}" for _ in range(MESSAGES)]
    port = free_port()
    with Proxy(port, city.intake_port) as proxy:
        proxy.restore()
        city.broker().start()
        city.centre().start()
        edge = city.edge(uplink_port=port)
        text = PROFILE.replace("PHONE", phones[3])
        (city.folder / "edge" / "profiles" / "gate.yaml").write_text(text)
        edge.start()
        city.wait_connected()
        publish(
            city.host,
            city.mqtt_port,
            [
                (f"gates/g-{n % DEVICES}", said(opened=n, owner_phone=phone))
                for n, phone in enumerate(phones)
            ],
        )
        bad = [  # refused, flagged, and a reading that holds nothing but the number
            ("gates/g-1", b'{"owner_phone": "%s", "opened": ' % phones[0].encode()),
            ("gates/g-2", b'{"owner_phone": "%s", "opened": -1}' % phones[1].encode()),
            ("gates/g-3", b'{"owner_phone": "%s"}' % phones[2].encode()),
            ("gates/g-4", said(opened=1, owner_phone=[phones[5]])),
        ]
        publish(city.host, city.mqtt_port, bad)
        wait_for("the uplink to have sent everything", city.settled)
        wait_for("the points", lambda: len(gates(city)) >= MESSAGES)
        crossed, requests = proxy.crossed, proxy.requests()

    digits = [phone[1:].encode() for phone in phones]
    opened, records = b"", []
    for request in requests:
        assert request.body[:4] == b"TGU\x01"
        opened += zstandard.ZstdDecompressor().stream_reader(request.body[4:]).read()
        records += decode_upload(request.body).records
    for where in (crossed, opened):
        assert b"owner_phone" not in where
        assert [phone for phone in digits if phone in where] == []
    readings = [each for each in records if isinstance(each, Reading)]
    assert {name for each in readings for name in each.fields} == {"opened"}
    assert [each.flags for each in readings if each.flags] == []
    # of g-4's bad message the good field leaves; g-2's and g-3's hold nothing that may
    assert sorted(int(each.fields["opened"]) for each in readings) == sorted([1, *range(MESSAGES)])
    alarms = {each.rule for each in records if isinstance(each, Alarm)}
    assert alarms == {"busy", "marked"}

    status = city.edge_status()
    (uplink,) = [each for each in status["consumers"] if each["name"] == "uplink"]
    assert uplink["dropped"] == {"policy": 2}
    assert status["residual"] == 0
    assert status["refused"] == {"not_json": 1}
    folder = city.folder / "edge" / "var" / "ledger"
    audit = verify(folder)
    assert audit.faults == []
    entered = [line for file in ledger_files(folder) for line in file.read_bytes().splitlines()]
    batches = [json.loads(line) for line in entered if b'"kind":"batch"' in line]
    hashes = [sha256(request.body).hexdigest() for request in requests]
    assert [each["sha256"] for each in batches[: len(hashes)]] == hashes
    # what was entered after the proxy had closed are signs of life, without a record
    assert all("records" not in each for each in batches[len(hashes) :])
    assert not any(phone in line for line in entered for phone in digits[:100])
    table = http(
        "POST",
        f"{city.admin}/query",
        {"measurement": "gate", "fields": ["owner_phone"], "start": "-1h", "limit": 20_000},
    )
    column = table["columns"].index("owner_phone")
    assert {row[column] for row in table["rows"]} >= set(phones), "it stays on site, and is there"


def said(**values: object) -> bytes:
    return json.dumps(values).encode()


def gates(city: City) -> list[list[object]]:
    """Every point of measurement gate at the centre."""
    with contextlib.suppress(urllib.error.HTTPError):  # nothing of this measurement arrived yet
        asked = {"measurement": "gate", "fields": ["opened"], "limit": 50_000}
        return list(city.query(start="-1h", stop="+1h", **asked)["rows"])
    return []
