"""What a hostile device may answer: SOAP, session descriptions, challenges and RTSP, up to the caps."""

from __future__ import annotations

import base64
import resource
import sys
from contextlib import suppress
from itertools import chain
from pathlib import Path

from edge_agent.cameras.challenge import choose
from edge_agent.cameras.onvif import (
    read_information,
    read_profiles,
    read_services,
    read_time,
    read_uri,
)
from edge_agent.cameras.parse import MAX_BYTES, read_document
from edge_agent.cameras.rtsp import AnswerReader
from edge_agent.cameras.sdp import Track, parse_sdp
from edge_agent.cameras.soap import read_fault
from gateway_core.errors import PayloadError

_BOMB = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10))


def _soap(body: bytes) -> bytes:
    return b"<Envelope><Body>" + body + b"</Body></Envelope>"


def _full(start: bytes, piece: bytes, end: bytes = b"") -> bytes:
    """As many pieces as fit under the cap."""
    count = (MAX_BYTES - len(start) - len(end)) // len(piece)
    return start + piece * count + end


XML: dict[str, tuple[bytes, str]] = {
    "external entity": (
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Envelope>&x;</Envelope>',
        "xml_doctype",
    ),
    "external entity over http": (
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:1/x">]><Envelope>&x;</Envelope>',
        "xml_doctype",
    ),
    "external subset": (
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><Envelope/>',
        "xml_doctype",
    ),
    "public subset": (
        b'<!DOCTYPE a PUBLIC "-//x" "http://127.0.0.1:1/"><Envelope/>',
        "xml_doctype",
    ),
    "parameter entity": (
        b'<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///etc/hosts">%x;]><Envelope/>',
        "xml_doctype",
    ),
    "entity bomb": (
        b'<!DOCTYPE a [<!ENTITY e0 "lol">' + _BOMB + b"]><Envelope>&e9;</Envelope>",
        "xml_doctype",
    ),
    "quadratic entity": (
        b'<!DOCTYPE a [<!ENTITY x "' + b"y" * 50_000 + b'">]><Envelope>' + b"&x;" * 50_000,
        "xml_doctype",
    ),
    "doctype in small letters": (b"<!doctype a><Envelope/>", "xml_doctype"),
    "doctype in UTF-16": ('<!DOCTYPE a SYSTEM "x"><Envelope/>'.encode("utf-16"), "xml_doctype"),
    "doctype behind a control character": (b"<!DOC\x00TYPE a><Envelope/>", "xml_doctype"),
    "entity declared within": (_soap(b'<!ENTITY x "y">'), "xml_doctype"),
    "entity used and never declared": (_soap(b"<Model>&xxe;</Model>"), ""),
    "inclusion": (
        _soap(
            b'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"'
            b' parse="text"/>'
        ),
        "",
    ),
    "style sheet": (
        b'<?xml-stylesheet href="http://127.0.0.1:1/x.xsl"?><Envelope><a/></Envelope>',
        "",
    ),
    "schema location": (
        (
            b'<Envelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
            b' xsi:schemaLocation="x http://127.0.0.1:1/x.xsd"><a/></Envelope>'
        ),
        "",
    ),
    "a hundred levels": (_soap(b"<a>" * 100 + b"</a>" * 100), "xml_too_deep"),
    "endless levels": (b"<Envelope>" + b"<a>" * 50_000, "xml_too_deep"),
    "a million bytes too many": (b"<Envelope>" + b" " * MAX_BYTES, "xml_too_large"),
    "elements without end": (_full(b"<Envelope>", b"<a/>"), "xml_too_large"),
    "attributes without end": (
        b"<Envelope " + b" ".join(b"a%d=''" % n for n in range(60_000)) + b"/>",
        "xml_too_large",
    ),
    "one attribute as long as the cap": (_full(b"<Envelope a='", b"x", b"'></Envelope>"), ""),
    "one name as long as the cap": (_full(b"<Envelope><", b"x", b"/></Envelope>"), ""),
    "one text as long as the cap": (_full(b"<Envelope><Model>", b"x", b"</Model></Envelope>"), ""),
    "only ampersands": (_full(b"<Envelope>", b"&", b"</Envelope>"), ""),
    "only ends of CDATA": (_full(b"<Envelope>", b"]]>", b"</Envelope>"), ""),
    "CDATA opened without end": (b"<Envelope>" + b"<![CDATA[" * 90_000, ""),
    "comments opened without end": (b"<Envelope>" + b"<!--" * 90_000, ""),
    "declarations without end": (b"<?xml " * 90_000 + b"<Envelope/>", "not_xml"),
    "namespaces without end": (
        b"<Envelope " + b" ".join(b"xmlns:a%d='u'" % n for n in range(40_000)) + b"/>",
        "",
    ),
    "one attribute ten thousand times": (b"<Envelope " + b"a='' " * 10_000 + b"/>", ""),
    "services within services": (
        _soap(b"<Service>" * 40 + b"<a/>" * 90_000 + b"</Service>" * 40),
        "",
    ),
    "profiles within profiles": (
        _soap(
            b"<GetProfilesResponse>"
            + b"<Profiles token='a'>" * 40
            + b"<a/>" * 90_000
            + b"</Profiles>" * 40
            + b"</GetProfilesResponse>"
        ),
        "",
    ),
    "a thousand profiles with long names": (
        _soap(
            b"<GetProfilesResponse>"
            + b"".join(
                b"<Profiles token='%d'><Name>%s</Name></Profiles>" % (n, b"x" * 900)
                for n in range(1000)
            )
            + b"</GetProfilesResponse>"
        ),
        "",
    ),
    "references to forbidden characters": (
        _soap(b"<Model>&#0;&#xFFFF;&#x110000;&#55296;</Model>"),
        "",
    ),
    "bytes of no encoding": (_soap(bytes(range(128, 256)) * 100), ""),
    "UTF-16 cut in the middle": (b"\xff\xfe<", "not_xml"),
    "UTF-7 in disguise": (b"+ADw-!DOCTYPE a+AD4-<Envelope><a/></Envelope>", ""),
    "gzip": (b"\x1f\x8b\x08\x00" + b"\x00" * 60, "not_xml"),
    "JSON": (b'{"Envelope": {}}', "not_xml"),
    "a page": (b"<html><head><title>Login</title></head></html>", "not_xml"),
    "nothing": (b"", "not_xml"),
}
"""Name to the bytes and the code of the refusal; empty where the document is read, however poorly."""

