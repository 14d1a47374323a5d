"""Over a way that garbles, resets, cuts and falls silent, everything arrives once and as it was said.

The uplink leads through the relay of `tidegate simulate wan`, without TLS: a flipped bit that TCP's
checksum lets pass is found by the upload's own, and no good record goes to quarantine for it.
"""

from __future__ import annotations

import random

import pytest

from edge_agent.complaint import of_a_record
from gateway_core.errors import PayloadError
from gateway_core.wire import decode_upload, encode_upload
from simulators.wan.options import WanOptions
from tests.e2e.blast import env, publish
from tests.e2e.city import City, free_port, wait_for
from tests.e2e.proxy import Proxy
from tests.fakes.edges import upload

MESSAGES, DEVICES, ROUNDS = 6_000, 200, 12


def test_no_flipped_bit_of_an_upload_alters_what_is_read() -> None:
    sent = upload(1, 30)
    body = encode_upload(sent)
    noticed = 0
    for at in range(len(body) * 8):
        garbled = bytearray(body)
        garbled[at // 8] ^= 1 << at % 8
        try:
            assert decode_upload(bytes(garbled)) == sent  # a bit that zstd has no use for
        except PayloadError:
            noticed += 1
    assert noticed > len(body) * 8 - 64


@pytest.mark.parametrize("code", ["wire_magic", "wire_zstd", "wire_version"])
def test_what_the_way_did_is_no_record_s_fault(code: str) -> None:
    assert not of_a_record(400, b'{"code": "%s"}' % code.encode())
    assert of_a_record(400, b'{"code": "wire_body"}')


@pytest.mark.slow
@pytest.mark.fault("F6", "F8", "R5")
def test_a_way_that_garbles_and_flaps_loses_doubles_and_alters_nothing(city: City) -> None:
    dice, port = random.Random(11), free_port()
    with Proxy(port, city.intake_port) as proxy:
        city.broker().start()
        city.centre().start()
        city.edge(uplink_port=port).start()
        city.wait_connected()
        said = {(f"sim-{n % DEVICES}", n): 10 + n % 400 / 10 for n in range(MESSAGES)}
        messages = [env(device, temperature=t, seq=n) for (device, n), t in said.items()]
        for n in range(ROUNDS):
            proxy.change(WanOptions(flip_every=dice.choice([0, 3_000, 30_000]), jitter_s=0.02))
            proxy.restore()
            part = messages[n * MESSAGES // ROUNDS : (n + 1) * MESSAGES // ROUNDS]
            assert publish(city.host, city.mqtt_port, part) == len(part)
            proxy.cut(dice.choice(["reset", "silent"]))
        proxy.change(WanOptions())
        proxy.restore()
        wait_for("the uplink to have sent everything", city.settled, 120)
        wait_for("all of it at the centre", lambda: len(city.delivered()) >= MESSAGES)
        status = city.edge_status()
    table = city.query(measurement="env", start="-1d", stop="+1d", limit=100_000)
    columns = [table["columns"].index(name) for name in ("device", "seq", "temperature")]
    rows = [tuple(row[at] for at in columns) for row in table["rows"]]
    assert len(rows) == MESSAGES
    assert {(device, seq): t for device, seq, t in rows} == said
    assert status["residual"] == 0
    assert all(not each["quarantined"] for each in status["consumers"])
