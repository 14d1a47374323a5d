"""A TCP proxy that can refuse, and that keeps every byte that crossed it, and when."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass
class Stream:
    """What one side said on one connection, and when the last of it came (monotonic)."""

    data: bytearray = field(default_factory=bytearray)
    ends: list[tuple[int, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Request:
    """One HTTP request with a body; `at` is when its last byte crossed (monotonic)."""

    head: bytes
    body: bytes
    at: float


class Proxy:
    """Between an edge and its collector; a context manager. Closed at first."""

    def __init__(self, port: int, to: int, host: str = "127.0.0.1") -> None:
        self.port = port
        self._to = (host, to)
        self._host = host
        self._listener: socket.socket | None = None
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self.sent: list[Stream] = []
        self.answered: list[Stream] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.cut()

    def restore(self) -> None:
        """Let connections through from now on."""
        listener = socket.create_server((self._host, self.port), reuse_port=False)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        listener, self._listener = self._listener, None
        with self._lock:
            ending, self._sockets = self._sockets, []
        for each in [*([listener] if listener else []), *ending]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    @property
    def crossed(self) -> bytes:
        """Everything that the edge sent, connection after connection."""
        return b"".join(bytes(each.data) for each in self.sent)

    def requests(self) -> list[Request]:
        """The requests that crossed whole, in the order in which they did."""
        found = [request for stream in self.sent for request in _requests(stream)]
        return sorted(found, key=lambda each: each.at)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._to, timeout=10)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._sockets += [near, far]
                sent, answered = Stream(), Stream()
                self.sent.append(sent)
                self.answered.append(answered)
            for pair in ((near, far, sent), (far, near, answered)):
                threading.Thread(target=_pump, args=pair, daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, stream: Stream) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            stream.data += data
            stream.ends.append((len(stream.data), time.monotonic()))
            target.sendall(data)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _requests(stream: Stream) -> list[Request]:
    found: list[Request] = []
    data, at = bytes(stream.data), 0
    while (end := data.find(b"\r\n\r\n", at)) >= 0:
        head = data[at : end + 4]
        names = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        length = {key.lower(): value for key, value in names.items()}.get(b"content-length", b"0")
        body = data[end + 4 : end + 4 + int(length)]
        if len(body) < int(length):
            break
        at = end + 4 + len(body)
        when = next(moment for size, moment in stream.ends if size >= at)
        found.append(Request(head, body, when))
    return found
