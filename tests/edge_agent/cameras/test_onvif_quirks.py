"""Each oddity of a real device, in the bytes in which it was seen, is understood or named."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from edge_agent.cameras.evidence import DeviceCheck
from edge_agent.cameras.inventory import Credential
from edge_agent.cameras.onvif import GET_INFORMATION
from edge_agent.cameras.onvif_client import OnvifError
from edge_agent.cameras.onvif_device import Device
from edge_agent.cameras.parse import read_document
from edge_agent.cameras.survey import survey
from tests.fakes.cameras import ScriptedDevice
from tests.fakes.hostile import enveloped, http, onvif_client, request, speaking
from tests.fakes.onvif_answers import GOOD, INFORMATION, NOBODY, PROFILES, REFUSED, WORDLESS

LOGIN = Credential("viewer", "hunter2")


async def surveyed(
    answers: dict[str, bytes | str], known: Device | None = None
) -> tuple[DeviceCheck, ScriptedDevice]:
    async with ScriptedDevice(speaking({**GOOD, **answers})) as device, onvif_client() as onvif:
        check = await survey(onvif, device.feed(LOGIN), known or Device(), 1e12)
    return check, device


def service(space: str, url: str) -> str:
    namespace = f"http://www.onvif.org/{space}/wsdl"
    return f"<Service><Namespace>{namespace}</Namespace><XAddr>{url}</XAddr></Service>"


@pytest.mark.parametrize("refusal", [NOBODY, REFUSED, WORDLESS, http(200, b""), enveloped("")])
async def test_where_getservices_is_refused_getcapabilities_is_asked(refusal: bytes) -> None:
    told = (
        "<Capabilities><Media><XAddr>http://192.168.1.64/odd/media</XAddr></Media></Capabilities>"
    )
    check, device = await surveyed({"GetServices": refusal, "GetCapabilities": told})

    assert (check.faults, check.profile) == ((), "p1")
    assert b"POST /odd/media HTTP/1.1" in device.received


@pytest.mark.parametrize("refusal", [NOBODY, REFUSED, WORDLESS])
async def test_a_device_that_tells_of_no_service_is_asked_at_the_usual_paths(
    refusal: bytes,
) -> None:
    check, device = await surveyed({"GetServices": refusal, "GetCapabilities": refusal})

    assert (check.faults, check.profile) == ((), "p1")
    assert b"POST /onvif/media_service HTTP/1.1" in device.received


async def test_a_device_with_media_2_alone_is_asked_that() -> None:
    services = service("ver20/media", "http://192.168.1.64/m2")
    known = Device()
    check, device = await surveyed({"GetServices": services}, known)

    assert (check.faults, known.media) == ((), "media2")
    assert b"POST /m2 HTTP/1.1" in device.received
    assert b"/onvif/media_service" not in device.received


async def test_media_2_is_found_where_nobody_tells_of_it() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await request(reader)
            first = b"ver20/media" in body
            answers = {**GOOD, "GetServices": REFUSED, "GetCapabilities": "<Capabilities/>"}
            name = next((name for name in answers if f"<{name} ".encode() in body), "")
            answer = answers.get(name, NOBODY)
            if name == "GetProfiles" and not first:
                answer = REFUSED
            writer.write(enveloped(answer) if isinstance(answer, str) else answer)

    known = Device()
    async with ScriptedDevice(script) as device, onvif_client() as onvif:
        check = await survey(onvif, device.feed(LOGIN), known, 1e12)

    assert (check.faults, known.media, check.profile) == ((), "media2", "p1")


async def test_a_path_that_leads_nowhere_is_left_for_the_usual_one() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner = speaking({**GOOD, "GetServices": service("ver10/media", "http://h/wrong")})
        await only_at(b"/onvif/device_service", inner)(reader, writer)

    known = Device()
    async with ScriptedDevice(script) as device, onvif_client() as onvif:
        check = await survey(onvif, device.feed(LOGIN), known, 1e12)

    assert (check.faults, check.profile) == ((), "p1")
    assert known.paths["media"] == "/onvif/device_service"
    assert device.received.count(b"POST /wrong ") == 1


def only_at(path: bytes, inner):
    """A device that has all of its services at one path."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await request(reader)
            if b"POST " + path + b" " not in head:
                writer.write(NOBODY)
                continue
            again = asyncio.StreamReader()
            again.feed_data(head + body)
            again.feed_eof()
            try:
                await inner(again, writer)
            except asyncio.IncompleteReadError:
                continue

    return script


