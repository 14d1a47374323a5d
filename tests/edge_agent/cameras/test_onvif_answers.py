"""ONVIF answers are read as cameras write them; nothing is expanded, and losses are admitted."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.inventory import Credential
from edge_agent.cameras.onvif import (
    Profile,
    get_stream_uri,
    read_http_date,
    read_information,
    read_profiles,
    read_services,
    read_time,
    read_uri,
    repair_http,
)
from edge_agent.cameras.parse import MAX_BYTES, Document, read_document
from edge_agent.cameras.soap import envelope, read_fault, username_token
from gateway_core.errors import PayloadError

OPEN = '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
CLOSE = "</s:Body></s:Envelope>"


def read(body: str) -> Document:
    return read_document(f"{OPEN}{body}{CLOSE}".encode())


def test_a_bare_ampersand_stays_in_the_address() -> None:
    document = read("<Uri>rtsp://h/s?channel=1&subtype=0&#x41;&amp;b&nbsp;</Uri>")

    assert read_uri(document) == "rtsp://h/s?channel=1&subtype=0A&b&nbsp;"
    assert document.complete


def test_a_cdata_section_is_left_alone() -> None:
    assert read_uri(read("<Uri><![CDATA[rtsp://h/s?a=1&b=2]]></Uri>")) == "rtsp://h/s?a=1&b=2"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_the_bytes_decide_the_encoding_not_the_declaration(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="UTF-8"?>{OPEN}<Model>海康威视</Model>{CLOSE}'

    document = read_document(text.encode(encoding))

    assert document.root.value("Model") == "海康威视"
    assert document.complete


def test_control_characters_are_taken_out() -> None:
    assert read("<Model>DS\x0b-2\x00CD</Model>").root.value("Model") == "DS-2CD"


def test_an_undeclared_prefix_loses_nothing() -> None:
    document = read("<tt:Model>x</tt:Model>")

    assert document.root.value("Model") == "x"
    assert document.complete


def test_a_second_document_glued_on_is_cut_off() -> None:
    whole = f"{OPEN}<Model>first</Model>{CLOSE}"

    document = read_document(f"{whole}\x00\r\n{whole}".encode())

    assert document.root.value("Model") == "first"
    assert document.complete


@pytest.mark.parametrize(
    "text",
    [
        f"{OPEN}<Profiles token='a'/><Profiles token='b'/><Prof",
        f"{OPEN}<Profiles token='a'/><a><b></a></b>{CLOSE}",
        f"{OPEN}<Profiles token='a'/>&#0;{CLOSE}",
    ],
)
def test_a_document_that_lost_something_says_so(text: str) -> None:
    document = read_document(text.encode())

    assert document.complete is ("&#0;" in text)
    assert next(document.root.every("Profiles")).attribute("token") == "a"


def test_bytes_in_no_encoding_are_read_and_admitted() -> None:
    document = read_document(f"{OPEN}<Model>a{CLOSE}".encode().replace(b">a", b">a\xff\xff"))

    assert not document.complete


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (
            b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Envelope>&e;</Envelope>',
            "xml_doctype",
        ),
        (
            b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Envelope>&b;</Envelope>',
            "xml_doctype",
        ),
        ('<!DOCTYPE x SYSTEM "http://evil/x.dtd"><Envelope/>'.encode("utf-16"), "xml_doctype"),
        (b"<Envelope>" + b"<a>" * 5000 + b"</Envelope>", "xml_too_deep"),
        (b" " * (MAX_BYTES + 1), "xml_too_large"),
        (b"", "not_xml"),
        (b"<html><body>Login</body></html>", "not_xml"),
        (b"\x00\x01\x02", "not_xml"),
    ],
)
def test_what_must_not_be_read_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(PayloadError) as caught:
        read_document(data)

    assert caught.value.code == code


@given(st.binary(max_size=400))
def test_any_bytes_give_a_document_or_a_payload_error(data: bytes) -> None:
    for wrapped in (data, b"<Envelope>" + data + b"</Envelope>"):
        try:
            document = read_document(wrapped)
        except PayloadError:
            continue
        assert document.root.name == "Envelope"


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (
            (
                "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized"
                "</s:Value></s:Subcode></s:Code><s:Reason><s:Text>鉴权失败</s:Text></s:Reason></s:Fault>"
            ),
            400,
            "auth",
        ),
        (
            "<s:Fault><faultcode>SOAP-ENV:Client</faultcode><faultstring>x</faultstring></s:Fault>",
            401,
            "auth",
        ),
        ("<s:Fault><faultcode>wsse:FailedAuthentication</faultcode></s:Fault>", 500, "auth"),
        (
            (
                "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>ter:ActionNotSupported"
                "</s:Value></s:Subcode></s:Code></s:Fault>"
            ),
            500,
            "unsupported",
        ),
        (
            (
                "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:InvalidArgVal"
                "</s:Value></s:Subcode></s:Code><s:Reason><s:Text>not authorized name</s:Text></s:Reason></s:Fault>"
            ),
            400,
            "other",
        ),
        (
            "<s:Fault><faultcode>x</faultcode><faultstring>Not Authorized</faultstring></s:Fault>",
            500,
            "unclear",
        ),
        (
            "<s:Fault><faultcode>s:Client.Authentication.NotAuthorized</faultcode></s:Fault>",
            500,
            "auth",
        ),
        (
            "<s:Fault><s:Code><s:Value>s:VersionMismatch</s:Value></s:Code></s:Fault>",
            500,
            "version",
        ),
        ("<s:Fault/>", 500, "unclear"),
    ],
)
def test_faults_are_classed_by_code_and_status_alone(fault: str, status: int, kind: str) -> None:
    found = read_fault(read(fault), status)

    assert found is not None
    assert found.kind == kind


def test_no_fault_is_none() -> None:
    assert read_fault(read("<GetProfilesResponse/>"), 200) is None


def test_a_token_holds_the_digest_and_never_the_password() -> None:
    token = username_token(
        Credential("ad<min", "pä&ss"), 1_800_000_000 * 10**9, b"0123456789abcdef"
    )

    created = "2027-01-15T08:00:00.000Z"
    expected = base64.b64encode(
        hashlib.sha1(b"0123456789abcdef" + created.encode() + "pä&ss".encode()).digest()
    ).decode()
    assert f"<wsu:Created>{created}</wsu:Created>" in token
    assert f">{expected}</wsse:Password>" in token
    assert "<wsse:Username>ad&lt;min</wsse:Username>" in token
    assert "ss" not in re.sub(r"<[^>]*>", "", token).replace(expected, "")


def test_an_envelope_has_no_line_end() -> None:
    assert b"\n" not in envelope(get_stream_uri("media", 'a"<b').body)


TIME = (
    "<UTCDateTime><Time><Hour>{h}</Hour><Minute>{m}</Minute><Second>{s}</Second></Time>"
    "<Date><Year>{y}</Year><Month>{mo}</Month><Day>{d}</Day></Date></UTCDateTime>"
)


@pytest.mark.parametrize(
    ("parts", "seconds"),
    [
        ((2026, 11, 23, 10, 0, 0), 1_795_428_000),
        ((2026, 11, 23, 9, 61, 0), 1_795_428_060),
        ((2026, 11, 22, 24, 0, 0), 1_795_392_000),
        ((2485, 13, 13, 18, 14, 13), None),
        ((2026, 11, 23, 10, 0, 900_000), None),
        (("", 1, 1, 1, 1, 1), None),
    ],
)
def test_impossible_times_carry_over_or_are_nothing(parts: tuple, seconds: int | None) -> None:
    y, mo, d, h, m, s = parts

    time = read_time(read(TIME.format(y=y, mo=mo, d=d, h=h, m=m, s=s)))

    assert time == (None if seconds is None else seconds * 10**9)


def test_a_clock_without_utc_is_nothing() -> None:
    assert read_time(read("<SystemDateAndTime/>")) is None


def test_the_http_date_is_a_clock_too() -> None:
    assert read_http_date("Mon, 23 Nov 2026 10:00:00 GMT") == 1_795_428_000 * 10**9
    assert read_http_date("yesterday") is None
    assert read_http_date(None) is None


def test_both_lists_of_services_are_read_as_paths() -> None:
    services = (
        "<Service><Namespace>http://www.onvif.org/ver20/media/wsdl</Namespace>"
        "<XAddr> http://192.168.1.64:8000/onvif/Media2?x=1 </XAddr></Service>"
    )
    capabilities = (
        "<Capabilities><Media><XAddr>http://[fe80::1]/onvif/media</XAddr></Media>"
        "<Events/></Capabilities>"
    )

    assert read_services(read(services)) == {"media2": "/onvif/Media2?x=1"}
    assert read_services(read(capabilities)) == {"media": "/onvif/media"}


def test_profiles_of_either_media_service_are_read() -> None:
    body = (
        "<GetProfilesResponse><Profiles token='a'><Name>Main</Name><VideoEncoderConfiguration>"
        "<Encoding>H264</Encoding><Resolution><Width>1920</Width><Height>1080</Height></Resolution>"
        "<RateControl><FrameRateLimit>12.5</FrameRateLimit></RateControl></VideoEncoderConfiguration>"
        "</Profiles><Profiles token='b'><Configurations><VideoEncoder><Encoding>H265</Encoding>"
        "<Resolution><Width/></Resolution></VideoEncoder></Configurations></Profiles>"
        "<Profiles><Name>no token</Name></Profiles></GetProfilesResponse>"
    )

    assert read_profiles(read(body)) == (
        Profile("a", "Main", "H264", (1920, 1080), 12.5),
        Profile("b", "", "H265"),
    )
    assert read_profiles(read(body)) is read_profiles(read(body))  # one for cameras of a kind


@pytest.mark.parametrize("body", ["", "<GetDeviceInformationRespons/>"])
def test_a_missing_answer_is_told(body: str) -> None:
    with pytest.raises(PayloadError, match="missing_element"):
        read_information(read(body))


@pytest.mark.parametrize(
    ("url", "repaired"),
    [
        ("http://10.0.0.7:8080/snap?x=1&y=2", "http://10.0.0.7:8080/snap?x=1&y=2"),
        ("http://192.168.1.64/snap", "http://10.0.0.7:80/snap"),
        ("http://p2p.vendor-cloud.example/snap", "http://10.0.0.7:80/snap"),
        ("http://root:pw@10.0.0.7/snap", "http://10.0.0.7:80/snap"),
        ("http://10.0.0.7@evil.example/snap", "http://10.0.0.7:80/snap"),
        ("http://10.0.0.7:80/a b\r\nX: y", "http://10.0.0.7:80/abX:y"),
        ("https://10.0.0.7/snap", ""),
        ("file:///etc/passwd", ""),
        ("http://10.0.0.7:99999/", ""),
        ("", ""),
    ],
)
def test_an_address_always_points_at_the_registered_host(url: str, repaired: str) -> None:
    assert repair_http(url, "10.0.0.7", 80) == repaired
