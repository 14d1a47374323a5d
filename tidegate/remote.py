"""Ask a running edge agent or collector over HTTP: what the commands speak through."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
import msgspec

from gateway_core.errors import GatewayError, Unavailable
from tidegate.usage import WrongUsage

_ANSWER_S = 60.0
_TYPED_WRONGLY = {"bad_request", "bad_time", "bad_window", "bad_agg", "bad_question"}
"""Codes of answers that find fault with what stands on the command line."""


async def ask(
    method: str, url: str, *, body: Any = None, accept: str = "application/json"
) -> bytes:
    """Return the body of the answer.

    Raises:
        Unavailable: Nobody answers at ``url``.
        WrongUsage: It finds fault with what was asked.
        GatewayError: The answer was another error; its own words say what to do.
    """
    status, data = await exchange(method, url, body=body, headers={"Accept": accept})
    if status >= 400:
        raise _complaint(url, status, data)
    return data


async def exchange(
    method: str,
    url: str,
    *,
    body: Any = None,
    data: bytes | None = None,
    headers: Mapping[str, str],
) -> tuple[int, bytes]:
    """Return status and body of the answer, whatever it says.

    Args:
        method: Of HTTP.
        url: Whom.
        body: Sent as JSON.
        data: Sent as it is, instead.
        headers: Of the request.

    Raises:
        Unavailable: Nobody answers at ``url``.
    """
    _must_be_http(url)
    async with _session() as session:
        try:
            async with session.request(
                method, url, json=body, data=data, headers=headers
            ) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise Unavailable(
                f"{url} does not answer ({str(exc) or 'too late'}); is it running?"
            ) from exc


def _must_be_http(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise WrongUsage(f"--url {url.split('/', maxsplit=1)[0]!r}: expected http://host:port")


def _complaint(url: str, status: int, body: bytes) -> GatewayError:
    """Return what an error says, in its own words where it is a problem (RFC 9457)."""
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
        title, detail = str(problem["title"]), str(problem["detail"])
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        return GatewayError(f"{url} answered {status}: {body[:2000].decode(errors='replace')}")
    code = str(problem.get("code", title))  # the collector's title is its code
    kind = WrongUsage if code in _TYPED_WRONGLY else GatewayError
    return kind(f"{title}: {code}: {detail}" if code != title else f"{code}: {detail}")


@contextlib.asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=_ANSWER_S, connect=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield session


async def pour(
    url: str, body: Any, write: Callable[[bytes], None], accept: str = "*/*"
) -> Mapping[str, str]:
    """Ask a question with a long answer, write it as it comes, and return its headers.

    Raises:
        WrongUsage: As `ask`.
        Unavailable: Nobody answers at ``url``, or the answer broke off.
        GatewayError: The answer was an error; its own words say what to do.
    """
    _must_be_http(url)
    timeout = aiohttp.ClientTimeout(total=None, connect=5, sock_read=5 * _ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            async with session.post(url, json=body, headers={"Accept": accept}) as answer:
                if answer.status >= 400:
                    raise _complaint(url, answer.status, await answer.read())
                async for chunk in answer.content.iter_any():
                    write(chunk)
                return answer.headers
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise Unavailable(f"{url} does not answer ({exc!r}); is it running?") from exc


async def stream(url: str) -> AsyncIterator[bytes]:
    """Yield the lines of an endless answer.

    Raises:
        Unavailable: Nobody answers at ``url``, or the other side stopped.
    """
    _must_be_http(url)
    timeout = aiohttp.ClientTimeout(total=None, connect=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            async with session.get(url) as answer:
                if answer.status >= 400:
                    raise _complaint(url, answer.status, await answer.read())
                async for line in answer.content:
                    yield line
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise Unavailable(
                f"{url} does not answer ({str(exc) or 'too late'}); is it running?"
            ) from exc
