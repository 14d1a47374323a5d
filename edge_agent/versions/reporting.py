"""Reports to the centre about versions: counts, and values only of fields that may leave raw."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from typing import Literal

import msgspec
import structlog

from device_profiles.plan import MAX_DETAIL, MAX_DIFFERENCES, Difference, Report
from edge_agent.policy import Policy
from edge_agent.versions.compare import Seen, Summary
from edge_agent.versions.exchange import Exchange, Unwanted
from gateway_core.clock import Clock

log = structlog.get_logger()

MOST_WAITING = 200
"""Reports that wait for the centre; with one more the oldest goes: they can be made again."""
Kind = Literal["applied", "failed", "running", "shadow", "backtest"]
_EXAMPLE_CHARS = 200
_OF_A_FIELD = frozenset({"lost", "added", "changed"})


class Reports:
    """What is to be told, oldest first.

    Args:
        edge: This edge's id.
        clock: For the time of a report.
    """

    def __init__(self, edge: str, clock: Clock) -> None:
        self._edge = edge
        self._clock = clock
        self._waiting: deque[Report] = deque(maxlen=MOST_WAITING)

    def add(self, report: Report, *parts: str) -> None:
        """Let a report wait to be sent.

        Args:
            report: Without edge, id and time.
            parts: What names it, beside kind and bundle: the same report twice counts once.
        """
        now = self._clock()
        names = (self._edge, report.kind, report.sha256, *parts)
        name = hashlib.sha256("\0".join(names).encode()).hexdigest()[:32]
        detail = report.detail[:MAX_DETAIL]
        whole = msgspec.structs.replace(
            report, edge=self._edge, id=name, time_ns=now, detail=detail
        )
        for waiting in [one for one in self._waiting if one.id == name]:
            self._waiting.remove(waiting)
        self._waiting.append(whole)

    async def send(self, exchange: Exchange) -> None:
        """Send what waits.

        Raises:
            Unavailable: The rest waits for the next time.
        """
        while self._waiting:
            report = self._waiting[0]
            try:
                await exchange.report(report)
            except Unwanted as exc:
                log.warning("report_refused", profile=report.profile, why=str(exc))
            if self._waiting and self._waiting[0] is report:
                self._waiting.popleft()


def blank(
    kind: Kind, profile: str, version: str, sha256: str, *, task: str = "", detail: str = ""
) -> Report:
    """Return a report without edge, id and time, which `Reports.add` gives it."""
    return Report("", "", 0, kind, profile, version, sha256, task=task, detail=detail)


def with_summary(report: Report, summary: Summary, policy: Policy) -> Report:
    """Return a report with what a comparison found, as far as it may leave the site."""
    return msgspec.structs.replace(
        report,
        messages=summary.messages,
        refused=summary.refused,
        messages_before=summary.messages,
        refused_before=summary.refused_before,
        differing=summary.differing,
        differences=tuple(_released(report.profile, summary.differences, policy)),
    )


def _released(profile: str, seen: Iterable[Seen], policy: Policy) -> Iterable[Difference]:
    for each in list(seen)[:MAX_DIFFERENCES]:
        subject = "" if each.change == "device" else each.subject[:255]
        free = (one for one in each.examples if _may_leave(profile, each, one.device, policy))
        shown = next(free, None)
        if shown is None:
            yield Difference(each.change, subject, each.count)
        else:
            before, after = shown.before[:_EXAMPLE_CHARS], shown.after[:_EXAMPLE_CHARS]
            yield Difference(each.change, subject, each.count, before, after)


def _may_leave(profile: str, seen: Seen, device: str, policy: Policy) -> bool:
    """Tell whether the values of an example may leave: only of a field that leaves raw as it is."""
    if seen.change not in _OF_A_FIELD:
        return False
    gate = policy.gate(profile, device)
    return gate is not None and not gate.hidden and seen.subject in gate.whole