@pytest.mark.parametrize(
    "dumb",
    [
        http(200, b""),
        http(400, b""),
        http(415, b"Unsupported Media Type"),
        http(
            500,
            b"<Envelope><Body><Fault><faultcode>s:VersionMismatch</faultcode></Fault></Body></Envelope>",
        ),
    ],
)
async def test_a_device_without_soap_1_2_is_asked_in_soap_1_1(dumb: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, _ = await request(reader)
            writer.write(enveloped(INFORMATION) if b"SOAPAction" in head else dumb)

    known = Device()
    async with ScriptedDevice(script) as device, onvif_client() as onvif:
        check = await survey(onvif, device.feed(LOGIN), known, 1e12)

    assert check.identity == "Tidal TC-2"
    assert known.soap == "1.1"
    assert device.received.count(b"application/soap+xml") == 1


async def test_a_device_that_is_dumb_in_both_is_not_taken_for_soap_1_1() -> None:
    known = Device()
    check, _ = await surveyed({"GetDeviceInformation": http(200, b"")}, known)

    assert check.faults == ("onvif_malformed",)
    assert known.soap == "1.2"


async def test_a_clock_in_local_time_alone_is_read_from_the_http_date() -> None:
    date = b"Date: Mon, 23 Nov 2026 10:00:00 GMT\r\n"
    local = b"<Envelope><LocalDateTime><Time><Hour>18</Hour></Time></LocalDateTime></Envelope>"
    answers = {
        "GetSystemDateAndTime": http(200, local, date),
        "GetDeviceInformation": http(401, b"", date),
    }
    async with ScriptedDevice(speaking(answers)) as device, onvif_client() as onvif:
        check = await survey(onvif, device.feed(LOGIN), Device(), 10.0)

    assert b"<wsu:Created>2026-11-23T10:00:0" in device.received
    assert "clock_skew" in check.faults


async def test_profiles_that_were_cut_short_are_told_and_asked_for_again() -> None:
    whole = f"<Envelope><Body>{PROFILES}</Body></Envelope>".encode()
    answers: dict[str, bytes | str] = {
        "GetProfiles": http(200, whole[:-40]),
        "GetServices": REFUSED,
    }
    known = Device()
    check, _ = await surveyed(answers, known)
    again, device = await surveyed({"GetServices": REFUSED}, known)

    assert check.faults == ()
    assert check.detail == "cut short or damaged: GetProfiles"
    assert (again.detail, again.profile) == ("", "p1")
    assert b"<GetProfiles " in device.received


async def test_the_only_profile_left_of_a_cut_answer_is_not_taken_for_the_feeds_own() -> None:
    whole = f"<Envelope><Body>{PROFILES}</Body></Envelope>".encode()
    check, _ = await surveyed(
        {"GetProfiles": http(200, whole[:-40]), "GetStreamUri": "<Uri>rtsp://h/other</Uri>"}
    )

    assert (check.profile, check.snapshot_url) == ("", "")


def test_an_answer_in_several_parts_is_read_past_their_heads() -> None:
    data = (
        b"--uuid:1\r\nContent-Type: application/xop+xml\r\nContent-ID: <0.urn:uuid:1@x>\r\n\r\n"
        b"<?xml version='1.0'?><s:Envelope xmlns:s='x'><Model>DS-2CD</Model></s:Envelope>\r\n--uuid:1--"
    )

    assert read_document(data).root.value("Model") == "DS-2CD"
    assert read_document(data).complete


def test_gbk_that_was_cut_in_a_character_keeps_the_others() -> None:
    data = (
        b"<?xml version='1.0' encoding='UTF-8'?><Envelope><Model>\xba\xa3\xb0\xb6</Model><Name>\xce"
    )

    document = read_document(data)

    assert document.root.value("Model") == "海岸"
    assert not document.complete


def test_crossed_tags_lose_nothing_silently() -> None:
    data = b"<Envelope><Body><Preset><Name>a</Preset></Name><Preset><Name>b</Name></Preset></Body></Envelope>"

    assert not read_document(data).complete


def test_a_namespace_that_is_no_uri_is_no_obstacle() -> None:
    data = b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="not a uri"><a:Model>x</a:Model></s:Envelope>'

    assert read_document(data).root.value("Model") == "x"


async def test_a_device_that_answers_late_or_elsewhere_is_asked_at_its_other_address() -> None:
    async with ScriptedDevice(speaking(GOOD), "127.0.0.2") as device, onvif_client() as onvif:
        known = Device(addresses=["127.0.0.9", "127.0.0.2"])
        feed = replace(device.feed(LOGIN), host="localhost")
        document = await onvif.call(feed, known, GET_INFORMATION)

    assert document.root.value("Model") == "TC-2"
    assert known.addresses == ["127.0.0.2"]


async def test_an_answer_that_is_a_page_is_named_malformed() -> None:
    page = http(200, b"<html><body>Please log in</body></html>")
    device = ScriptedDevice(speaking({"GetDeviceInformation": page}))
    async with device, onvif_client() as onvif:
        with pytest.raises(OnvifError, match="expected a SOAP envelope, found <html>"):
            await onvif.call(device.feed(LOGIN), Device(), GET_INFORMATION)
