"""What a device says of itself is a claim: bounded, made readable, and its source decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.feed_row import COLUMNS as FEED_COLUMNS
from edge_agent.cameras.proposal import COLUMNS, Proposal, propose
from edge_agent.cameras.search import hosts_of, parse_networks
from edge_agent.cameras.sightings import MAX_OF_ONE_HOST, Sightings
from edge_agent.cameras.ws_discovery import probes, read_announcement
from gateway_core.errors import PayloadError
from tests.fakes.cameras import ScriptedDevice
from tests.fakes.onvif_responder import answer

KEY = "33b853b6-86d5-440f-9628-ae401a178d90"
ASKED = {KEY}


def one(**said: str) -> Proposal:
    sightings = Sightings(ASKED)
    sightings.take(answer(f"urn:uuid:{KEY}", **said), "10.0.0.7")
    (proposal,) = propose(sightings.all(), {})
    return proposal


def refusal(data: bytes) -> str:
    with pytest.raises(PayloadError) as caught:
        read_announcement(data, ASKED)
    return caught.value.code


def test_probes_ask_for_each_type_alone_and_on_one_line() -> None:
    first, second = probes().values()
    assert b"dp0:NetworkVideoTransmitter</d:Types>" in first
    assert b"dp0:Device</d:Types>" in second
    assert b"\n" not in first + second


def test_what_a_camera_says_is_read_and_decoded() -> None:
    found = one(addresses="http://10.0.0.7:8000/onvif/device_service")
    assert (found.host, found.port, found.name) == ("10.0.0.7", 8000, "HIKVISION 南门")
    assert (found.hardware, found.location) == ("DS-2CD2143G0", "city/Heze")
    assert (found.types, found.profiles) == (("NetworkVideoTransmitter", "Device"), "Streaming")
    assert found.row == {
        "id": "cam-10-0-0-7",
        "name": "HIKVISION 南门",
        "host": "10.0.0.7",
        "onvif_port": "8000",
        "rtsp_url": "rtsp://10.0.0.7/Streaming/Channels/101",
    }
    assert found.notes == ("path_guessed",)
    assert set(COLUMNS) < set(FEED_COLUMNS)


def test_a_name_in_gb18030_is_decoded_and_a_formula_is_none() -> None:
    assert one(scopes="onvif://www.onvif.org/name/%C4%CF%C3%C5").name == "南门"
    row = one(scopes="onvif://www.onvif.org/name/%3D1+1%0A%1b[31m").row
    assert row is not None
    assert row["name"] == "1+1 [31m"


@pytest.mark.parametrize(
    "addresses",
    [
        "http://10.0.0.8:8000/onvif/device_service",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:80/",
        "http://10.0.0.7@evil.example:80/",
        "file:///etc/passwd",
        "gopher://10.0.0.7:70/",
        "http://[::ffff:10.0.0.8]/",
        "http://[broken",
        "http://10.0.0.7.evil.example/",
    ],
)
def test_an_address_elsewhere_is_shown_and_decides_nothing(addresses: str) -> None:
    found = one(addresses=addresses)
    assert found.host == "10.0.0.7"
    assert "address_elsewhere" in found.notes
    assert found.row is not None
    assert found.row["host"] == "10.0.0.7"
    assert "evil" not in str(found.row)


def test_of_several_addresses_the_port_is_that_of_the_source() -> None:
    listed = "http://[fe80::7]/s http://10.0.0.9:81/s http://10.0.0.7:82/s https://10.0.0.7/s"
    assert one(addresses=listed).port == 82
    assert one(addresses="http://10.0.0.9:81/s").port == 81  # behind a translating router
    assert one(addresses="").port is None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (answer(f"uuid:{KEY.upper()}")[:-40], "incomplete"),
        (answer("urn:uuid:00000000-0000-0000-0000-000000000000"), "unasked"),
        (answer(""), "unasked"),
        (answer(KEY, matches=17), "too_large"),
        (answer(KEY, scopes="x" * 40_000), "too_large"),
        (answer(KEY).replace(b"ProbeMatches>", b"Probe>"), "not_discovery"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + answer(KEY), "xml_doctype"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "not_xml"),
        (b"", "not_xml"),
        (bytes(range(256)), "not_xml"),
    ],
)
def test_what_is_no_whole_answer_to_us_is_refused(data: bytes, code: str) -> None:
    assert refusal(data) == code


def test_the_message_id_is_matched_however_it_is_written() -> None:
    for written in (KEY, f"uuid:{KEY}", f" urn:uuid:{KEY.upper()} "):
        assert read_announcement(answer(written), ASKED).relates_to == KEY


def test_a_printer_is_no_camera() -> None:
    sightings = Sightings(ASKED)
    sightings.take(answer(KEY, types="wsdp:Device wprt:PrintDeviceType", scopes=""), "10.0.0.7")
    assert sightings.all() == []
    assert dict(sightings.ignored) == {"not_onvif": 1}


def test_one_host_cannot_take_the_room_of_others() -> None:
    sightings = Sightings(ASKED)
    for number in range(10_000):
        sightings.take(answer(KEY, endpoint=f"urn:uuid:{number}"), "10.0.0.66")
    sightings.take(answer(KEY), "10.0.0.7")
    hosts = [each.host for each in sightings.all()]
    assert hosts == ["10.0.0.66"] * MAX_OF_ONE_HOST + ["10.0.0.7"]
    assert dict(sightings.ignored) == {"too_many_of_one_host": 10_000 - MAX_OF_ONE_HOST}


def test_answers_to_both_probes_are_one_device() -> None:
    sightings = Sightings(ASKED)
    for types in ("dn:NetworkVideoTransmitter", "tds:Device"):
        sightings.take(answer(KEY, types=types), "10.0.0.7")
    (found,) = sightings.all()
    assert found.match.types == ("NetworkVideoTransmitter", "Device")


def test_known_feeds_are_marked_and_get_no_row() -> None:
    feed = ScriptedDevice(lambda *_: None, host="10.0.0.7").feed()  # type: ignore[arg-type,return-value]
    sightings = Sightings(ASKED)
    for host in ("10.0.0.7", "10.0.0.8"):
        sightings.take(answer(KEY), host)
    new, known = propose(sightings.all(), {feed.id: feed})
    assert (known.host, known.known, known.row) == ("10.0.0.7", ("gate-1",), None)
    assert (new.host, new.known, new.also) == ("10.0.0.8", (), ("10.0.0.7",))


def test_rows_have_ids_of_their_own() -> None:
    sightings = Sightings(ASKED)
    for endpoint in ("urn:uuid:1", "urn:uuid:2"):
        sightings.take(answer(KEY, endpoint=endpoint), "2001:db8::7")
    rows = [each.row for each in propose(sightings.all(), {})]
    assert [row["id"] for row in rows if row] == ["cam-2001-db8-7", "cam-2001-db8-7-2"]
    assert rows[0] is not None
    assert rows[0]["rtsp_url"] == "rtsp://[2001:db8::7]/Streaming/Channels/101"


@given(st.binary(max_size=400), st.integers(0, 1000), st.integers(0, 1000))
def test_no_datagram_raises(noise: bytes, begin: int, length: int) -> None:
    whole = answer(KEY)
    sightings = Sightings(ASKED)
    for data in (noise, whole[:begin] + noise + whole[begin + length :]):
        sightings.take(data, "10.0.0.7")
    assert len(sightings.all()) + sum(sightings.ignored.values()) >= 2 or sightings.all()


def test_subnets_are_listed_bounded_and_without_their_ends() -> None:
    networks = parse_networks(["10.1.2.0/30", "10.1.2.1", "2001:db8::/126"])
    assert list(hosts_of(networks)) == [
        "10.1.2.1",
        "10.1.2.2",
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8::3",
    ]
    for wrong, why in (("10.0.0.0/8", "more than 65536"), ("10.1.2.3/24", "has host bits set")):
        with pytest.raises(ValueError, match=why):
            parse_networks([wrong])
