"""Coordinates are stored as WGS-84, both or none, whatever reference system a device uses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.position import (
    bd09_to_gcj02,
    bd09_to_wgs84,
    gcj02_to_bd09,
    gcj02_to_wgs84,
    outside_china,
    wgs84_to_gcj02,
)
from device_profiles.profile import load_profile
from gateway_core.errors import ConfigError, PayloadError
from tests.fakes.profile_text import PLAIN, route_of

# Published with the first open implementations of the offset, in degrees: WGS-84, then GCJ-02.
PAIRS = [
    ((31.1774276, 121.5272106), (31.17530398364597, 121.531541859215)),
    ((22.543847, 113.912316), (22.540796131694766, 113.9171764808363)),
    ((39.911954, 116.377817), (39.91334545536069, 116.38404722455657)),
]
WITH_PLACE = PLAIN.replace(
    "  open: {type: bool}",
    "  open: {type: bool}\n"
    "  lat: {type: float, unit: deg, range: [-90, 90]}\n"
    "  lon: {type: float, unit: deg, range: [-180, 180]}",
).replace("store:", "position: {lat: lat, lon: lon, crs: gcj02}\nstore:")
china = st.tuples(st.floats(4, 53), st.floats(74, 135))


@pytest.mark.parametrize(("wgs84", "gcj02"), PAIRS)
def test_gcj02_is_the_offset_that_maps_show(wgs84, gcj02):
    assert wgs84_to_gcj02(*wgs84) == pytest.approx(gcj02, abs=1e-9)
    assert gcj02_to_wgs84(*gcj02) == pytest.approx(wgs84, abs=1e-7)


def test_bd09_is_the_offset_that_baidu_shows():
    assert gcj02_to_bd09(39.915, 116.404) == pytest.approx(
        (39.92133699351021, 116.41036949371029), abs=1e-9
    )
    assert bd09_to_gcj02(39.92133699351021, 116.41036949371029) == pytest.approx(
        (39.915, 116.404), abs=1e-7
    )


@given(china)
def test_the_way_back_is_exact_to_a_centimetre(place):
    assert gcj02_to_wgs84(*wgs84_to_gcj02(*place)) == pytest.approx(place, abs=1e-7)
    assert bd09_to_wgs84(*gcj02_to_bd09(*wgs84_to_gcj02(*place))) == pytest.approx(place, abs=1e-7)


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_places_outside_china_stay_as_they_are(lat, lon):
    if outside_china(lat, lon):
        assert gcj02_to_wgs84(lat, lon) == wgs84_to_gcj02(lat, lon) == (lat, lon)
        assert bd09_to_wgs84(lat, lon) == (lat, lon)


def read(payload, text=WITH_PLACE):
    return route_of(load_profile(text, "place.yaml"), "acme/a/b/up").decode(payload, 1)


@pytest.mark.parametrize("extra", [b"", b', "open": 1'])
def test_what_a_device_sends_is_converted(extra):
    """Once by the short way of a JSON message, once by the long one."""
    decoded = read(b'{"lat": 31.17530398364597, "lon": 121.531541859215%s}' % extra)
    fields = decoded.readings[0].fields
    assert (fields["lat"], fields["lon"]) == pytest.approx((31.1774276, 121.5272106), abs=1e-7)


def test_one_coordinate_alone_is_not_stored():
    decoded = read(b'{"lat": 31.2, "count": 3}')
    assert decoded.readings[0].fields == {"count": 3}
    assert decoded.readings[0].flags == ("lat:no_pair",)


def test_a_coordinate_whose_other_is_bad_is_not_stored():
    decoded = read(b'{"lat": 95.5, "lon": 120.1, "count": 3}')
    assert decoded.readings[0].fields == {"count": 3}
    assert sorted(decoded.readings[0].flags) == ["lat:range", "lon:no_pair"]


def test_a_message_without_a_place_has_no_flag():
    decoded = read(b'{"count": 3}')
    assert (decoded.readings[0].fields, decoded.readings[0].flags) == ({"count": 3}, ())


def test_wgs84_is_stored_to_the_bit():
    decoded = read(b'{"lat": 31.2, "lon": 121.5}', WITH_PLACE.replace("gcj02", "wgs84"))
    assert decoded.readings[0].fields == {"lat": 31.2, "lon": 121.5}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("lat: lat,", "lat: latt,", "position.lat: there is no measurement 'latt'; did you mean"),
        ("lon: lon,", "lon: count,", "position.lon: a coordinate is a float"),
        ("lon: lon,", "lon: lat,", "position.lon: latitude and longitude are two measurements"),
        ("crs: gcj02", "crs: wgs48", "position.crs: expected one of wgs84, gcj02, bd09"),
    ],
)
def test_a_mistake_names_its_place(old, new, said):
    with pytest.raises(ConfigError) as found:
        load_profile(WITH_PLACE.replace(old, new), "place.yaml")
    assert said in str(found.value.faults[0])


REQUIRED = PLAIN.replace("count: {type: int,", "count: {type: int, required: true,")


def test_a_message_without_a_required_value_is_refused():
    for payload in (b'{"temperature": 1.5}', b'{"count": null, "open": 1}', b"{}"):
        with pytest.raises(PayloadError) as found:
            read(payload, REQUIRED)
        assert found.value.code == "missing_value"


def test_a_required_value_that_is_bad_is_flagged_like_any_other():
    decoded = read(b'{"count": 100, "temperature": 1.5}', REQUIRED)
    assert decoded.readings[0].fields == {"temperature": 1.5}
    assert decoded.readings[0].flags == ("count:range",)
    assert read(b'{"count": 3}', REQUIRED).readings[0].fields == {"count": 3}
