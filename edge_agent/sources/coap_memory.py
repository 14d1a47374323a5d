"""What the CoAP server remembers of its peers, each within a limit. Pure.

Requests already answered (RFC 7252 section 4.2 and 4.5), payloads that come in blocks (RFC 7959)
and how much each address sends. A datagram's sender can be forged, so none of this may grow with
the number of senders.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.sources import coap_message as coap
from edge_agent.sources.coap_message import uint
from edge_agent.sources.coap_request import Block, Declined

EXCHANGE_LIFETIME_S = 247.0
EXCHANGES = 131_072
ASSEMBLIES, ASSEMBLIES_A_PEER, ASSEMBLY_IDLE_S = 256, 4, 60.0
BUCKETS = 16_384


class Fate:
    """What became of the plain requests of one commit.

    Attributes:
        stored: Whether they are on disk: each is answered 2.04, which its own bytes say.
    """

    __slots__ = ("stored",)

    def __init__(self) -> None:
        self.stored = False


class Answered:
    """Answers to recent requests, so that a request that came twice is stored once.

    The key is a hash of sender and whole datagram: a retransmission is equal to the byte, while a
    device that starts again with the same message id says something else. Answers live for one to
    two lifetimes; with more than ``most`` of them in that time the older half goes early.

    Args:
        most: Answers to hold; those of one wake-up more, at times.
        lifetime_s: Seconds during which a sender may repeat itself.
    """

    def __init__(self, most: int = EXCHANGES, lifetime_s: float = EXCHANGE_LIFETIME_S) -> None:
        self._most = most
        self._lifetime_s = lifetime_s
        self._young: dict[int, bytes | Fate] = {}
        self._old: dict[int, bytes | Fate] = {}
        self._turned = float("-inf")

    def __len__(self) -> int:
        """Answers held."""
        return len(self._young) + len(self._old)

    def find(self, key: int) -> bytes | Fate | None:
        """Return the answer so far (empty while there is none), or None for a new request."""
        found = self._young.get(key)
        return found if found is not None else self._old.get(key)

    def keep(self, key: int, answer: bytes, now: float) -> None:
        """Remember the answer so far; empty while there is none.

        Args:
            key: Of the request.
            answer: The datagram to send again.
            now: Seconds on a clock that never jumps.
        """
        self.age(now)
        self._young[key] = answer

    def enter(self, key: int, fate: Fate) -> bool:
        """Remember a plain request that a commit will store; False when it is not new."""
        young = self._young
        if key in young or key in self._old:
            return False
        young[key] = fate
        return True

    def age(self, now: float) -> None:
        """Let go of what is old, if it is time; to be called before `enter`."""
        if now - self._turned >= self._lifetime_s or 2 * len(self._young) >= self._most:
            self._old, self._young, self._turned = self._young, {}, now

    def forget(self, key: int) -> None:
        """Treat the request as new when it comes again."""
        self._young.pop(key, None)
        self._old.pop(key, None)


@dataclass(slots=True)
class _Assembly:
    payload: bytearray
    peer: str
    touched: float


class Assemblies:
    """Payloads that come in blocks, until the last block.

    Args:
        max_payload: Longest payload in bytes.
        most: Unfinished payloads in all.
        most_a_peer: Unfinished payloads of one address.
    """

    def __init__(
        self, max_payload: int, most: int = ASSEMBLIES, most_a_peer: int = ASSEMBLIES_A_PEER
    ) -> None:
        self._max_payload = max_payload
        self._most = most
        self._most_a_peer = most_a_peer
        self._open: dict[object, _Assembly] = {}

    def __len__(self) -> int:
        """Unfinished payloads."""
        return len(self._open)

    def take(
        self, key: object, peer: str, block: Block, payload: bytes, now: float
    ) -> bytes | None:
        """Add a block; return the whole payload with the last one, None before.

        Args:
            key: What tells this transfer from others: endpoint, method, path, tag.
            peer: The sender's address.
            block: Which block it is.
            payload: Its bytes.
            now: Seconds on a clock that never jumps.

        Raises:
            TooLarge: 4.13, with what came so far.
            Declined: 4.08 for a block that does not follow, 4.00 for a block of the wrong length,
                5.03 when too many payloads are unfinished.
        """
        self._expire(now)
        if block.more and len(payload) != block.size:
            raise Declined(coap.BAD_REQUEST, "block of the wrong length")
        if block.number == 0:
            self._open.pop(key, None)
            if not block.more:
                return payload
            self._admit(peer)
            self._open[key] = _Assembly(bytearray(), peer, now)
        found = self._open.get(key)
        if found is None or len(found.payload) != block.number * block.size:
            self._open.pop(key, None)
            raise Declined(coap.INCOMPLETE)
        if len(found.payload) + len(payload) > self._max_payload:
            del self._open[key]
            raise TooLarge(self._max_payload, bytes(found.payload + payload))
        found.payload += payload
        found.touched = now
        if block.more:
            return None
        del self._open[key]
        return bytes(found.payload)

    def _admit(self, peer: str) -> None:
        theirs = sum(each.peer == peer for each in self._open.values())
        if len(self._open) >= self._most or theirs >= self._most_a_peer:
            raise Declined(coap.UNAVAILABLE, "", ((coap.MAX_AGE, uint(round(ASSEMBLY_IDLE_S))),))

    def _expire(self, now: float) -> None:
        stale = [k for k, each in self._open.items() if now - each.touched > ASSEMBLY_IDLE_S]
        for key in stale:
            del self._open[key]


class TooLarge(Declined):
    """4.13, with the size that would do; a refusal is kept of it.

    Args:
        max_payload: That size in bytes.
        payload: What came so far.
    """

    def __init__(self, max_payload: int, payload: bytes) -> None:
        super().__init__(coap.TOO_LARGE, "", ((coap.SIZE1, uint(max_payload)),))
        self.payload = payload


class Rates:
    """How much each address may send: a bucket of two seconds' worth for each.

    Args:
        rate: Datagrams a second.
        most: Addresses to watch; the one seen first goes first, with a full bucket.
    """

    def __init__(self, rate: float, most: int = BUCKETS) -> None:
        self._rate = rate
        self._burst = 2.0 * rate
        self._most = most
        self._buckets: dict[str, list[float]] = {}  # what is left, and when that was

    def __len__(self) -> int:
        """Addresses watched."""
        return len(self._buckets)

    def allows(self, peer: str, now: float) -> bool:
        """Take one datagram of ``peer`` out of its bucket; False when it is empty."""
        found = self._buckets.get(peer)
        if found is None:
            if len(self._buckets) >= self._most:
                del self._buckets[next(iter(self._buckets))]
            found = self._buckets[peer] = [self._burst, now]
        elif found[1] != now:
            found[0] = min(self._burst, found[0] + (now - found[1]) * self._rate)
            found[1] = now
        if found[0] < 1.0:
            return False
        found[0] -= 1.0
        return True
