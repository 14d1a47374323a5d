"""What is at the other end: ports of our own, names, the collector, certificates, secrets."""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
import socket
import ssl
import stat
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from cryptography import x509

from gateway_core.clock import NS, Clock
from gateway_core.units import Address
from tidegate.checks.finding import Finding

_ANSWER_S = 5.0
_SOON_DAYS = 7


def check_port(name: str, address: Address, *, udp: bool = False) -> Finding:
    """The listener's address is free, or held by the Tidegate that runs already."""
    check = f"port {name}"
    host, port = address.host or "::", address.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    where = f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"
    try:
        with socket.socket(family, kind) as probe:
            if not udp:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except PermissionError:
        advice = "use a port above 1023, or give the unit CAP_NET_BIND_SERVICE"
        return Finding(check, "fail", where, "only root may bind it", advice)
    except OSError as exc:
        advice = f"fine if Tidegate runs now; else find who holds it: ss -lnp 'sport = :{port}'"
        return Finding(check, "warn", f"{where}: {exc.strerror}", "somebody listens there", advice)
    return Finding(check, "ok", f"{where} is free")


async def check_name(host: str) -> Finding:
    """A host name resolves, and to which addresses."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, None, type=socket.SOCK_STREAM
            )
    except (OSError, TimeoutError) as exc:
        advice = "check /etc/resolv.conf, or give the address instead of the name"
        return Finding(
            "dns", "fail", f"{host}: {exc}", "nothing at that name can be reached", advice
        )
    addresses = sorted({str(entry[4][0]) for entry in found})
    return Finding("dns", "ok", f"{host} is {', '.join(addresses)}")


async def check_http(
    name: str, url: str, clock: Clock, trust: ssl.SSLContext | None = None
) -> tuple[Finding, float | None]:
    """Somebody answers HTTP at ``url``; also returns its clock minus ours in seconds.

    Args:
        name: Of the finding.
        url: Whom to ask.
        clock: Ours.
        trust: How to speak TLS; None: as the system does.
    """
    try:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, ssl=trust or True) as answer,
        ):
            status, date = answer.status, answer.headers.get("Date")
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        advice = "start it, or mend the URL; the edge keeps everything until then"
        finding = Finding(
            name, "fail", f"{url}: {str(exc) or 'no answer in time'}", "it does not answer", advice
        )
        return finding, None
    offset = None
    if date is not None:
        there = email.utils.parsedate_to_datetime(date)
        offset = there.timestamp() - clock() / NS
    return Finding(name, "ok", f"{url} answers ({status})"), offset


def check_certificate(name: str, path: Path, clock: Clock) -> Finding:
    """A certificate can be read and is valid for some time yet."""
    check = f"certificate {name}"
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as exc:
        return Finding(check, "fail", f"{path}: {exc}", "cannot be read", "give a PEM file")
    end = certificate.not_valid_after_utc.timestamp()
    left = (end - clock() / NS) / 86400
    until = dt.datetime.fromtimestamp(end, dt.UTC).date().isoformat()
    if left <= 0:
        return Finding(check, "fail", f"{path} ended {until}", "peers refuse it", "renew it")
    found = f"{path} until {until} ({left:.0f} days)"
    if left < _SOON_DAYS:
        return Finding(check, "warn", found, "peers will refuse it then", "renew it now")
    return Finding(check, "ok", found)


def check_secrets(paths: Iterable[Path]) -> list[Finding]:
    """Files with secrets exist, hold something, and are not for everybody to read."""
    found = []
    for path in paths:
        try:
            mode = path.stat().st_mode
            empty = not path.read_bytes().strip()
        except OSError as exc:
            advice = "make the file, readable for the user that runs Tidegate"
            found.append(Finding("secret", "fail", f"{path}: {exc.strerror}", "is needed", advice))
            continue
        if empty:
            found.append(Finding("secret", "fail", f"{path} is empty", "is needed", "fill it"))
        elif mode & stat.S_IROTH:
            advice = f"chmod o-rwx {path}"
            found.append(Finding("secret", "warn", f"{path} is readable by all", "", advice))
        else:
            found.append(Finding("secret", "ok", str(path)))
    return found


def host_of(url: str) -> str:
    """Return the host of a URL."""
    return urlsplit(url).hostname or ""
