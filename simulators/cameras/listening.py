"""The fleet's sockets: one for each port, however many addresses have it, and one to keep silent.

A port that cameras at several addresses share is one socket for all of them; the address that a
peer connected to tells the camera. Only an address that must look dead gets a socket of its own:
the kernel prefers it to the shared one, and a filter on it drops whatever arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain

from simulators.cameras.camera import Device

BACKLOG = 64
SHARED_BACKLOG = 4096
_SO_ATTACH_FILTER = 26  # Linux; the socket module has no name for it
_IPV6_FREEBIND = 78  # likewise
_SOCK_FILTER = "HBBI"
_SOCK_FPROG = "HP"
_BPF_RET_K = 0x06

Find = Callable[[str], Device | None]
"""Returns the device at an address, None for an address that is no device's."""
MakeProtocol = Callable[[Find], asyncio.Protocol]


class Listening:
    """All sockets that a fleet listens on.

    Args:
        make_protocol: Makes what serves one connection.
    """

    def __init__(self, make_protocol: MakeProtocol) -> None:
        self._make = make_protocol
        self._shared: dict[int, asyncio.Server] = {}
        self._own: dict[Device, list[asyncio.Server]] = {}
        self._dead: dict[Device, list[socket.socket]] = {}
        self._by_host: dict[str, Device] = {}

    def __len__(self) -> int:
        """Return how many sockets are open."""
        alone = sum(map(len, self._own.values())) + sum(map(len, self._dead.values()))
        return len(self._shared) + alone

    async def start(self, devices: Sequence[Device]) -> None:
        """Listen for all devices; those without a port are given one.

        Raises:
            OSError: An address or a port is taken or not of this machine.
        """
        users = Counter(port for device in devices for port in device.ports())
        several = {port for port, count in users.items() if port and count > 1}
        self._by_host = {each.host: each for each in devices} if several else {}
        for port in several:
            first = ipaddress.ip_address(devices[0].host)
            everywhere = "::" if first.version == 6 else "0.0.0.0"  # noqa: S104 - strangers are cut
            sock = _bound(everywhere, port, loopback=first.is_loopback)
            # Only now: whoever else wants this port must still be told that it is taken.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._shared[port] = await self._serve(sock, self._by_host.get, SHARED_BACKLOG)
        if several and ":" not in devices[-1].host:
            _bound(devices[-1].host, 0).close()  # is told if it is no address of this machine
        for device in devices:
            await self.resume(device)

    async def resume(self, device: Device) -> None:
        """Listen for a device (again).

        Raises:
            OSError: Its address or port was taken meanwhile.
        """
        self._bury(device)
        if device.ports() and all(port in self._shared for port in device.ports()):
            return
        servers = self._own.setdefault(device, [])
        if servers:
            return
        loopback = ipaddress.ip_address(device.host).is_loopback
        for at, port in enumerate(device.ports() or (0, 0)):
            sock = _bound(device.host, port, loopback=loopback)
            chosen = sock.getsockname()[1]
            if not port:
                device.rtsp_port, device.onvif_port = (
                    (chosen, 0) if at == 0 else (device.rtsp_port, chosen)
                )
            servers.append(await self._serve(sock, lambda _: device, BACKLOG))

    def refuse(self, device: Device) -> None:
        """Take no more connections of a device; where it shares a socket, they are cut at once."""
        self._bury(device)
        for server in self._own.pop(device, ()):
            server.close()

    def drop(self, device: Device) -> None:
        """Let attempts to connect to a device go unanswered, as at an address without power.

        Raises:
            OSError: The system allows no more sockets.
        """
        self.refuse(device)
        loopback = ipaddress.ip_address(device.host).is_loopback
        sockets = self._dead.setdefault(device, [])
        for port in device.ports():
            sock = _bound(device.host, port, loopback=loopback, share=True)
            sockets.append(sock)
            _drop_all(sock)
            sock.listen(1)

    def close(self) -> None:
        """Close every socket."""
        for server in chain(self._shared.values(), *self._own.values()):
            server.close()
        for sock in chain.from_iterable(self._dead.values()):
            sock.close()
        self._shared.clear()
        self._own.clear()
        self._dead.clear()

    def _bury(self, device: Device) -> None:
        for sock in self._dead.pop(device, ()):
            sock.close()

    async def _serve(self, sock: socket.socket, find: Find, backlog: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(lambda: self._make(find), sock=sock, backlog=backlog)
        except OSError:  # another one listens there; both may be bound
            sock.close()
            raise


def _bound(host: str, port: int, *, loopback: bool = False, share: bool = False) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sock.family == socket.AF_INET6:
            # An address that only a route makes this machine's is no obstacle to others than bind.
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if loopback:
            # Nobody from outside gets in, also where the socket stands for every address. An old
            # kernel keeps this for root; there a stranger is hung up on.
            with contextlib.suppress(PermissionError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _drop_all(sock: socket.socket) -> None:
    """Attach a packet filter of one instruction, "keep 0 bytes"."""
    program = ctypes.create_string_buffer(struct.pack(_SOCK_FILTER, _BPF_RET_K, 0, 0, 0))
    told = struct.pack(_SOCK_FPROG, 1, ctypes.addressof(program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, told)
