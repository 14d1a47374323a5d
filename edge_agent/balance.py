"""Once a day the books are closed: a balance, signed and chained, that goes to the collector.

Invariants (tests/edge_agent/core/test_balance.py):

* a balance and the counters that the next one starts from are one transaction of the spool, so
  that a day is neither counted twice nor left out, whatever is killed when;
* it leaves only after its entry in the egress ledger, and stays until the collector has it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NoReturn

import msgspec
import structlog

from device_profiles.signing import BadKey, Signer, load_signer, make_key
from edge_agent.versions.exchange import Exchange
from gateway_core.aside import set_aside
from gateway_core.balance import (
    GENESIS,
    Signed,
    Totals,
    balance_of,
    chain_of,
    totals_of,
)
from gateway_core.clock import NS, Clock, monotonic
from gateway_core.errors import ConfigError, Unavailable
from gateway_core.spool import Spool
from gateway_core.stored import read

log = structlog.get_logger()

UPLINK = "uplink"
STATE = "balance/"
DAY_NS = 86_400 * NS
LOOK_S = 30.0
PATIENCE_S = 600.0
KEPT = 400
_LAST = STATE + "last"
_SENT = STATE + "sent"
_encode = msgspec.json.encode


class Balances:
    """Closes the books of one edge.

    Args:
        edge: Its id.
        spool: Whose books.
        key_file: The edge's Ed25519 key; made when there is none.
        exchange: To the collector; None where there is none.
        clock: The edge's clock.
    """

    def __init__(
        self,
        edge: str,
        spool: Spool,
        key_file: Path,
        exchange: Exchange | None,
        clock: Clock,
    ) -> None:
        self._edge, self._spool, self._clock = edge, spool, clock
        self._key_file, self._exchange = key_file, exchange
        self._signer: Signer | None = None

    async def run(self) -> NoReturn:
        """Close the books when a day (UTC) is over, and send what was not sent, for ever.

        Raises:
            Unavailable: The disk does not answer; run it under `supervise`.
        """
        again = 0.0
        while True:
            last = await self._last()
            if self._clock() // DAY_NS > last.at // DAY_NS:
                await self.close()
            if monotonic() >= again:
                try:
                    await self._send()
                except Unavailable as exc:  # an older collector takes none: nothing else waits
                    again = monotonic() + PATIENCE_S
                    log.warning("balance_not_sent", why=str(exc))
            await asyncio.sleep(LOOK_S)

    async def close(self) -> Signed:
        """Close the books now."""
        if self._signer is None:
            self._signer = await asyncio.to_thread(_signer, self._key_file)
        last, now = await self._last(), self._clock()
        books = await self._spool.books()
        balance = balance_of(self._edge, books, last, now, UPLINK, self.ledger_head)
        text = _encode(balance).decode()
        signature = self._signer.sign("balance", text.encode()).hex()
        signed = Signed(text, self._signer.public.pem, signature)
        state = {
            _name(balance.n): _encode(signed),
            _name(balance.n - KEPT): None,
            _LAST: _encode(totals_of(books, balance.n, chain_of(text), now)),
        }
        await self._spool.append((), source="balance", state=state)
        log.info("books_closed", n=balance.n, residual=books.residual)
        return signed

    @property
    def ledger_head(self) -> str:
        """Number and hash of the egress ledger's newest entry; empty without an uplink."""
        return "" if self._exchange is None else self._exchange.ledger_head

    async def all(self) -> list[Signed]:
        """Return the balances that are kept, oldest first."""
        kept = await self._spool.state(STATE + "n/")
        decode = msgspec.json.Decoder(Signed).decode
        found = (read(name, kept[name], decode) for name in sorted(kept))
        return [each for each in found if each is not None]

    async def _last(self) -> Totals:
        """Return the counters at the last balance; the first look begins the first one."""
        held = (await self._spool.state(_LAST)).get(_LAST)
        kept = read(_LAST, held, msgspec.json.Decoder(Totals).decode)
        if kept is not None:
            return kept
        begun = totals_of(await self._spool.books(), 0, GENESIS, self._clock())
        await self._spool.append((), source="balance", state={_LAST: _encode(begun)})
        return begun

    async def _send(self) -> None:
        """Send every balance that the collector does not have, oldest first."""
        if self._exchange is None:
            return
        sent = read(_SENT, (await self._spool.state(_SENT)).get(_SENT), int) or 0
        kept = await self._spool.state(STATE + "n/")
        for name in sorted(kept):
            n = int(name.rpartition("/")[2])
            if n > sent:
                await self._exchange.balance(kept[name])
                await self._spool.append((), source="balance", state={_SENT: str(n).encode()})


def _signer(path: Path) -> Signer:
    """Return the edge's key; a damaged one is set aside and another is made.

    Raises:
        Unavailable: It is there and cannot be read, or cannot be made.
    """
    public = path.with_name(path.name + ".pub")
    try:
        if path.is_file():
            try:
                return load_signer(path)
            except BadKey as exc:
                set_aside(path, f"{exc}; at the centre: tidegate collector edges trust EDGE")
        elif path.exists():
            set_aside(path, "something that is no file stands in its place")
        if public.exists():
            set_aside(public, f"{path.name} is gone, or was set aside")
        return make_key(path)
    except ConfigError as exc:
        raise Unavailable(str(exc)) from exc


def _name(n: int) -> str:
    return f"{STATE}n/{n:09d}"
