"""The daily balance of an edge's books: what came, what became of it, and that all is explained.

Pure. Balances are chained by hash: each names the one before it, opens with what that one closed
with, and adds up by itself, so that whoever holds them can check them without the edge.
Described in docs/reference/formats/balance.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import msgspec

from gateway_core.errors import PayloadError
from gateway_core.spool import Books

GENESIS = "0" * 64
"""What the first balance follows."""
MOST_BYTES = 64 << 10
CONTENT_TYPE = "application/vnd.tidegate.balance+json"


class Account(msgspec.Struct, frozen=True, omit_defaults=True):
    """One consumer between two balances, in records.

    Attributes:
        opening: What it had still to settle when the balance before was closed.
        accepted: What came since.
        delivered: What its sink took since.
        quarantined: What its sink will never accept, since.
        dropped: Reason to count of what was withheld or lost since.
        closing: What it has still to settle, counted in the file.
    """

    opening: int
    accepted: int
    delivered: int
    quarantined: int
    closing: int
    dropped: dict[str, int] = {}

    @property
    def residual(self) -> int:
        """What does not add up; anything but 0 is wrong."""
        gone = self.delivered + self.quarantined + sum(self.dropped.values())
        return self.opening + self.accepted - gone - self.closing


class Balance(msgspec.Struct, frozen=True):
    """The books of one edge between two instants.

    Attributes:
        edge: Whose.
        n: From 1, without gaps.
        prev: Hash of the balance before, `GENESIS` for the first.
        epoch: Of the spool.
        since: When the one before was closed, nanoseconds since 1970.
        until: When this one was closed.
        head: Last sequence number.
        settled: Every number up to it is settled by the uplink; 0 without one.
        accepted: Source to count of records since.
        refused: Reason to count of payloads refused since.
        accounts: Consumer to its account.
        ledger: Number and hash of the egress ledger's newest entry.
    """

    edge: str
    n: int
    prev: str
    epoch: str
    since: int
    until: int
    head: int
    settled: int
    accepted: dict[str, int]
    refused: dict[str, int]
    accounts: dict[str, Account]
    ledger: str = ""


class Signed(msgspec.Struct, frozen=True):
    """A balance on its way.

    Attributes:
        balance: The JSON text that is hashed and signed.
        key: The edge's public key in PEM.
        signature: Of the text, Ed25519, hexadecimal.
    """

    balance: str
    key: str
    signature: str


class Totals(msgspec.Struct, frozen=True):
    """The counters when a balance was closed, for the next one to start from.

    Attributes:
        n: Number of that balance; 0 before the first.
        hash: Its hash.
        epoch: Of the spool then.
        at: When.
        accepted: As in `Books`.
        refused: As in `Books`.
        accounts: Consumer to its counters; ``opening`` is 0, ``closing`` what was left.
    """

    n: int
    hash: str
    epoch: str
    at: int
    accepted: dict[str, int] = {}
    refused: dict[str, int] = {}
    accounts: dict[str, Account] = {}


def totals_of(books: Books, n: int, chain: str, at: int) -> Totals:
    """Return the counters of now."""
    accounts = {
        name: Account(0, c.accepted, c.delivered, c.quarantined, c.buffered, dict(c.dropped))
        for name, c in books.consumers.items()
    }
    return Totals(n, chain, books.epoch, at, dict(books.accepted), dict(books.refused), accounts)


def balance_of(
    edge: str, books: Books, before: Totals, now: int, uplink: str, ledger: str
) -> Balance:
    """Return what happened since ``before``; a spool that was begun anew counts from nothing."""
    if before.epoch != books.epoch:
        before = Totals(before.n, before.hash, books.epoch, before.at)
    after = totals_of(books, 0, "", now)
    blank = Account(0, 0, 0, 0, 0)
    accounts: dict[str, Account] = {}
    for name, each in after.accounts.items():
        was = before.accounts.get(name, blank)
        if each.accepted < was.accepted:  # forgotten and registered again since
            was = blank
        accounts[name] = Account(
            was.closing,
            each.accepted - was.accepted,
            each.delivered - was.delivered,
            each.quarantined - was.quarantined,
            each.closing,
            grown(each.dropped, was.dropped),
        )
    held = books.consumers.get(uplink)
    return Balance(
        edge=edge,
        n=before.n + 1,
        prev=before.hash,
        epoch=books.epoch,
        since=before.at,
        until=now,
        head=books.head,
        settled=held.settled if held is not None else 0,
        accepted=grown(after.accepted, before.accepted),
        refused=grown(after.refused, before.refused),
        accounts=accounts,
        ledger=ledger,
    )


def grown(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """Return by how much each count grew, without those that did not."""
    found = {name: n - before.get(name, 0) for name, n in now.items()}
    return {name: n for name, n in found.items() if n}


def faults_of(balance: Balance) -> list[str]:
    """Return what does not add up in a balance itself; none if all is well."""
    faults = [
        f"{name}: {each.residual} records are not accounted for"
        for name, each in sorted(balance.accounts.items())
        if each.residual
    ]
    counts = [*balance.accepted.values(), *balance.refused.values()]
    for each in balance.accounts.values():
        counts += [each.opening, each.accepted, each.delivered, each.quarantined, each.closing]
        counts += each.dropped.values()
    if any(count < 0 for count in counts) or balance.until < balance.since:
        faults.append("a count or the time runs backwards")
    return faults


def chain_of(text: str) -> str:
    """Return the hash that the next balance names."""
    return sha256(text.encode()).hexdigest()


def decode_balance(text: str | bytes) -> Balance:
    """Read a balance.

    Raises:
        PayloadError: ``bad_balance``.
    """
    try:
        return msgspec.json.decode(text, type=Balance)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise PayloadError("bad_balance", str(exc)) from exc
