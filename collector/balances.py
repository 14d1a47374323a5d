"""The balances that edges send: checked by themselves, against each other and against what came.

Every one that its edge signed is kept with what is wrong with it. The first key that an edge uses
is the one that counts; what another key signed is refused, until a person trusts another one.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import structlog

from collector.edge_alarm import edge_alarm
from collector.reception import Reception
from collector.refused import Refused
from device_profiles.signing import read_public
from gateway_core.balance import (
    GENESIS,
    Balance,
    Signed,
    chain_of,
    decode_balance,
    faults_of,
)
from gateway_core.clock import NS
from gateway_core.errors import PayloadError
from gateway_core.meter import Sample
from gateway_core.stored import read

log = structlog.get_logger()

STATE = "balance/"
TRUSTING = "balance-trusting/"
"""Of edges whose next balance may be signed by another key."""
FORMER = "balance-former/"
"""Of balances that another key signed, which was replaced since."""
KEPT = 400
_ADVICE = "if its key was replaced there: tidegate collector edges trust {}"
DUE_NS = 26 * 3600 * NS
"""After so long without a balance one is missing: a day, and time to send it."""


class Kept(msgspec.Struct, frozen=True):
    """A balance as it came.

    Attributes:
        signed: The balance with key and signature.
        received: When, nanoseconds since 1970.
        faults: What is wrong with it; empty when all is well.
    """

    signed: Signed
    received: int
    faults: list[str]

    @property
    def balance(self) -> Balance:
        """What was signed."""
        return decode_balance(self.signed.balance)


class Balances:
    """The balances of every edge.

    Args:
        reception: Knows what came from each edge; its spool keeps them.
    """

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._spool, self._clock = reception.spool, reception.clock
        self._last: dict[str, Kept] = {}
        self._trusting: set[str] = set()

    async def load(self) -> None:
        """Take up the newest balance of each edge, by when it came."""
        found = await self._spool.state(TRUSTING)
        self._trusting = {name.removeprefix(TRUSTING) for name in found}
        for name, data in sorted((await self._spool.state(STATE)).items()):
            kept = read(name, data, _kept)
            edge = name.split("/")[1]
            before = self._last.get(edge)
            if kept is not None and (before is None or before.received <= kept.received):
                self._last[edge] = kept

    async def take(self, edge: str, body: bytes) -> None:
        """Keep a balance; one that is here already changes nothing.

        Raises:
            Refused: The edge did not sign it.
            Unavailable: The disk failed.
        """
        signed, balance = _opened(edge, body)
        last = self._last.get(edge)
        another = last is not None and last.signed.key != signed.key
        if another and edge not in self._trusting:
            detail = f"another key signed this edge's balances before: {_ADVICE.format(edge)}"
            raise Refused(403, "wrong_key", detail)
        if last is not None and not another and balance.n <= last.balance.n:
            if balance.n == last.balance.n and signed.balance != last.signed.balance:
                log.error("balance_rewritten", edge=edge, n=balance.n)
                raise Refused(409, "balance_rewritten", "this number was another balance")
            return
        former: dict[str, bytes | None] = {}
        if another:
            log.warning("balance_key_changed", edge=edge, n=balance.n)
            last = None  # a chain of another key begins; what it follows cannot be proven
            former = await self._put_away(edge)
        faults = faults_of(balance) + _chained(balance, last) + self._unreceived(balance)
        kept = Kept(signed, self._clock(), faults)
        state = former | {_name(edge, balance.n): msgspec.json.encode(kept)}
        state[_name(edge, balance.n - KEPT)] = None
        state[TRUSTING + edge] = None
        now, why = kept.received, "; ".join(faults)[:200]
        alarms = [edge_alarm(edge, "balance_wrong", now, why)] if faults else []
        await self._spool.append(alarms, source="balance", state=state)
        self._last[edge] = kept
        self._trusting.discard(edge)
        if faults:
            log.error("balance_wrong", edge=edge, n=balance.n, faults=faults)

    async def trust(self, edge: str) -> bool:
        """Let the next balance of an edge bring another key; False if it never sent any.

        Raises:
            Unavailable: The disk failed.
        """
        if edge not in self._last:
            return False
        await self._spool.append([], source="balance", state={TRUSTING + edge: b"1"})
        self._trusting.add(edge)
        return True

    async def of(self, edge: str) -> list[Kept]:
        """Return the balances of an edge, oldest first."""
        kept = await self._spool.state(f"{STATE}{edge}/")
        found = (read(name, kept[name], _kept) for name in sorted(kept))
        return [each for each in found if each is not None]

    def verdicts(self) -> dict[str, str]:
        """Return edge to ``ok``, ``wrong`` or ``missing``; edges that never sent one are not in."""
        now = self._clock()
        return {
            edge: "wrong"
            if kept.faults
            else "missing"
            if now - kept.balance.until > DUE_NS
            else "ok"
            for edge, kept in self._last.items()
        }

    def samples(self) -> Iterator[Sample]:
        """Yield one metric for each edge that ever sent a balance."""
        for edge, verdict in self.verdicts().items():
            yield Sample("tidegate_edge_balance_ok", float(verdict == "ok"), {"edge": edge})

    async def _put_away(self, edge: str) -> dict[str, bytes | None]:
        """Return what moves the balances of the former key out of the new one's numbers."""
        moved: dict[str, bytes | None] = {}
        at = self._clock()
        for name, data in (await self._spool.state(f"{STATE}{edge}/")).items():
            moved[name] = None
            moved[f"{FORMER}{edge}/{at}/{name.rpartition('/')[2]}"] = data
        return moved

    def _unreceived(self, balance: Balance) -> list[str]:
        """Return what the edge says is delivered and never came."""
        known = self._reception.edges.get(balance.edge)
        book = known.epochs.get(balance.epoch) if known is not None else None
        if book is None or not balance.settled:
            return []
        gaps = book.received.missing(1, balance.settled)
        lost = [part for gap in gaps for part in book.lost.missing(*gap)]
        count = sum(last - first + 1 for first, last in lost)
        return [f"{count} numbers up to {balance.settled} never came here"] if count else []


