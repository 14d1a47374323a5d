"""One message, explained: which byte or member became which value, and what nobody read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from device_profiles.became import Became, Uses
from device_profiles.codecs import Context
from device_profiles.egress import Release
from device_profiles.examples import EDGE
from device_profiles.explain_bytes import byte_blocks
from device_profiles.influence import leaves
from device_profiles.line_preview import render_line
from device_profiles.passage import Passage, Watched
from device_profiles.profile import Profile

MOST_VALUES = 2_000
"""Decoded values that are listed."""


@dataclass(frozen=True, slots=True)
class Member:
    """A decoded value.

    Attributes:
        path: As a profile would write it.
        value: The value.
        became: What it was used for; empty: it was ignored.
    """

    path: str
    value: Any
    became: tuple[Became, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """What every stage made of one message.

    Attributes:
        profile: Id of the profile.
        version: Its version.
        address: Topic or path.
        match: Which element of ``match`` took it, its ``via``, template and role; None: none did.
        captures: From topic or path and envelope.
        fport: LoRaWAN port, or None.
        steps: The decode steps that it went through.
        blocks: Whose bytes, how many, and their ranges; empty for messages that are no bytes.
        values: What was decoded.
        devices: For each device: its id, points, quality flags, alarms from a clean state.
        time: Where the first point's time is from: ``device`` or ``received``; None without one.
        egress: Field to what may leave the site; ``alarms`` to how alarms leave.
        lines: The points as line protocol, with ``edge=edge1``.
        online: What an availability message said.
        reject: The rejection code, or None.
        detail: Its explanation.
    """

    profile: str
    version: str
    address: str
    match: dict[str, Any] | None
    captures: dict[str, str]
    fport: int | None
    steps: tuple[str, ...]
    blocks: tuple[dict[str, Any], ...]
    values: tuple[Member, ...]
    devices: tuple[dict[str, Any], ...]
    time: str | None
    egress: dict[str, str]
    lines: tuple[str, ...]
    online: bool | None
    reject: str | None
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def explain(
    profile: Profile,
    payload: bytes,
    *,
    topic: str | None = None,
    path: str | None = None,
    content_format: int | None = None,
    received: int = 0,
) -> Explained:
    """Send one message through a profile and return what every stage made of it.

    Args:
        profile: The profile.
        payload: As sent.
        topic: MQTT topic; give this or ``path``.
        path: CoAP path.
        content_format: CoAP Content-Format, or None.
        received: Receive time in nanoseconds; 0 means "not known": any device time counts.
    """
    watched = Watched(profile)
    address = topic if topic is not None else path or ""
    passage = watched.pass_(
        watched.bench(),
        address,
        payload,
        received,
        coap=topic is None,
        content_format=content_format,
    )
    uses = Uses(profile, passage)
    decoded = passage.received.decoded
    opened = passage.opened
    context = _context(passage, received, content_format)
    return Explained(
        profile.id,
        profile.version,
        address,
        _match(profile, passage),
        dict(opened.captures) if opened else {},
        opened.fport if opened else None,
        tuple(str(step[-1]) for step in passage.steps),
        tuple(byte_blocks(profile, passage, uses, context)),
        tuple(_members(passage, uses)),
        tuple(_devices(passage)),
        _time_from(passage, received),
        _egress(profile, passage),
        tuple(_lines(profile, passage)),
        decoded.online if decoded else None,
        passage.received.reject,
        passage.received.detail,
    )


def _match(profile: Profile, passage: Passage) -> dict[str, Any] | None:
    if passage.entry is None:
        return None
    entry = profile.entries[passage.entry]
    return {
        "entry": passage.entry,
        "via": entry.via,
        "template": entry.template.text,
        "role": entry.role,
    }


def _context(passage: Passage, received: int, content_format: int | None) -> Context:
    opened = passage.opened
    captures = opened.captures if opened else {}
    return Context(captures, received, content_format, opened.fport if opened else None)


def _members(passage: Passage, uses: Uses) -> list[Member]:
    if passage.values is None:
        return []
    found: list[Member] = []
    for path, value in leaves(passage.values):
        if len(found) == MOST_VALUES:
            break
        found.append(Member(path, value, uses.of(path)))
    return found


def _devices(passage: Passage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for decoded, alarms in passage.received.told:
        points = [{"time": p.time, "fields": p.fields, "tags": p.tags} for p in decoded.readings]
        flags = [flag for p in decoded.readings for flag in p.flags]
        found.append(
            {
                "device": decoded.device,
                "points": points,
                "quality": sorted([*flags, *decoded.flags]),
                "alarms": alarms,
            }
        )
    return found


def _time_from(passage: Passage, received: int) -> str | None:
    times = [p.time for decoded, _ in passage.received.told for p in decoded.readings]
    if not times:
        return None
    return "received" if times[0] == received else "device"


def _egress(profile: Profile, passage: Passage) -> dict[str, str]:
    told = passage.received.told
    seen = {name for decoded, _ in told for point in decoded.readings for name in point.fields}
    rules = {name: in_words(rule) for name, rule in profile.egress.rules.items() if name in seen}
    if any(alarms for _, alarms in told):
        rules["alarms"] = profile.egress.alarms
    return rules


def in_words(rule: Release) -> str:
    """Return a release rule as people say it."""
    if rule.kind == "none":
        return "stays on site"
    words = "every value" if rule.kind == "raw" else f"{', '.join(rule.fns)} of every {rule.every}"
    coarsen = rule.coarsen
    if coarsen is not None and coarsen.decimals is not None:
        words += f", rounded to {coarsen.decimals} decimals"
    if coarsen is not None and coarsen.step is not None:
        words += f", to the nearest {coarsen.step:g}"
    return words


def _lines(profile: Profile, passage: Passage) -> list[str]:
    def tags(device: str) -> dict[str, str]:
        return {"edge": EDGE, "device": device, "profile": profile.id}

    return [
        render_line(profile.measurement, {**tags(decoded.device), **p.tags}, p.fields, p.time)
        for decoded, _ in passage.received.told
        for p in decoded.readings
    ]
