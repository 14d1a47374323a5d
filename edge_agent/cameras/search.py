"""Searching for devices: multicast on chosen interfaces, and listed subnets address by address.

Nothing but probes is sent, to nobody but who is listed, no faster than was said; nothing is ever
connected to.
"""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from edge_agent.cameras.sightings import Sighting, Sightings
from edge_agent.cameras.ws_discovery import GROUPS, MAX_DATAGRAM, PORT, probes
from gateway_core.clock import monotonic

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MAX_ADDRESSES = 65_536
"""Asked in one search, all subnets together: a /16, or a /112."""
ROUNDS = 3
"""Answers of many devices at once are lost at random; what one round misses the next finds."""
_BETWEEN_S = 0.4
_BATCH_S = 0.02
_AT_ONCE = 64
_BUFFER = 4 * 1024 * 1024
_SIOCGIFFLAGS = 0x8913
_UP, _LOOPBACK, _MULTICAST = 0x1, 0x8, 0x1000


@dataclass(frozen=True, slots=True)
class Ask:
    """What to search.

    Attributes:
        interfaces: Where to ask everybody.
        networks: Whose addresses to ask one by one, from `parse_networks`.
        rate: Addresses asked a second.
        wait_s: How long to listen after the last probe.
        port: Where devices listen.
    """

    interfaces: Sequence[str] = ()
    networks: Sequence[Network] = ()
    rate: float = 500.0
    wait_s: float = 3.0
    port: int = PORT


@dataclass(frozen=True, slots=True)
class Findings:
    """What a search found.

    Attributes:
        sightings: Each device at each address once.
        ignored: Datagrams that were of no use, by reason.
        sent: Probes.
        unsent: Probes that the system would not send, by its reason.
    """

    sightings: Sequence[Sighting] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    sent: int = 0
    unsent: Mapping[str, int] = field(default_factory=dict)


def multicast_interfaces() -> list[str]:
    """Return the interfaces that are up and know multicast, loopback left out."""
    names = [name for _, name in socket.if_nameindex()]
    wanted = _UP | _MULTICAST
    return [name for name in names if _flags(name) & (wanted | _LOOPBACK) == wanted]


def parse_networks(texts: Sequence[str]) -> list[Network]:
    """Read subnets or single addresses.

    Raises:
        ValueError: One is neither, or together they have more than `MAX_ADDRESSES`.
    """
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as exc:
            raise ValueError(f"{text[:80]!r}: {exc}; expected 10.1.2.0/24 or one address") from exc
    if sum(network.num_addresses for network in networks) > MAX_ADDRESSES:
        raise ValueError(f"more than {MAX_ADDRESSES} addresses; search them in parts")
    return networks


def hosts_of(networks: Sequence[Network]) -> Iterator[str]:
    """Yield the addresses of networks that can be a device's, each once."""
    return map(str, dict.fromkeys(host for network in networks for host in network.hosts()))


async def addresses_of(names: Collection[str], within_s: float) -> dict[str, set[str]]:
    """Return the addresses of host names; a name without an answer in time is left out."""
    found: dict[str, set[str]] = {}
    loop, room = asyncio.get_running_loop(), asyncio.Semaphore(_AT_ONCE)

    async def look_up(name: str) -> None:
        async with room:
            with suppress(OSError, UnicodeError):
                answers = await loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
                found[name] = {str(place[0]) for *_, place in answers}

    with suppress(TimeoutError):
        async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(look_up(name))
    return found


async def search(ask: Ask, progress: Callable[[int], None] | None = None) -> Findings:
    """Search, and return when the last answer can be expected to be there.

    Args:
        ask: What to search.
        progress: Told how many addresses were asked.

    Raises:
        OSError: The system gives no socket for the subnets.
    """
    asked = probes()
    by_name = bool(ask.interfaces)
    sightings = Sightings(asked, lambda host: by_name or _within(host, ask.networks))
    sender = _Sender(list(asked.values()))
    with ExitStack() as stack:
        groups: list[tuple[socket.socket, tuple[str | int, ...]]] = []
        for name in ask.interfaces:
            for version, group in GROUPS.items():
                with sender.counting():
                    sock = _open(stack, version, sightings, name)
                    scope = (0, socket.if_nametoindex(name)) if version == 6 else ()
                    groups.append((sock, (group, ask.port, *scope)))
        direct: dict[int, socket.socket] = {
            version: _open(stack, version, sightings)
            for version in sorted({network.version for network in ask.networks})
        }
        for turn in range(ROUNDS if groups else 0):
            if turn:
                await asyncio.sleep(_BETWEEN_S)
            for sock, place in groups:
                sender.send(sock, place)
        await _one_by_one(ask, direct, sender, progress)
        await asyncio.sleep(ask.wait_s)
    return Findings(sightings.all(), sightings.ignored, sender.sent, sender.unsent)


async def _one_by_one(
    ask: Ask,
    direct: Mapping[int, socket.socket],
    sender: _Sender,
    progress: Callable[[int], None] | None,
) -> None:
    """Ask each address twice, the second time when all were asked once."""
    began, number = monotonic(), 0
    for _ in range(2):
        for host in hosts_of(ask.networks):
            ahead_s = number / ask.rate - (monotonic() - began)
            if ahead_s > _BATCH_S or number % _AT_ONCE == 0:
                await asyncio.sleep(max(0.0, ahead_s))
            number += 1
            sender.send(direct[6 if ":" in host else 4], (host, ask.port))
            if progress is not None:
                progress(number)


class _Sender:
    def __init__(self, messages: Sequence[bytes]) -> None:
        self.sent = 0
        self.unsent: Counter[str] = Counter()
        self._messages = messages

    def send(self, sock: socket.socket, place: tuple[str | int, ...]) -> None:
        """Send every probe to one place; what the system says against it is counted."""
        for message in self._messages:
            with self.counting():
                sock.sendto(message, place)
                self.sent += 1

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what the system says, instead of raising it."""
        try:
            yield
        except OSError as exc:
            self.unsent[exc.strerror or str(exc)] += 1


def _open(
    stack: ExitStack, version: int, sightings: Sightings, interface: str = ""
) -> socket.socket:
    """Return a socket whose answers are read until the stack is closed."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    sock = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    if interface:
        index = socket.if_nametoindex(interface)
        if version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
        else:
            chosen = struct.pack("4s4si", bytes(4), bytes(4), index)  # struct ip_mreqn
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, chosen)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
    sock.bind(("::" if version == 6 else "0.0.0.0", 0))  # noqa: S104  # answers come to any

    def read() -> None:
        with suppress(OSError):  # nothing left, or nobody listens there: no answer, as silence is
            for _ in range(_AT_ONCE):
                data, source = sock.recvfrom(MAX_DATAGRAM + 1)
                host = source[0]
                if version == 6 and source[3]:  # a link-local address means something on one link
                    host = f"{host}%{socket.if_indextoname(source[3])}"
                sightings.take(data, host, interface)

    loop = asyncio.get_running_loop()
    loop.add_reader(sock, read)
    stack.callback(loop.remove_reader, sock)
    return sock


def _flags(name: str) -> int:
    """Return an interface's flags; /sys would tell those of another network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, suppress(OSError):
        answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, struct.pack("16sH14x", name.encode(), 0))
        return int(struct.unpack_from("H", answer, 16)[0])
    return 0


def _within(host: str, networks: Sequence[Network]) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    return any(address in network for network in networks if network.version == address.version)