def _kept(data: bytes) -> Kept:
    """Read what was stored, down to the balance that was signed.

    Raises:
        ValueError: It is not what was stored.
    """
    found = msgspec.json.decode(data, type=Kept)
    try:
        decode_balance(found.signed.balance)
    except PayloadError as exc:
        raise ValueError(str(exc)) from exc
    return found


def _opened(edge: str, body: bytes) -> tuple[Signed, Balance]:
    try:
        signed = msgspec.json.decode(body, type=Signed)
        balance = decode_balance(signed.balance)
        key, signature = read_public(signed.key), bytes.fromhex(signed.signature)
        key.verify("balance", signed.balance.encode(), signature)
    except (PayloadError, ValueError) as exc:  # msgspec's errors are ValueErrors
        raise Refused(422, "bad_balance", str(exc)) from exc
    if balance.edge != edge:
        raise Refused(403, "wrong_edge", f"a balance of edge {balance.edge[:64]} sent by {edge}")
    return signed, balance


def _chained(balance: Balance, last: Kept | None) -> list[str]:
    """Return what does not follow from the balance before."""
    if last is None:
        first = balance.n == 1 and balance.prev == GENESIS
        return [] if first else ["the balances before it never came here"]
    before = last.balance
    if balance.n != before.n + 1 or balance.prev != chain_of(last.signed.balance):
        return [f"it does not follow balance {before.n}"]
    faults = [] if balance.since == before.until else ["it begins when none ended"]
    if balance.epoch == before.epoch:
        faults += [
            f"{name}: opens with {each.opening}, the one before closed with {was.closing}"
            for name, each in sorted(balance.accounts.items())
            if (was := before.accounts.get(name)) is not None and was.closing != each.opening
        ]
    return faults


def _name(edge: str, n: int) -> str:
    return f"{STATE}{edge}/{n:09d}"