_VIDEO = b"v=0\r\nm=video 0 RTP/AVP 96\r\n"
_ONES = base64.b64encode(b"\x67\x42\x00\x1e" + b"\xff" * 3_000)
_NONE: tuple[Track, ...] = ()
_BARE = (Track("video", 96),)

SDP: dict[str, tuple[bytes, tuple[Track, ...]]] = {
    "nothing": (b"", _NONE),
    "no lines": (b"\x00" * 60_000, _NONE),
    "only line ends": (b"\r\n" * 32_000, _NONE),
    "only equals signs": (b"=" * 60_000, _NONE),
    "media without words": (b"m=\r\n", (Track(""),)),
    "a payload type out of range": (b"m=video 0 RTP/AVP 99999999999\r\n", (Track("video"),)),
    "a payload type below zero": (b"m=video 0 RTP/AVP -1\r\n", (Track("video"),)),
    "bytes of no encoding": (b"m=video 0 RTP/AVP 96\r\na=\xff\xfe:\xff\r\n", _BARE),
    "a frame rate without end": (_VIDEO + b"a=framerate:" + b"9" * 60_000, (Track("video", 96, framerate=9999.0),)),
    "a frame rate that is no number": (_VIDEO + b"a=framerate:NaN\r\na=framerate:-1\r\n", _BARE),
    "a size of zero": (_VIDEO + b"a=x-dimensions:0,0\r\n", _BARE),
    "a size without end": (_VIDEO + b"a=framesize:96 1" + b" " * 60_000, _BARE),
    "a rectangle inside out": (_VIDEO + b"a=cliprect:9,9,1,1\r\n", _BARE),
    "parameter sets that are no base64": (_VIDEO + b"a=fmtp:96 sprop-parameter-sets=\xff,,==,%\r\n", _BARE),
    "a parameter set of ones": (_VIDEO + b"a=fmtp:96 sprop-parameter-sets=" + _ONES, _BARE),
    "a parameter set of zeros": (_VIDEO + b"a=fmtp:96 sprop-parameter-sets=Z0IAHg" + b"A" * 60_000, _BARE),
    "a parameter set of H.265 that is cut": (_VIDEO + b"a=fmtp:96 sprop-sps=QgEB\r\n", _BARE),
    "semicolons without end": (_VIDEO + b"a=fmtp:96 " + b";" * 60_000, _BARE),
    "a control that leads elsewhere": (
        _VIDEO + b"a=control:file:///etc/passwd\r\n",
        (Track("video", 96, control="file:///etc/passwd"),),
    ),
    "more lines than are read": (_VIDEO + b"a=x\r\n" * 12_000 + b"m=audio 0 RTP/AVP 0\r\n", _BARE),
}  # fmt: skip
"""Name to the body of an answer to DESCRIBE and what is read in it."""

CHALLENGES = (
    "Digest" + " " * 60_000 + "@",
    "Digest " + "," * 60_000 + "@",
    'Digest realm="' + "\\" * 60_000,
    "Digest " + 'a="' * 20_000,
    "Digest " + "a=b " * 15_000,
    "Basic " * 10_000,
    "Digest nonce=" + "n" * 60_000,
)


def read_all() -> None:
    """Read every case; a refusal is fine."""
    for data, _ in XML.values():
        with suppress(PayloadError):
            document = read_document(data)
            read_fault(document, 200)
            read_services(document)
            read_time(document)
            for read in (read_profiles, read_information, read_uri):
                with suppress(PayloadError):
                    read(document)
    for data, _ in SDP.values():
        parse_sdp(data)
    for value in CHALLENGES:
        choose([value])
    _trickle(b"RTSP/1.0 200 OK\r\n" + b"A: b\r\n" * 9_000, b"A")
    _trickle(b"RTSP/1.0 200 OK\r\n" + b"A: b\r\n" * 9_000 + b"Content-Length: 60000\r\n\r\n", b"A")
    _trickle(b"", b"\r\n")
    _trickle(b"", b"$\0\0\0")
    _trickle(b"OPTIONS", b"x")


def _trickle(start: bytes, piece: bytes) -> None:
    reader = AnswerReader()
    with suppress(PayloadError):
        for data in chain([start], [piece] * 10_000):
            reader.feed(data)


def read_all_within(cpu_s: int, megabytes: int) -> None:
    """Read every case; the kernel ends the process that takes more than this on top."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (spent + cpu_s, spent + cpu_s))
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    room = pages * resource.getpagesize() + megabytes * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    read_all()
    sys.stdout.write("read all")
