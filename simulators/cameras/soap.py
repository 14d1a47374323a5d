"""The device's side of ONVIF: which answer each operation gets, and who may ask."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from gateway_core.clock import NS, Clock
from simulators.cameras.camera import Device, stream_path

_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<s:Envelope xmlns:s="{soap}"'
    ' xmlns:ter="http://www.onvif.org/ver10/error" xmlns:tt="http://www.onvif.org/ver10/schema"'
    ' xmlns:tds="http://www.onvif.org/ver10/device/wsdl"'
    ' xmlns:trt="http://www.onvif.org/ver10/media/wsdl"'
    ' xmlns:tr2="http://www.onvif.org/ver20/media/wsdl"><s:Body>{body}</s:Body></s:Envelope>'
)
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
TOKEN_AGE_S = 60
"""A token further from the device's own clock is refused."""
OPEN = frozenset({"GetSystemDateAndTime", "GetServices", "GetCapabilities", "GetHostname"})
_OPERATION = re.compile(rb"<(?:[\w.-]+:)?Body[^>]*>\s*<(?:([\w.-]+):)?(\w+)([^>]*)>")
_XMLNS = re.compile(rb"xmlns(?::([\w.-]+))?=[\"']([^\"']*)[\"']")


def operation(body: bytes) -> tuple[str, bool]:
    """Return the operation's name and whether it is of Media 2."""
    match = _OPERATION.search(body)
    if match is None:
        return "", False
    prefix = match[1] or b""
    spaces = dict(_XMLNS.findall(body[: match.end()]))
    return match[2].decode(), spaces.get(prefix, b"").startswith(
        b"http://www.onvif.org/ver20/media"
    )


def token_accepted(device: Device, body: bytes, now: int) -> bool | None:
    """Whether the WS-UsernameToken in a request is right; None when there is none."""
    parts = {
        name: (re.search(rb"<(?:\w+:)?" + name + rb"(?:\s[^>]*)?>([^<]*)<", body) or [b"", b""])[1]
        for name in (b"Username", b"Password", b"Nonce", b"Created")
    }
    if not parts[b"Username"]:
        return None
    try:
        nonce = base64.b64decode(parts[b"Nonce"])
        created = datetime.fromisoformat(parts[b"Created"].decode())
    except ValueError:
        return False
    mixed = nonce + parts[b"Created"] + device.expected_password().encode()
    digest = base64.b64encode(hashlib.sha1(mixed, usedforsecurity=False).digest())
    skew = abs(created.timestamp() - device_clock(device, now) / NS)
    named = parts[b"Username"].decode() == device.username
    return named and digest == parts[b"Password"] and skew <= TOKEN_AGE_S


def device_clock(device: Device, now: int) -> int:
    """Return the device's own clock in nanoseconds since 1970."""
    return now - 86_400 * NS if device.condition == "clock_skew" else now


def answer(device: Device, name: str, body: bytes, *, media2: bool, clock: Clock) -> str | None:
    """Return the SOAP body of an answer, or None where the device does not know the operation."""
    if name == "GetSystemDateAndTime":
        return _time(device_clock(device, clock()))
    if name == "GetServices" and _quirky(device, "no_services"):
        return None
    if media2 and not device.media2:
        return None
    make = _ANSWERS.get((name, media2))
    return make(device, body) if make else None


def fault(code: str, subcode: str, reason: str) -> str:
    """Return a SOAP 1.2 fault."""
    return (
        f"<s:Fault><s:Code><s:Value>s:{code}</s:Value><s:Subcode><s:Value>ter:{subcode}</s:Value>"
        f'</s:Subcode></s:Code><s:Reason><s:Text xml:lang="en">{reason}</s:Text></s:Reason>'
        "</s:Fault>"
    )


def wrap(device: Device, body: str) -> bytes:
    """Return an envelope, written the way the device writes."""
    if device.condition == "broken_xml":
        return _broken(device, _ENVELOPE.format(soap=SOAP12, body=body).encode())
    if not _quirky(device, device.quirk):
        return _ENVELOPE.format(soap=SOAP12, body=body).encode()
    soap = SOAP11 if device.quirk == "soap11" else SOAP12
    text = _ENVELOPE.format(soap=soap, body=body)
    match device.quirk:
        case "undeclared_prefix":
            text = text.replace(' xmlns:tt="http://www.onvif.org/ver10/schema"', "")
        case "control_character":
            text = text.replace("</tds:Model>", "\x0b</tds:Model>")
        case "bare_ampersand":
            text = text.replace("&amp;", "&")
        case "glued":
            text += "\x00\r\n" + text
        case "gb18030":
            return text.encode("gb18030")
        case _:
            pass
    return text.encode()


