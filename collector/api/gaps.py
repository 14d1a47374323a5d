"""``/api/v1/devices/{id}/gaps``: what is missing here of one device, and why, as far as known."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse, Response

from collector.api.parts import Contact, Parts
from collector.api.problem import problem
from collector.query import MAX_LIMIT, QueryError, TimeSeries
from collector.query import Query as Question
from gateway_core.clock import NS
from gateway_core.gaps import Certificate, Evidence, certify, marks_told, shown
from gateway_core.instant import parse_instant
from gateway_core.model import Alarm, Reading
from gateway_core.spool import Quarantined
from gateway_core.time_marks import FIELD

STALE_NS = 90 * NS
_REASONS = {"evicted", "thinned", "damaged"}
_DAY_NS = 86_400 * NS


def gap_routes(parts: Parts) -> APIRouter:
    """Return the route; it goes before the one of devices, whose ids may hold slashes."""
    routes = APIRouter(prefix="/api/v1", tags=["lists"])

    @routes.get("/devices/{device:path}/gaps", summary="What is missing of a device, and why")
    async def gaps(
        device: Annotated[str, Path(max_length=255)],
        edge: Annotated[str | None, Query(max_length=64)] = None,
        since: Annotated[str, Query(max_length=64)] = "-1d",
        until: Annotated[str, Query(max_length=64)] = "now",
    ) -> Response:
        now = parts.clock()
        row = await parts.registry.device(device, edge)
        if row is None:
            detail = f"no device {device!r} was ever listed or heard; GET /api/v1/devices?q="
            return problem(404, "unknown_device", detail)
        try:
            begins, ends = parse_instant(since, now), min(parse_instant(until, now), now)
        except (ValueError, OverflowError) as exc:
            return problem(422, "bad_window", str(exc))
        if begins >= ends:
            return problem(422, "bad_window", "since must be before until, and in the past")
        found = await gap_certificate(parts, row, begins, ends)
        return JSONResponse(shown(found))

    return routes


async def gap_certificate(parts: Parts, row: Any, since: int, until: int) -> Certificate:
    """Say what is missing here of a device in ``since <= time < until``, and why.

    Args:
        parts: Of the collector.
        row: The device as the registry has it.
        since: Nanoseconds since 1970.
        until: Not after now.

    Raises:
        Unavailable: The store does not answer.
    """
    device, edge, now, store = row["id"], row["edge"], parts.clock(), parts.timeseries
    notes: list[str] = []
    times: list[int] = []
    for measurement in row["latest"]:
        table = await _points(store, measurement, since, until, {"device": (device,)})
        mine = [point for point in table if point.get("edge", edge) == edge]
        times += [point["time"] for point in mine]
        notes += marks_told(mark for point in mine if (mark := point.get(FIELD)))
        if len(table) >= MAX_LIMIT:
            notes.append(f"more than {MAX_LIMIT} readings of {measurement}: ask for less time")
    if not row["latest"]:
        notes.append("no reading of this device has ever arrived here")
    found = await _losses(store, edge, since, now)
    found += await _silences(store, device, edge, sorted(times), since, until)
    contact = next((each for each in parts.contacts() if each.edge == edge), None)
    found += _underway(contact, now)
    found += _rejected(await parts.quarantined(), device, edge)
    if contact is not None and contact.withheld:
        told = ", ".join(f"{reason} {n}" for reason, n in sorted(contact.withheld.items()))
        notes.append(f"the site keeps records to itself and does not say of which devices: {told}")
    blank = Certificate(
        device=device,
        edge=edge,
        seen_from="centre",
        since=since,
        until=until,
        time=now,
        notes=notes,
    )
    return certify(blank, times, None, found)


async def _points(
    store: TimeSeries, measurement: str, since: int, until: int, where: dict[str, tuple[str, ...]]
) -> list[dict[str, Any]]:
    asked = Question(measurement, since, until, where=where, limit=MAX_LIMIT)
    try:
        table = await store.query(asked)
    except QueryError:  # nothing of that kind has ever arrived
        return []
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


async def _losses(store: TimeSeries, edge: str, since: int, now: int) -> list[Evidence]:
    """Return what the edge gave up, noticed since then: it may be of any of its devices."""
    found: list[Evidence] = []
    for point in await _points(store, "loss", since, now, {"edge": (edge,)}):
        if point["reason"] in _REASONS:
            ends = point.get("until") or point["time"]
            begins = point.get("since") or since
            detail = f"records of this edge: {point.get('detail') or 'no detail'}"
            count = point["records"]
            found.append(
                Evidence(point["reason"], begins, ends, certain=False, count=count, detail=detail)
            )
    return found


async def _silences(
    store: TimeSeries, device: str, edge: str, times: list[int], since: int, until: int
) -> list[Evidence]:
    """Return when the edge noticed that the device was silent though it could have been heard."""
    where: dict[str, tuple[str, ...]] = {"device": (device,), "edge": (edge,)}
    where |= {"rule": ("silence",)}
    found: list[Evidence] = []
    points = await _points(store, "alarm", since, until, where)
    for at, point in enumerate(points):
        if point["state"] != "raised":
            continue
        begins = max((t for t in times if t < point["time"]), default=since)
        ends = next((p["time"] for p in points[at:] if p["state"] == "cleared"), until)
        told = "silent while its source was connected, as its edge says"
        found.append(Evidence("never_sent", begins, ends, certain=True, detail=told))
    return found


def _underway(contact: Contact | None, now: int) -> list[Evidence]:
    """Return what the edge may still have to send."""
    if contact is None:
        return []
    found: list[Evidence] = []
    if contact.backlog and contact.oldest:
        told = "its edge has so many records still to send"
        found.append(
            Evidence(
                "not_arrived",
                contact.oldest,
                now,
                certain=False,
                count=contact.backlog,
                detail=told,
            )
        )
    if contact.missing:
        told = "numbers below the newest that arrived; of when they are is not known here"
        found.append(
            Evidence(
                "not_arrived",
                contact.last_contact - _DAY_NS,
                now,
                certain=False,
                count=contact.missing,
                detail=told,
            )
        )
    if now - contact.last_contact > STALE_NS:
        told = "nothing was heard of its edge since"
        found.append(Evidence("not_arrived", contact.last_contact, now, certain=False, detail=told))
    return found


def _rejected(kept: list[Quarantined], device: str, edge: str) -> list[Evidence]:
    """Return what arrived and the store would not take."""
    found: list[Evidence] = []
    for each in kept:
        record = each.record
        if isinstance(record, Reading | Alarm) and (record.device, record.edge) == (device, edge):
            told = f"arrived and was not taken by {each.consumer}: {each.reason}"
            found.append(
                Evidence("rejected", record.time, record.time, certain=True, count=1, detail=told)
            )
    return found
