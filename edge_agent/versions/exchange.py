"""The exchange with the collector beside the records: plan and bundles in, reports and more out.

What leaves is entered: it leaves only after its entry in the egress ledger is on disk.
"""

from __future__ import annotations

from hashlib import sha256

from device_profiles.plan import (
    EDGE_HEADER,
    REPORT_TYPE,
    Report,
    encode_report,
)
from edge_agent.ledger import Departure, Ledger
from gateway_core.balance import CONTENT_TYPE as BALANCE_TYPE
from gateway_core.errors import GatewayError, Unavailable
from gateway_core.link import Answer, Link

PLAN = "/v1/profiles/plan"
BUNDLES = "/v1/profiles/bundles/"
REPORTS = "/v1/profiles/reports"
BALANCES = "/v1/balances"
_STORED = frozenset({200, 202, 204})


class Unwanted(GatewayError):
    """The collector will never take this report."""


class Exchange:
    """Asks and tells the registry of one collector.

    Args:
        edge: This edge's id.
        link: To the collector's intake.
        ledger: Where what leaves is entered.
    """

    def __init__(self, edge: str, link: Link, ledger: Ledger) -> None:
        self._edge = edge
        self._link = link
        self._ledger = ledger
        self._etag = ""

    async def plan(self) -> bytes | None:
        """Return the plan as it was signed; None when it is the one that `took` saw.

        Raises:
            Unavailable: The collector does not answer, or has none for this edge.
        """
        headers = {EDGE_HEADER: self._edge}
        if self._etag:
            headers["If-None-Match"] = self._etag
        answer = await self._link.ask("GET", PLAN, headers)
        if answer.status == 304:
            return None
        if answer.status != 200:
            raise Unavailable(_complaint("plan", answer))
        self._offered = answer.etag
        return answer.body

    def took(self) -> None:
        """Do not send the last plan again: it was followed."""
        self._etag = self._offered

    async def bundle(self, digest: str) -> bytes:
        """Return a bundle's bytes, unchecked.

        Raises:
            Unavailable: The collector does not answer, or does not give it.
        """
        answer = await self._link.ask("GET", BUNDLES + digest, {EDGE_HEADER: self._edge})
        if answer.status != 200:
            raise Unavailable(_complaint(f"bundle {digest[:16]}", answer))
        return answer.body

    async def report(self, report: Report) -> None:
        """Enter a report in the ledger and send it.

        Raises:
            Unavailable: It is not known to have come; send the same again.
            Unwanted: The collector refuses it.
        """
        answer = await self._send(REPORTS, REPORT_TYPE, encode_report(report), "ProfileReport")
        if answer.status in {400, 413, 422}:
            raise Unwanted(_complaint("report", answer))
        if answer.status not in _STORED:
            raise Unavailable(_complaint("report", answer))

    async def balance(self, body: bytes) -> None:
        """Enter a signed balance in the ledger and send it.

        Raises:
            Unavailable: It is not known to have come, or not taken; send the same again.
        """
        answer = await self._send(BALANCES, BALANCE_TYPE, body, "Balance")
        if answer.status not in _STORED:
            raise Unavailable(_complaint("balance", answer))

    @property
    def ledger_head(self) -> str:
        """Number and hash of the egress ledger's newest entry."""
        return str(self._ledger.durable)

    async def _send(self, path: str, kind: str, body: bytes, record: str) -> Answer:
        number = await self._ledger.enter(
            Departure(
                to=self._link.at(path),
                epoch="",
                first=0,
                last=0,
                bytes=len(body),
                sha256=sha256(body).hexdigest(),
                records={record: 1},
            )
        )
        headers = {EDGE_HEADER: self._edge, "Content-Type": kind}
        try:
            answer = await self._link.ask("POST", path, headers, body)
        except Unavailable as exc:
            await self._ledger.mark(number, "unavailable", str(exc))
            raise
        outcome = "accepted" if answer.status in _STORED else "refused"
        await self._ledger.mark(number, outcome, str(answer.status))
        return answer


def _complaint(what: str, answer: Answer) -> str:
    detail = answer.body[:200].decode("utf-8", "replace")
    return f"the collector: {what}: status {answer.status} {detail}"