def _broken(device: Device, document: bytes) -> bytes:
    """Return what a device sends whose web server is at fault; always the same for one device."""
    page = (
        b"<!DOCTYPE html><html><head><title>Login</title></head><body>Please log in</body></html>"
    )
    kinds = (document[:60], page, b"", b"\x00\xff\xfe" * 20)
    return kinds[int(device.serial, 16) % len(kinds)]


def _quirky(device: Device, quirk: str) -> bool:
    return device.condition == "odd_xml" and device.quirk == quirk


def _base(device: Device) -> str:
    foreign = device.condition == "foreign_address"
    return f"http://{device.foreign if foreign else device.authority}"


def _stream_url(device: Device, channel: int) -> str:
    if device.condition == "foreign_address":
        return f"rtsp://{device.foreign}:554{stream_path(channel)}"
    return device.stream_url(channel)


def _time(now: int) -> str:
    at = datetime.fromtimestamp(now // NS, UTC)
    return (
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>"
        "<tt:DateTimeType>NTP</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings>"
        "<tt:TimeZone><tt:TZ>CST-8</tt:TZ></tt:TimeZone><tt:UTCDateTime>"
        f"<tt:Time><tt:Hour>{at.hour}</tt:Hour><tt:Minute>{at.minute}</tt:Minute>"
        f"<tt:Second>{at.second}</tt:Second></tt:Time><tt:Date><tt:Year>{at.year}</tt:Year>"
        f"<tt:Month>{at.month}</tt:Month><tt:Day>{at.day}</tt:Day></tt:Date></tt:UTCDateTime>"
        "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
    )


def _information(device: Device, _: bytes) -> str:
    maker, model = device.maker
    return (
        f"<tds:GetDeviceInformationResponse><tds:Manufacturer>{escape(maker)}</tds:Manufacturer>"
        f"<tds:Model>{escape(model)} &amp; more</tds:Model>"
        "<tds:FirmwareVersion>5.7.3 build 261009</tds:FirmwareVersion>"
        f"<tds:SerialNumber>{device.serial}</tds:SerialNumber><tds:HardwareId>1</tds:HardwareId>"
        "</tds:GetDeviceInformationResponse>"
    )


def _services(device: Device, _: bytes) -> str:
    known = [("ver10/device", "device_service"), ("ver10/media", "media_service")]
    known += [("ver20/media", "media2_service")] if device.media2 else []
    return (
        "<tds:GetServicesResponse>"
        + "".join(
            f"<tds:Service><tds:Namespace>http://www.onvif.org/{space}/wsdl</tds:Namespace>"
            f"<tds:XAddr>{_base(device)}/onvif/{path}</tds:XAddr><tds:Version><tt:Major>2</tt:Major>"
            "<tt:Minor>60</tt:Minor></tds:Version></tds:Service>"
            for space, path in known
        )
        + "</tds:GetServicesResponse>"
    )


def _capabilities(device: Device, _: bytes) -> str:
    return (
        "<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Device>"
        f"<tt:XAddr>{_base(device)}/onvif/device_service</tt:XAddr></tt:Device><tt:Media>"
        f"<tt:XAddr>{_base(device)}/onvif/media_service</tt:XAddr><tt:StreamingCapabilities>"
        "<tt:RTPMulticast>false</tt:RTPMulticast><tt:RTP_TCP>true</tt:RTP_TCP>"
        "<tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP></tt:StreamingCapabilities></tt:Media>"
        "</tds:Capabilities></tds:GetCapabilitiesResponse>"
    )


def _profiles(device: Device, _: bytes) -> str:
    return (
        "<trt:GetProfilesResponse>"
        + "".join(_profile(device, channel + 1) for channel in range(len(device.feeds) or 1))
        + "</trt:GetProfilesResponse>"
    )


def _profile(device: Device, channel: int) -> str:
    # Media 1 has no word for H.265; devices leave the encoder out.
    encoder = (
        '<tt:VideoEncoderConfiguration token="enc"><tt:Name>enc</tt:Name><tt:UseCount>1'
        "</tt:UseCount><tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>640</tt:Width>"
        "<tt:Height>360</tt:Height></tt:Resolution><tt:Quality>3</tt:Quality><tt:RateControl>"
        "<tt:FrameRateLimit>5</tt:FrameRateLimit><tt:EncodingInterval>1</tt:EncodingInterval>"
        "<tt:BitrateLimit>512</tt:BitrateLimit></tt:RateControl><tt:Multicast><tt:Address>"
        "<tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address><tt:Port>0"
        "</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast>"
        "<tt:SessionTimeout>PT60S</tt:SessionTimeout></tt:VideoEncoderConfiguration>"
    )
    return (
        f'<trt:Profiles token="main-{channel}" fixed="true"><tt:Name>Main {channel}</tt:Name>'
        f"{encoder if device.codec == 'H264' else ''}</trt:Profiles>"
    )


def _profiles2(device: Device, _: bytes) -> str:
    return (
        "<tr2:GetProfilesResponse>"
        + "".join(
            f'<tr2:Profiles token="main-{channel + 1}" fixed="true"><tr2:Name>Main {channel + 1}'
            '</tr2:Name><tr2:Configurations><tr2:VideoEncoder token="enc"><tt:Name>enc</tt:Name>'
            f"<tt:UseCount>1</tt:UseCount><tt:Encoding>{device.codec}</tt:Encoding>"
            "<tt:Resolution><tt:Width>640</tt:Width><tt:Height>360</tt:Height></tt:Resolution>"
            "<tt:RateControl><tt:FrameRateLimit>5</tt:FrameRateLimit><tt:BitrateLimit>512"
            "</tt:BitrateLimit></tt:RateControl><tt:Quality>3</tt:Quality></tr2:VideoEncoder>"
            "</tr2:Configurations></tr2:Profiles>"
            for channel in range(len(device.feeds) or 1)
        )
        + "</tr2:GetProfilesResponse>"
    )


def _channel(body: bytes) -> int:
    match = re.search(rb"ProfileToken>main-([0-9]{1,4})<", body)
    return int(match[1]) if match else 1


def _stream_uri(device: Device, body: bytes) -> str:
    uri = _stream_url(device, _channel(body))
    return (
        f"<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{uri}</tt:Uri>"
        "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false"
        "</tt:InvalidAfterReboot><tt:Timeout>PT60S</tt:Timeout></trt:MediaUri>"
        "</trt:GetStreamUriResponse>"
    )


def _snapshot_uri(device: Device, body: bytes) -> str:
    uri = f"{_base(device)}/snapshot.jpg?channel={_channel(body)}&amp;stream=main"
    return (
        f"<trt:GetSnapshotUriResponse><trt:MediaUri><tt:Uri>{uri}</tt:Uri>"
        "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false"
        "</tt:InvalidAfterReboot><tt:Timeout>PT60S</tt:Timeout></trt:MediaUri>"
        "</trt:GetSnapshotUriResponse>"
    )


def _stream_uri2(device: Device, body: bytes) -> str:
    uri = _stream_url(device, _channel(body))
    return f"<tr2:GetStreamUriResponse><tr2:Uri>{uri}</tr2:Uri></tr2:GetStreamUriResponse>"


def _snapshot_uri2(device: Device, body: bytes) -> str:
    uri = f"{_base(device)}/snapshot.jpg?channel={_channel(body)}&amp;stream=main"
    return f"<tr2:GetSnapshotUriResponse><tr2:Uri>{uri}</tr2:Uri></tr2:GetSnapshotUriResponse>"


_ANSWERS: dict[tuple[str, bool], Callable[[Device, bytes], str]] = {
    ("GetDeviceInformation", False): _information,
    ("GetServices", False): _services,
    ("GetCapabilities", False): _capabilities,
    ("GetProfiles", False): _profiles,
    ("GetProfiles", True): _profiles2,
    ("GetStreamUri", False): _stream_uri,
    ("GetStreamUri", True): _stream_uri2,
    ("GetSnapshotUri", False): _snapshot_uri,
    ("GetSnapshotUri", True): _snapshot_uri2,
}
