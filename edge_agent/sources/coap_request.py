"""What a CoAP request asks for: its options, read and judged (RFC 7252 5.4, RFC 7959). Pure."""

from __future__ import annotations

from typing import NamedTuple

from edge_agent.sources import coap_message as coap
from edge_agent.sources.coap_message import Message

LONGEST_PATH = 512
PLAIN = 65_536

_TAKEN = frozenset({coap.PUT, coap.POST})

_KNOWN_CRITICAL = frozenset(
    {
        coap.URI_HOST,
        coap.URI_PORT,
        coap.URI_PATH,
        coap.URI_QUERY,
        coap.ACCEPT,
        coap.BLOCK1,
        coap.BLOCK2,
    }
)


class Verdict(NamedTuple):
    """How a request is answered.

    Attributes:
        code: The response code.
        diagnostic: For the person at the other end.
        options: Options of the response.
    """

    code: int
    diagnostic: str = ""
    options: tuple[tuple[int, bytes], ...] = ()


class Declined(Exception):  # a verdict on a request, not an error of ours
    """A request that ends here, and how it is answered."""

    def __init__(
        self, code: int, diagnostic: str = "", options: tuple[tuple[int, bytes], ...] = ()
    ) -> None:
        super().__init__(f"{coap.dotted(code)} {diagnostic}")
        self.verdict = Verdict(code, diagnostic, options)


class Block(NamedTuple):
    """The value of a Block1 option: this is block ``number`` of ``size`` bytes each."""

    number: int
    more: bool
    size: int
    raw: bytes


class Request(NamedTuple):
    """What is asked for.

    Attributes:
        path: Uri-Path segments joined by slashes, none in front.
        content_format: Or None.
        block: Which part of a larger payload this is, or None.
        size: Size1, the size of the whole payload in bytes, or None.
        silence: No-Response (RFC 7967): classes of answers not wanted, as bits 2, 8 and 16.
        tag: What else tells one transfer in blocks from another (RFC 9175 Request-Tag).
    """

    path: str
    content_format: int | None = None
    block: Block | None = None
    size: int | None = None
    silence: int = 0
    tag: bytes = b""


class Plain:
    """Requests whose options were read before, found without reading them again. Pure.

    A device sends the same path and format time after time; only header, token and payload differ.
    Options end at the first payload marker that is not inside one, and no option of what is
    remembered holds that byte, so equal bytes before the first marker are equal options. Requests
    in blocks, with a size, or with a wish for silence are not remembered.

    Args:
        most: Kinds of request to remember; at the limit all are forgotten and learned again.
    """

    def __init__(self, most: int = PLAIN) -> None:
        self._most = most
        self._known: dict[bytes, Request] = {}

    def __len__(self) -> int:
        """Kinds of request that are remembered."""
        return len(self._known)

    def find(self, data: bytes) -> tuple[Request, bytes] | None:
        """Return what a datagram asks for and its payload; None: read it the long way."""
        # version 1, CON or NON, and a token of fewer than 8 bytes
        if len(data) < 6 or data[0] & 0xE8 != 0x40 or data[1] not in _TAKEN:
            return None
        start = 4 + (data[0] & 15)
        end = data.find(255, start)
        request = self._known.get(data[start:end]) if end > 0 else None
        if request is None or end + 1 == len(data):
            return None
        return request, data[end + 1 :]

    def learn(self, data: bytes, request: Request, payload: bytes) -> None:
        """Remember what a datagram asks for, which was read the long way and had this payload."""
        if not payload or request != Request(request.path, request.content_format):
            return
        options = data[4 + (data[0] & 15) : len(data) - len(payload) - 1]
        if 255 in options:
            return
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[options] = request


def read_request(message: Message) -> Request:
    """Return what a PUT or POST asks for.

    Queries are left out: what a device says belongs into the payload.

    Raises:
        Declined: With the answer to give.
    """
    if message.code not in _TAKEN:
        raise Declined(coap.NOT_ALLOWED)
    segments: list[bytes] = []
    content_format: int | None = None
    block: Block | None = None
    size: int | None = None
    silence, tag = 0, b""
    for number, value in message.options:
        if number == coap.URI_PATH:
            segments.append(value)
        elif number == coap.CONTENT_FORMAT:
            content_format = int.from_bytes(value, "big") if len(value) <= 2 else None
        elif number == coap.BLOCK1:
            block = _block(value)
        elif number == coap.SIZE1:
            size = int.from_bytes(value, "big") if len(value) <= 4 else None
        elif number == coap.NO_RESPONSE:
            silence = value[0] if len(value) == 1 else 0
        elif number == coap.REQUEST_TAG:
            tag += len(value).to_bytes(2, "big") + value
        elif number in (coap.PROXY_URI, coap.PROXY_SCHEME):
            raise Declined(coap.NO_PROXY)
        elif number & 1 and number not in _KNOWN_CRITICAL:
            raise Declined(coap.BAD_OPTION, f"option {number}")
    return Request(_path(segments), content_format, block, size, silence, tag)


def _path(segments: list[bytes]) -> str:
    joined = b"/".join(segments)
    if len(joined) > LONGEST_PATH:
        raise Declined(coap.BAD_REQUEST, "path too long")
    if any(b"/" in each for each in segments):
        raise Declined(coap.BAD_REQUEST, "slash inside a path segment")
    try:
        return joined.decode()
    except UnicodeDecodeError:
        raise Declined(coap.BAD_OPTION, "path is not UTF-8") from None


def _block(value: bytes) -> Block:
    if len(value) > 3:
        raise Declined(coap.BAD_OPTION, "Block1")
    raw = int.from_bytes(value, "big")
    if raw & 7 == 7:
        raise Declined(coap.BAD_REQUEST, "Block1 size 7 is reserved")
    return Block(raw >> 4, bool(raw & 8), 1 << (raw & 7) + 4, value)
