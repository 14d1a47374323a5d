"""RTSP 1.0 requests and answers (RFC 2326). Sans I/O: bytes in, answers out, everything capped."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway_core.errors import PayloadError

MAX_HEAD = 64 * 1024
"""Longest status line and headers together, in bytes."""
MAX_BODY = 64 * 1024
"""Longest body, in bytes; a session description is one or two kilobytes."""
MAX_SKIPPED = 1024 * 1024
"""How many bytes of interleaved media and of the device's own requests are passed over."""

_STATUS = re.compile(rb"RTSP/[0-9]\.[0-9] +([0-9]{3})(?: ([^\r\n]*))?")
_REQUEST = re.compile(rb"[A-Z_]{3,20} [^\r\n]* RTSP/[0-9]\.[0-9]")
_START = re.compile(rb"[A-Z_$]")
_HEAD_END = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Answer:
    """One RTSP response.

    Attributes:
        status: 100-999.
        reason: As sent; may be empty.
        headers: Names in lower case, values stripped, latin-1; in the order sent.
        body: At most `MAX_BODY` bytes.
    """

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first value of a header, its name in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    def every(self, name: str) -> list[str]:
        """Return all values of a header, its name in lower case."""
        return [value for key, value in self.headers if key == name]


def encode_request(
    method: str, url: str, cseq: int, headers: Sequence[tuple[str, str]] = ()
) -> bytes:
    """Return a request without a body.

    Args:
        method: For example ``OPTIONS``.
        url: ASCII, without userinfo.
        cseq: Sequence number.
        headers: More headers, encoded as latin-1.
    """
    lines = [f"{method} {url} RTSP/1.0", f"CSeq: {cseq}", "User-Agent: tidegate"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class AnswerReader:
    """Collects bytes and gives out whole answers; the device's requests are skipped.

    Attributes:
        media: Is given each interleaved packet with its channel; without it they are skipped too.
    """

    def __init__(self) -> None:
        self.media: Callable[[int, bytes], None] | None = None
        self._buffer = bytearray()
        self._skipped = 0
        self._searched = 0
        self._needed = 0

    def feed(self, data: bytes) -> list[Answer]:
        """Take what arrived and return the answers that are complete now.

        Raises:
            PayloadError: ``not_rtsp``, ``too_large`` or ``bad_length``; the connection is of no
                more use.
        """
        self._buffer += data
        answers: list[Answer] = []
        # What came in drops is not read anew with each drop.
        while len(self._buffer) > self._needed:
            length, answer = self._next()
            if not length:
                break
            channel = self._buffer[1] if self._buffer[0] == 0x24 else None
            media = bytes(self._buffer[4:length]) if channel is not None and self.media else b""
            del self._buffer[:length]
            self._searched = self._needed = 0
            if answer is not None:
                answers.append(answer)
            elif channel is not None and self.media is not None:
                self.media(channel, media)
            else:
                self._skipped += length
                if self._skipped > MAX_SKIPPED:
                    raise PayloadError("too_large", f"over {MAX_SKIPPED} bytes without an answer")
        return answers

    def _next(self) -> tuple[int, Answer | None]:
        """Return the length of the first whole message, 0 while it is not whole, and the answer."""
        buffer = self._buffer
        if buffer[0] == 0x24:  # "$", channel, 16-bit length (RFC 2326 section 10.12)
            length = 4 + int.from_bytes(buffer[2:4], "big") if len(buffer) >= 4 else 0
            return (length, None) if 0 < length <= len(buffer) else (0, None)
        if buffer[0] in b"\r\n":
            return len(buffer) - len(buffer.lstrip(b"\r\n")), None
        if not _START.match(buffer):
            raise PayloadError("not_rtsp", "the first byte is not of a status line")
        if len(buffer) >= 5 and not buffer.startswith(b"RTSP/") and b"\n" in buffer[:MAX_HEAD]:
            line = bytes(buffer[: buffer.index(b"\n")])
            if not _REQUEST.match(line):
                raise PayloadError("not_rtsp", "expected a status line RTSP/1.0 ...")
        end = _HEAD_END.search(buffer, self._searched, MAX_HEAD)
        if end is None:
            self._searched = max(0, len(buffer) - 3)
            if len(buffer) >= MAX_HEAD:
                raise PayloadError("too_large", f"headers longer than {MAX_HEAD} bytes")
            return 0, None
        return self._message(bytes(buffer[: end.start()]), end.end())

    def _message(self, head: bytes, head_length: int) -> tuple[int, Answer | None]:
        first, _, rest = head.partition(b"\n")
        status = _STATUS.match(first)
        if status is None and not _REQUEST.match(first):
            raise PayloadError("not_rtsp", "expected a status line RTSP/1.0 ...")
        headers = _read_headers(rest)
        length = head_length + _content_length(headers)
        if len(self._buffer) < length:
            self._needed = length - 1
            return 0, None
        if status is None:
            return length, None
        return length, Answer(
            status=int(status[1]),
            reason=(status[2] or b"").decode("latin-1").strip(),
            headers=headers,
            body=bytes(self._buffer[head_length:length]),
        )


def _read_headers(block: bytes) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    for line in block.decode("latin-1").split("\n"):
        if line[:1] in {" ", "\t"} and headers:  # a folded line goes on with the one before
            name, value = headers[-1]
            headers[-1] = (name, f"{value} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        if colon:
            headers.append((name.strip().lower(), value.strip()))
    return tuple(headers)


def _content_length(headers: tuple[tuple[str, str], ...]) -> int:
    text = next((value for name, value in headers if name == "content-length"), "0")
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise PayloadError("bad_length", "Content-Length is not a number")
    length = int(text)
    if length > MAX_BODY:
        raise PayloadError("too_large", f"a body of {length} bytes; at most {MAX_BODY}")
    return length
