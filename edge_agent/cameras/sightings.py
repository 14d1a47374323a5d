"""The devices that answered a search; no answer, however large or often, takes others' room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from edge_agent.cameras.address import normal_host
from edge_agent.cameras.ws_discovery import Match, read_announcement
from gateway_core.errors import PayloadError

MAX_DEVICES = 20_000
MAX_OF_ONE_HOST = 16
"""Devices that one address may stand for: a translating router, a machine of simulated cameras."""
MAX_DATAGRAMS_OF_ONE_HOST = 64
"""Read of one address: a device answers two probes, each sent three times, on a few interfaces."""
MAX_HOSTS = 100_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """One device that answered.

    Attributes:
        host: The address that the answer came from.
        match: What it says of itself; types, scopes and addresses of all its answers.
        interface: Where it was seen; empty when it was asked by its address.
    """

    host: str
    match: Match
    interface: str = ""


class Sightings:
    """Takes datagrams in, and keeps what they say.

    Args:
        asked: UUIDs of the probes.
        answerable: Whether a host was asked at all.
    """

    def __init__(
        self, asked: Collection[str], answerable: Callable[[str], bool] = lambda _: True
    ) -> None:
        self.ignored: Counter[str] = Counter()
        self._asked = asked
        self._keys = [key.encode() for key in asked]
        self._answerable = answerable
        self._seen: dict[tuple[str, str], Sighting] = {}
        self._datagrams: Counter[str] = Counter()
        self._devices: Counter[str] = Counter()

    def take(self, data: bytes, source: str, interface: str = "") -> None:
        """Take one datagram in; what is of no use is counted in ``ignored`` by reason.

        Args:
            data: As it came.
            source: The address that it came from.
            interface: Where it came in, or nothing.
        """
        try:
            host = normal_host(source)
            if not self._answerable(host):
                raise PayloadError("elsewhere")  # noqa: TRY301  # one place that counts
            lowered = data.lower()
            if not any(key in lowered for key in self._keys):
                raise PayloadError("unasked")  # noqa: TRY301  # before it costs anything
            self._admit(host)
            for match in read_announcement(data, self._asked).matches:
                self._keep(host, match, interface)
        except PayloadError as exc:
            self.ignored[exc.code] += 1
        except ValueError:
            self.ignored["elsewhere"] += 1

    def all(self) -> list[Sighting]:
        """Return every device, in the order in which they were first seen."""
        return list(self._seen.values())

    def _admit(self, host: str) -> None:
        if host not in self._datagrams and len(self._datagrams) >= MAX_HOSTS:
            raise PayloadError("too_many")
        self._datagrams[host] += 1
        if self._datagrams[host] > MAX_DATAGRAMS_OF_ONE_HOST:
            raise PayloadError("too_many_of_one_host")

    def _keep(self, host: str, match: Match, interface: str) -> None:
        if not match.is_onvif:
            raise PayloadError("not_onvif")
        key = (host, match.endpoint)
        before = self._seen.get(key)
        if before is not None:
            match = replace(
                match,
                types=_both(before.match.types, match.types),
                scopes=_both(before.match.scopes, match.scopes),
                addresses=_both(before.match.addresses, match.addresses),
            )
            self._seen[key] = replace(before, match=match)
            return
        if self._devices[host] >= MAX_OF_ONE_HOST:
            raise PayloadError("too_many_of_one_host")
        if len(self._seen) >= MAX_DEVICES:
            raise PayloadError("too_many")
        self._devices[host] += 1
        self._seen[key] = Sighting(host, match, interface)


def _both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Return the texts of both, each once; no more of them than one answer may have."""
    return tuple(dict.fromkeys((*one, *other)))[:64]
