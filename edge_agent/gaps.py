"""Gap certificates on site: what the archive, the spool and the rules know about one device."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from device_profiles.profile import Profile
from edge_agent.history import History
from edge_agent.question import MAX_LIMIT, Question
from edge_agent.registry import Device
from edge_agent.rules import SILENCE
from edge_agent.site import Site
from edge_agent.status import UPLINK
from gateway_core.clock import NS
from gateway_core.errors import PayloadError
from gateway_core.gaps import FACTOR, Certificate, Evidence, certify, marks_told
from gateway_core.model import Reading, Refusal
from gateway_core.time_marks import mark_of

_PAGE = 5_000
_NEAR_NS = 600 * NS
_REASONS = {"evicted", "thinned", "damaged"}


async def gap_certificate(
    site: Site, history: History, device_id: str, since: int, until: int
) -> Certificate:
    """Say what is missing of a device in ``since <= time < until``, and why.

    Raises:
        PayloadError: ``unknown_device`` or ``bad_question``.
        Unavailable: The disk does not answer.
    """
    now = site.clock()
    until = min(until, now)
    device = site.registry.devices.get(device_id)
    if device is None:
        raise PayloadError("unknown_device", f"no device {device_id!r} was ever listed or heard")
    if since >= until:
        raise PayloadError("bad_question", "since must be before until, and in the past")
    profile = site.profiles().get(device.profile)
    notes: list[str] = []
    if profile is None:
        times: list[int] = []
        notes.append(f"profile {device.profile} is not loaded: its readings are not looked for")
    else:
        asked = Question(
            measurement=profile.measurement,
            start_ns=since,
            stop_ns=until,
            where={"device": (device_id,)},
            limit=MAX_LIMIT,
        )
        table = await history.query(asked)
        at = table.columns.index("time") if table.rows else 0
        times = [row[at] for row in table.rows]
        if times and "flags" in table.columns:
            flags = table.columns.index("flags")
            notes += marks_told(mark for row in table.rows if (mark := mark_of(row[flags] or ())))
        notes += table.notes
        if table.next is not None:
            until = times[-1]
            notes.append(f"only the first {MAX_LIMIT} readings: ask for less time")
    found = await _losses(history, since, now)
    found += await _silences(history, device_id, sorted(times), since, until)
    found += await _refusals(site, device, since, until)
    found += await _underway(site, now)
    blank = Certificate(
        device=device_id,
        edge=site.config.edge.id,
        seen_from="edge",
        since=since,
        until=until,
        time=now,
        notes=notes,
    )
    return certify(blank, times, _declared(profile), found)


def _declared(profile: Profile | None) -> int | None:
    """Return how far apart a profile says that readings are at most; None: it does not."""
    if profile is None:
        return None
    every = profile.availability.expect_every_ns
    return profile.availability.offline_after_ns if every is None else round(FACTOR * every)


async def _rows(
    history: History, kind: str, since: int, until: int, device: str = ""
) -> list[dict[str, Any]]:
    """Return the records of one kind that are not readings, as columns to values."""
    where: dict[str, tuple[str, ...]] = {"device": (device,)} if device else {}
    asked = Question(measurement=kind, start_ns=since, stop_ns=until, where=where, limit=MAX_LIMIT)
    try:
        table = await history.query(asked)
    except PayloadError:  # nothing of that kind was ever stored, so it has no such column
        return []
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


async def _losses(history: History, since: int, now: int) -> list[Evidence]:
    """Return what the spool gave up, noticed since then: it may be of any device."""
    found: list[Evidence] = []
    for row in await _rows(history, "loss", since, now):
        if row["reason"] in _REASONS:
            begins, ends = row.get("since") or 0, row.get("until") or row["time"]
            count = row["last"] - row["first"] + 1
            told = f"{count} records of this site: {row['detail']}"
            found.append(
                Evidence(row["reason"], begins, ends, certain=False, count=count, detail=told)
            )
    return found


async def _silences(
    history: History, device: str, times: list[int], since: int, until: int
) -> list[Evidence]:
    """Return when the device was silent while what it speaks through was connected."""
    alarms = [
        (row["time"], row["state"])
        for row in await _rows(history, "alarm", since, until, device)
        if row["rule"] == SILENCE
    ]
    found: list[Evidence] = []
    for at, (time, state) in enumerate(alarms):
        if state != "raised":
            continue
        before = bisect_left(times, time) - 1
        begins = times[before] if before >= 0 else since
        ends = next((t for t, s in alarms[at:] if s == "cleared"), until)
        told = "silent while its source was connected"
        found.append(Evidence("never_sent", begins, ends, certain=True, detail=told))
    return found


async def _refusals(site: Site, device: Device, since: int, until: int) -> list[Evidence]:
    """Return messages from the device's addresses that were refused and are kept."""
    addresses = {device.address, device.heard} - {""}
    kept: list[Refusal] = []
    after = 0
    while page := await site.spool.refusals(_PAGE, after):
        after = page[-1][0]
        kept += [
            each for _, each in page if each.address in addresses and since <= each.received < until
        ]
    return _joined(sorted(kept, key=lambda each: each.received))


def _joined(refusals: list[Refusal]) -> list[Evidence]:
    """Return refusals as stretches of one code each."""
    found: list[Evidence] = []
    for each in refusals:
        code, at = each.reason, each.received
        last = found[-1] if found else None
        if last is not None and last.detail == code and at - last.until <= _NEAR_NS:
            count = (last.count or 0) + 1
            found[-1] = Evidence("refused", last.since, at, certain=True, count=count, detail=code)
        else:
            found.append(Evidence("refused", at, at, certain=True, count=1, detail=code))
    return found


async def _underway(site: Site, now: int) -> list[Evidence]:
    """Return what the collector does not have yet; it is here, and no gap on site."""
    if site.config.uplink is None:
        return []
    oldest = await site.spool.read_beyond(UPLINK, 0, 1)
    if oldest is None:
        return []
    record = oldest.records[0]
    time = record.received if isinstance(record, Reading) else record.time
    waiting, _ = site.spool.outstanding(UPLINK)
    told = "on site, on its way to the collector"
    return [Evidence("not_arrived", time, now, certain=False, count=waiting, detail=told)]
