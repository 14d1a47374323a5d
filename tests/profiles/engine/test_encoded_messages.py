"""The promise: what the simulators send for a shipped profile is decoded to the values they meant."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.catalogue import load_catalogue
from device_profiles.encode import Encoder
from gateway_core.errors import ConfigError

CATALOGUE = load_catalogue([])
DEVICES = {
    "tidegate/env-sensor": "d1",
    "ietf/senml-meter": "urn:dev:ow:1",
    "heiman/hs1sa-z2m": "smoke-b1",
    "eastron/sdm120-dtu": "861234567890123-1",
    "shelly/plus-plug-s": "shellyplusplugs-a8032abe54dc",
    "sonoff/snzb-02d-z2m": "climate-hall",
    "aqara/sjcgq11lm-z2m": "leak-cellar",
}


def encoders():
    found = []
    for name in DEVICES:
        try:
            found.append((name, Encoder(CATALOGUE.profiles[name])))
        except ConfigError:
            continue  # its messages can only be read
    return found


def value_of(spec):
    if spec.type == "bool":
        return st.booleans()
    if spec.values:
        return st.sampled_from(spec.values)
    if spec.type == "string":
        return st.text(max_size=5)
    low = -1e6 if spec.low is None else spec.low
    high = 1e6 if spec.high is None else spec.high
    if spec.type == "int":
        return st.integers(math.ceil(low), math.floor(high))
    return st.floats(low, high).map(lambda value: round(value, 3))


@pytest.mark.parametrize(("name", "encoder"), encoders(), ids=[name for name, _ in encoders()])
@given(data=st.data())
@settings(max_examples=40)
def test_values_come_back(name, encoder, data):
    profile = CATALOGUE.profiles[name]
    chosen = data.draw(st.sets(st.sampled_from(encoder.fields), min_size=1))
    values = {field: data.draw(value_of(profile.fields[field])) for field in sorted(chosen)}
    address, payload, form = encoder.payload(DEVICES[name], values, None)
    routes = CATALOGUE.mqtt(address) if form is None else CATALOGUE.coap(address, form)
    (route,) = [route for route in routes if route.profile.id == name]
    decoded = route.decode(payload, 1_700_000_000_000_000_000, form)
    assert decoded.device == DEVICES[name]
    (point,) = decoded.readings
    assert point.fields.keys() == values.keys()
    for field, value in values.items():
        if isinstance(value, float):
            assert point.fields[field] == pytest.approx(value, rel=1e-6, abs=1e-6)
        else:
            assert point.fields[field] == value


def test_profiles_of_several_codecs_are_among_them():
    kinds = {next(iter(CATALOGUE.profiles[n].document.data["decode"][-1])) for n, _ in encoders()}
    assert {"json", "senml"} <= kinds
