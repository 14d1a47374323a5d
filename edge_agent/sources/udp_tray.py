"""Datagrams side by side, so that the kernel gives or takes many in one call. Linux.

Python has no `recvmmsg` and no `sendmmsg`. They are called without letting go of the interpreter's
lock: they never wait here, and to lose it to another thread at each datagram costs more.
"""

from __future__ import annotations

import ctypes
import mmap
import socket
import struct
from array import array
from collections.abc import Sequence

AT_ONCE = 64
"""Datagrams that go into a tray."""

NAME_ROOM = 32
"""Bytes kept for a peer's address; what the kernel tells beside the datagram follows."""

_libc = ctypes.PyDLL(None)


_recvmmsg, _sendmmsg = _libc.recvmmsg, _libc.sendmmsg
_recvmmsg.argtypes = (
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_uint,
    ctypes.c_int,
    ctypes.c_void_p,
)
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)

_PIECE = struct.Struct("@PN")  # struct iovec: address, length
_HEADER = struct.Struct("@PIPNPNi0PI0P")  # struct mmsghdr: name, pieces, control, flags; length
_LENGTH_AT = struct.calcsize("@PIPNPNi0P")


class Tray:
    """Room for datagrams, and beside each for its label: the peer's address and what else is told.

    Args:
        room: Bytes for each datagram.
        name: Bytes of a peer's address.
        control: Bytes of what the kernel tells beside a datagram, or is told.
    """

    def __init__(self, room: int, name: int, control: int) -> None:
        self._room = room
        self._label = NAME_ROOM + control
        # zeros that take no memory until something is written there
        self._datagrams = mmap.mmap(-1, room * AT_ONCE)
        self._labels = mmap.mmap(-1, self._label * AT_ONCE)
        pieces = bytearray(_PIECE.size * AT_ONCE)
        headers = bytearray(_HEADER.size * AT_ONCE)
        data, label = _address(self._datagrams), _address(self._labels)
        piece = _address(pieces)
        for at in range(AT_ONCE):
            _PIECE.pack_into(pieces, at * _PIECE.size, data, room)
            told = label + NAME_ROOM
            header = (label, name, piece, 1, told, control, 0, 0)
            _HEADER.pack_into(headers, at * _HEADER.size, *header)
            data, label, piece = data + room, label + self._label, piece + _PIECE.size
        self._at = _address(headers)
        self._view = memoryview(self._datagrams)
        self._headers, self._fresh = memoryview(headers), bytes(headers)
        self._came = self._headers.cast("I")[_LENGTH_AT // 4 :: _HEADER.size // 4]
        self._lengths = memoryview(pieces).cast("L")[1::2]

    def receive(self, descriptor: int) -> tuple[list[bytes], list[bytes]]:
        """Return the datagrams that wait at a socket, as many as fit, and their labels."""
        count = _recvmmsg(descriptor, self._at, AT_ONCE, socket.MSG_DONTWAIT, None)
        if count <= 0:
            return [], []
        view, room, size, end = self._view, self._room, self._label, count * self._label
        starts = range(0, count * room, room)
        lengths = self._came[:count].tolist()
        datagrams = [
            bytes(view[at : at + length]) for at, length in zip(starts, lengths, strict=True)
        ]
        told = self._labels[:end]
        self._labels[:end] = bytes(end)
        self._headers[: count * _HEADER.size] = self._fresh[: count * _HEADER.size]
        return datagrams, [told[at : at + size] for at in range(0, end, size)]

    def send(self, descriptor: int, datagrams: Sequence[bytes], labels: Sequence[bytes]) -> int:
        """Send datagrams, each to its label; return how many of them the system took."""
        count, taken, at = len(datagrams), 0, 0
        self._labels[: count * self._label] = b"".join(labels)
        self._view[: count * self._room] = struct.pack(f"{self._room}s" * count, *datagrams)
        self._lengths[:count] = array("L", map(len, datagrams))
        while at < count:
            took = _sendmmsg(
                descriptor, self._at + at * _HEADER.size, count - at, socket.MSG_DONTWAIT
            )
            taken += max(took, 0)
            at += max(took, 1)  # past the one that it did not take
        return taken


def _address(memory: bytearray | mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
