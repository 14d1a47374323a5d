"""Whatever bytes arrive, a shipped profile decodes them or refuses them; nothing else happens."""

import contextlib
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.catalogue import load_catalogue
from device_profiles.decoded import Decoded
from device_profiles.examples import payload_of
from gateway_core.errors import PayloadError

NOW = 1_700_000_000_000_000_000
CATALOGUE = load_catalogue([])
RECEIVED = [
    part["recv"]
    for profile in CATALOGUE.profiles.values()
    for test in profile.tests
    for part in (test, *test.get("steps", ()))
    if "recv" in part
]


def feed(recv, payload) -> list[Decoded]:
    out = []
    address = recv.get("topic", recv.get("path"))
    routes = CATALOGUE.coap(address) if "path" in recv else CATALOGUE.mqtt(address)
    for route in routes:
        with contextlib.suppress(PayloadError):
            out.append(route.decode(payload, NOW))
    return out


def check(decoded: Decoded) -> None:
    profile_fields = {name for p in CATALOGUE.profiles.values() for name in p.fields}
    for point in decoded.readings:
        assert point.fields
        assert 0 < point.time < 2**63
        for name, value in point.fields.items():
            assert name in profile_fields
            assert isinstance(value, bool | int | float | str)
            assert not isinstance(value, float) or math.isfinite(value)
            assert not isinstance(value, int) or -(2**63) <= value < 2**63


@given(index=st.integers(0, len(RECEIVED) - 1), payload=st.binary(max_size=120))
@settings(max_examples=600)
def test_random_bytes_are_decoded_or_refused(index, payload):
    recv = RECEIVED[index]
    for decoded in feed(recv, payload):
        check(decoded)


@given(
    index=st.integers(0, len(RECEIVED) - 1),
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    keep=st.integers(0, 400),
)
@settings(max_examples=1500)
def test_damaged_messages_of_real_devices_are_decoded_or_refused(index, edits, keep):
    recv = RECEIVED[index]
    payload = bytearray(payload_of(recv))
    for at, byte in edits:
        if payload:
            payload[at % len(payload)] = byte
    if keep < 200:
        payload = payload[:keep]
    for decoded in feed(recv, bytes(payload)):
        check(decoded)
