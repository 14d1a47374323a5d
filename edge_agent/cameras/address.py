"""Hosts and RTSP addresses as people write them, in one spelling."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

RTSP_PORT = 554
_PLAIN = re.compile(
    r"rtsp://([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?(?:/[\w.~!$&'()*+,;=:@%/?-]*)?", re.ASCII
)
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_DOTTED = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}")
"""IPv4 in its one spelling: there is nothing to change."""
_UNWRITABLE = re.compile(r"[\x00-\x20\x7f]")
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")


@dataclass(frozen=True, slots=True)
class RtspAddress:
    """Where a stream is asked for.

    Attributes:
        url: As sent on the request line: no userinfo, no fragment, ASCII.
        host: In the spelling of `normal_host`.
        port: 1-65535.
    """

    url: str
    host: str
    port: int


@lru_cache(1024)  # of a row's host and URL, and of an NVR's channels, it is the same
def normal_host(text: str) -> str:
    """Return a host in the one spelling used for comparing.

    Args:
        text: A name, an IPv4 address, or an IPv6 address with or without brackets.

    Raises:
        ValueError: It is none of those.
    """
    if _DOTTED.fullmatch(text):
        return text
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    looks_numeric = re.fullmatch(r"[0-9.]+", bare)
    if len(bare) > 253 or looks_numeric or not _NAME.fullmatch(bare):
        raise ValueError("expected an IP address or a host name without a port")
    return bare.rstrip(".").lower()


def is_address(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    return ":" in host or host.replace(".", "").isdigit()


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def neighbourhood(host: str) -> str:
    """Return the /24 or /64 that an address lies in; a host name stands for itself."""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    bits = 24 if ip.version == 4 else 64
    return str(ipaddress.ip_network(f"{ip}/{bits}", strict=False))


def parse_rtsp_url(text: str) -> RtspAddress:
    """Read an ``rtsp://`` URL.

    Raises:
        ValueError: What is wrong with it and what to write instead.
    """
    if plain := _PLAIN.fullmatch(text):  # nearly all of them; what follows costs five times that
        number = int(plain[2] or RTSP_PORT)
        if 0 < number <= 65535:
            return RtspAddress(text, normal_host(plain[1]), number)
    if _UNWRITABLE.search(text):
        raise ValueError("holds a space or a control character; write %20 for a space")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"cannot be read as a URL ({exc})") from exc
    if parts.scheme == "rtsps":
        raise ValueError("rtsps is not supported; use rtsp://")
    if parts.scheme != "rtsp" or not parts.netloc:
        raise ValueError("expected rtsp://HOST[:PORT]/PATH")
    if "@" in parts.netloc:
        raise ValueError(
            "holds a user name or password; remove everything up to the @ and use the columns"
            " username and password_file"
        )
    if port == 0 or not parts.hostname:
        raise ValueError("expected rtsp://HOST[:PORT]/PATH with a port from 1 to 65535")
    host = normal_host(parts.hostname)
    url = text.partition("#")[0]
    if not url.isascii():
        raise ValueError("holds characters beyond ASCII; percent-encode them")
    return RtspAddress(url, host, port or RTSP_PORT)
