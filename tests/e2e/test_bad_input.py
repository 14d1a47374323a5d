"""Bad input, over the real transports: each kind is counted and can be found, good data goes on.

What reaches the agent as a message is refused, kept raw and listed by `tidegate edge refused`. What
a transport turns away (a CoAP body that never ends, an upload that is none) gets the answer that
its protocol has for it and a counter. A record that no store can hold is in `quarantine`.
"""

from __future__ import annotations

import json
import random
import socket
import time
import urllib.error
import urllib.request
from collections import Counter
from typing import Any

import msgspec
import pytest
import zstandard

from gateway_core.model import Reading
from gateway_core.wire import CONTENT_TYPE, Upload, encode_upload
from tests.e2e.blast import Blaster, encoded
from tests.e2e.city import City, http, tidegate, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LISTED = ("good", "d1")
BASE = {"bn": "urn:dev:ow:10e2073a01080063:", "n": "voltage", "u": "V", "v": 230}

MQTT: dict[str, tuple[str, bytes, str]] = {
    "nothing at all": ("tg/d1/up", b"", "not_json"),
    "not JSON": ("tg/d1/up", b"temperature=21.5", "not_json"),
    "half a document": ("tg/d1/up", b'{"temperature": 21.', "not_json"),
    "two documents": ("tg/d1/up", b'{"seq": 1}{"seq": 2}', "not_json"),
    "bad UTF-8": ("tg/d1/up", b'{"temperature": "\xff\xfe"}', "not_json"),
    "a NUL": ("tg/d1/up", b'{"temperature": 1}\x00', "not_json"),
    "NaN": ("tg/d1/up", b'{"temperature": NaN}', "not_json"),
    "Infinity": ("tg/d1/up", b'{"temperature": -Infinity}', "not_json"),
    "deep nesting": ("tg/d1/up", b"[" * 50_000 + b"]" * 50_000, "not_json"),
    "a string of 1 MB": ("tg/d1/up", b'{"seq": "%s"}' % (b"x" * 1_000_000), "too_large"),
    "an object for a number": ("tg/d1/up", b'{"temperature": {"value": 1}}', "no_good_value"),
    "text for a number": ("tg/d1/up", b'{"temperature": "warm"}', "no_good_value"),
    "a bool for a number": ("tg/d1/up", b'{"temperature": true}', "no_good_value"),
    "2^63": ("tg/d1/up", b'{"seq": 9223372036854775808}', "no_good_value"),
    "10^30": ("tg/d1/up", b'{"seq": %d}' % 10**30, "no_good_value"),
    "out of range": ("tg/d1/up", b'{"temperature": 4000}', "no_good_value"),
    "a fraction for an integer": ("tg/d1/up", b'{"battery": 50.5}', "no_good_value"),
    "a $ in the id": ("tg/d$1/up", b'{"seq": 1}', "bad_device_id"),
    "a blank id": ("tg/ /up", b'{"seq": 1}', "bad_device_id"),
    "an id that climbs": ("tg/../up", b'{"seq": 1}', "bad_device_id"),
    "an endless topic": (f"tg/{'d' * 600}/up", b'{"seq": 1}', "bad_topic"),
    "a device that nobody listed": ("tg/stranger/up", b'{"seq": 1}', "unknown_device"),
}
COAP: dict[str, tuple[str, int, bytes, str]] = {
    "CBOR that ends too early": ("tg/d1/up", 60, bytes.fromhex("a26b74656d70"), "not_cbor"),
    "CBOR that claims 2^60 members": ("tg/d1/up", 60, b"\xbb\x10" + bytes(7), "not_cbor"),
    "a SenML base name that is a number": ("senml/n1", 110, b'[{"bn": 7, "v": 1}]', "not_senml"),
    "SenML of a version to come": (
        "senml/n1",
        110,
        json.dumps([{"bver": 99, **BASE}]).encode(),
        "senml_version",
    ),
    "a SenML label that must be understood": (
        "senml/n1",
        110,
        json.dumps([{**BASE, "x_": 1}]).encode(),
        "senml_must_understand",
    ),
    "a path that no profile reads": ("elsewhere/d1", 50, b'{"seq": 1}', "no_match"),
    "a wildcard in the id": ("tg/+/up", 50, b'{"seq": 1}', "bad_topic"),
}


