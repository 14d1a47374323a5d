"""One check of one system: a TCP connection or an HTTP request, over IPv6 or IPv4."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from dataclasses import dataclass

import aiohttp
from aiohappyeyeballs import start_connection

from edge_agent.systems.inventory import System
from gateway_core.clock import monotonic

_OURS = {errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}
_HAPPY_EYEBALLS_S = 0.25


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check found.

    Attributes:
        verdict: ``good``; ``wrong``: it answered, but not as expected; ``silent``: no answer;
            ``blind``: the way there is broken on our side, which says nothing about the system.
        fault: Why, as a stable code; empty when good.
        rtt_ms: Milliseconds until it answered; None without an answer.
    """

    verdict: str
    fault: str = ""
    rtt_ms: float | None = None


async def probe(system: System, session: aiohttp.ClientSession) -> Outcome:
    """Check a system once; every failure becomes an outcome.

    Args:
        system: Which.
        session: Without redirects, cookies or proxies of its own.
    """
    began = monotonic()
    try:
        async with asyncio.timeout(system.timeout):
            if system.kind == "tcp":
                await _connect(system)
                fault = ""
            else:
                fault = await _request(system, session)
    except TimeoutError:
        return Outcome("silent", "timeout")
    except (ssl.SSLError, aiohttp.ClientSSLError):
        return Outcome("wrong", "tls")
    except OSError as exc:
        return _failure(exc)
    except aiohttp.ClientError:
        return Outcome("wrong", "protocol")
    rtt_ms = round((monotonic() - began) * 1000, 3)
    return Outcome("wrong" if fault else "good", fault, rtt_ms)


def new_session() -> aiohttp.ClientSession:
    """Return a session for `probe`: no cookies, no proxies from the environment, no reuse."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0, use_dns_cache=False)
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    )


async def _connect(system: System) -> None:
    """Connect over IPv6 and IPv4 as RFC 8305 says; uvloop has no such connect of its own."""
    host, port = system.address
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    connected = await start_connection(found, happy_eyeballs_delay=_HAPPY_EYEBALLS_S)
    connected.close()


async def _request(system: System, session: aiohttp.ClientSession) -> str:
    trust = True if system.ca_file is None else ssl.create_default_context(cafile=system.ca_file)
    async with session.get(system.target, allow_redirects=False, ssl=trust) as answer:
        good = answer.status in system.expect
        return "" if good else f"status_{answer.status}"


def _failure(exc: OSError) -> Outcome:
    cause = exc.os_error if isinstance(exc, aiohttp.ClientConnectorError) else exc
    if isinstance(cause, socket.gaierror):
        ours = cause.errno == socket.EAI_AGAIN
        return Outcome("blind" if ours else "silent", "no_resolver" if ours else "no_such_host")
    if cause.errno in _OURS:
        return Outcome("blind", "no_route")
    if isinstance(cause, ConnectionRefusedError):
        return Outcome("silent", "refused")
    if isinstance(cause, ConnectionError):
        return Outcome("wrong", "reset")
    return Outcome("silent", "unreachable")