def upload(body: object) -> bytes:
    return b"TGU\x01" + zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(body))


INTAKE: dict[str, tuple[bytes, int, str]] = {
    "a zstd bomb": (
        b"TGU\x01" + zstandard.ZstdCompressor(level=19).compress(bytes(1 << 28)),
        413,
        "too_large",
    ),
    "more than an upload may have": (b"TGU\x01" + bytes(20 << 20), 413, "too_large"),
    "not an upload": (b'{"edge": "sim-edge-01"}', 400, "wire_magic"),
    "a version to come": (b"TGU\x09" + bytes(40), 400, "wire_version"),
    "not zstd": (b"TGU\x01" + bytes(range(200)), 400, "wire_zstd"),
    "a torn frame": (upload(["x"])[:-3], 400, "wire_body"),
    "not an upload inside": (upload({"edge": 1}), 400, "wire_body"),
    "a range that runs backwards": (
        upload(["sim-e", "e" * 16, 9, 1, [], {}, []]),
        400,
        "wire_body",
    ),
}


@pytest.mark.fault("F11")
def test_bad_payloads_are_kept_and_found_and_disturb_nothing(city: City) -> None:
    start(city)
    good(city, 1)
    packets = encoded((topic, payload) for topic, payload, _ in MQTT.values())
    with Blaster(city.host, city.mqtt_port) as blaster:
        blaster.send(packets)
    for path, form, payload, _ in COAP.values():
        answer = city.put(path.replace("+", "%2B"), payload, form)
        assert "4.0" in answer, answer
    good(city, 2)

    wanted = Counter([reason for *_, reason in MQTT.values()])
    wanted += Counter([reason for *_, reason in COAP.values()])
    wait_for("the refusals", lambda: sum(refused(city).values()) >= wanted.total())
    assert refused(city) == dict(wanted)
    told = tidegate("edge", "refused", "--json", "--config", str(city.folder / "edge/edge.yaml"))
    assert told.returncode == 0, told.stderr
    rows = json.loads(told.stdout)
    assert Counter(row["reason"] for row in rows) == wanted
    found = {(row["address"], row["reason"]) for row in rows}
    assert found >= {(topic, reason) for topic, _, reason in MQTT.values() if len(topic) < 600}
    assert found >= {(path, reason) for path, _, _, reason in COAP.values()}
    text = metrics(city.admin)
    for reason, count in wanted.items():
        assert f'tidegate_refused_total{{reason="{reason}"}} {count}' in text
    all_is_well(city)


def test_what_a_transport_turns_away_is_counted_and_disturbs_nothing(city: City) -> None:
    start(city)
    good(city, 1)
    # MQTT: a wildcard may not stand in a topic; the broker ends that connection
    (packet,) = encoded([("tg/d1/up", b'{"seq": 1}')])
    with Blaster(city.host, city.mqtt_port) as blaster, pytest.raises((AssertionError, OSError)):
        blaster.send([packet.replace(b"tg/d1/up", b"tg/++/up")])
    # CoAP: a body in blocks that is too long, and datagrams that are no CoAP at all
    answer = city.put("tg/d1/up", b'{"seq": "' + b"x" * 15_000 + b'"}', 50)
    assert "4.13" in answer, answer
    assert refused(city) == {"too_large": 1}
    rng = random.Random(9)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
        for size in (0, 1, 3, 4, 17, 200, 1400):
            noise.sendto(rng.randbytes(size), (city.host, city.coap_port))
    good(city, 2)

    for body, status, code in INTAKE.values():
        assert post(city, body) == (status, code)
    good(city, 3)
    assert 'answer="4.13"' in metrics(city.admin)
    text = metrics(city.api)
    for code, count in Counter(code for *_, code in INTAKE.values()).items():
        assert f'tidegate_intake_uploads_total{{result="{code}"}} {count}' in text
    all_is_well(city)


@pytest.mark.fault("F11")
def test_a_record_that_no_store_can_hold_is_in_quarantine(city: City) -> None:
    start(city)
    now = time.time_ns()
    bad: dict[str, tuple[dict[str, Any], str]] = {
        "not_finite": ({"v": float("nan")}, "not_finite"),
        "int_range": ({"v": 2**63}, "int_range"),
        "reserved": ({"_v": 1.0}, "reserved_name"),
        "empty": ({"": 1.0}, "empty_name"),
    }
    records = [
        Reading("sim-odd", f"odd-{n}", "sim/odd", "odd", now + n, now, fields)
        for n, (fields, _) in enumerate(bad.values())
    ]
    whole = Upload("sim-odd", "0123456789abcdef", 1, len(records), [1, 2, 3, 4], [*records])
    assert post(city, encode_upload(whole))[0] == 200
    good(city, 1)

    def listed() -> list[dict[str, Any]]:
        told = tidegate(
            "collector",
            "quarantine",
            *("--consumer", "timeseries", "--json"),
            *("--config", str(city.folder / "centre/collector.yaml")),
        )
        assert told.returncode == 0, told.stderr
        rows: list[dict[str, Any]] = json.loads(told.stdout)
        return rows if len(rows) >= len(bad) else []

    rows = wait_for("the quarantine", listed)
    assert [row["reason"] for row in rows] == [reason for _, reason in bad.values()]
    all_is_well(city)


def start(city: City) -> None:
    city.broker().start()
    city.centre().start()
    listing = "".join(f"{name},tidegate/env-sensor,tg/{name}/up\n" for name in LISTED)
    (city.folder / "edge").mkdir()
    (city.folder / "edge" / "devices.csv").write_text(f"id,profile,address\n{listing}")
    env = {"TIDEGATE_COAP__MAX_PAYLOAD": "8KiB"}  # libcoap's client sends 20,000 bytes at most
    city.edge(extra="devices: {file: devices.csv, unknown: refuse}\n", env=env).start()
    city.wait_connected()


def good(city: City, seq: int) -> None:
    """One good message over MQTT and one over CoAP, both found at the centre."""
    city.say("good", json.dumps({"temperature": 21.5, "seq": 2 * seq}))
    assert "2.04" in city.put("tg/good/up", json.dumps({"seq": 2 * seq + 1}))
    wanted = [("good", 2 * seq), ("good", 2 * seq + 1)]
    wait_for("the good messages", lambda: set(wanted) <= set(city.delivered()))


def refused(city: City) -> dict[str, int]:
    found: dict[str, int] = city.edge_status()["refused"]
    return found


def metrics(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


def post(city: City, body: bytes) -> tuple[int, str]:
    """Upload; return the status and, for a refusal, its code."""
    url = f"http://{city.at(city.intake_port)}/v1/batches"
    request = urllib.request.Request(url, body, {"Content-Type": CONTENT_TYPE})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as exc:
        return exc.code, str(json.loads(exc.read())["code"])


def all_is_well(city: City) -> None:
    """The books balance, every part runs, and only good readings are stored."""
    wait_for("the uplink to have sent everything", city.settled)
    status = city.edge_status()
    assert status["residual"] == 0
    assert all(status["parts"].values()), status["parts"]
    assert {device for device, _ in city.delivered()} == {"good"}
    assert http("GET", f"{city.admin}/healthz")["status"] == "ok"
    books = http("GET", f"{city.api}/api/v1/status")["books"]
    assert {book["residual"] for book in books.values()} == {0}
