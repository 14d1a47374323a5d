"""What a registry tells one edge to run, and what the edge says back. Pure: no I/O, no clock.

A plan is the whole truth for its edge, not a change to the plan before: what it does not name, the
edge stops using. Described in docs/reference/formats/profile-life.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from device_profiles.signing import PublicKey, Signer
from gateway_core.errors import PayloadError

CONTENT_TYPE = "application/vnd.tidegate.profile-plan"
REPORT_TYPE = "application/vnd.tidegate.profile-report"
EDGE_HEADER = "Tidegate-Edge"
"""Header of an edge's requests for its plan and for bundles: who asks."""
MAX_PLAN_BYTES = 4 << 20
MAX_REPORT_BYTES = 256 << 10
MAX_ENTRIES = 10_000
MAX_TASKS = 16
MAX_DIFFERENCES = 500
MAX_DETAIL = 2000
"""Characters of a text for people."""

EdgeId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
ProfileId = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*$", max_length=255)
]
Version = Annotated[str, Meta(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$", max_length=64)]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Meta(ge=0, le=2**62)]
Name = Annotated[str, Meta(max_length=255)]
Text = Annotated[str, Meta(max_length=MAX_DETAIL)]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version of a profile that an edge shall use.

    Attributes:
        id: ``vendor/model``; at most one active and one shadow entry each.
        version: Semantic version.
        sha256: Digest of the bundle.
        size: Bytes of the bundle.
        role: ``active`` decodes; ``shadow`` only compares, beside whatever is active.
        key: The vendor's public key, 32 bytes; empty where a person approved an unsigned bundle.
        signature: The vendor's, over the digest; empty with no key.
    """

    id: ProfileId
    version: Version
    sha256: Digest
    size: Count
    role: Literal["active", "shadow"] = "active"
    key: Annotated[bytes, Meta(max_length=32)] = b""
    signature: Annotated[bytes, Meta(max_length=64)] = b""


class Withdrawn(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version that must not be activated any more, wherever it comes from.

    Attributes:
        id: ``vendor/model``.
        version: Semantic version.
        sha256: Digest of the bundle.
        reason: For people.
    """

    id: ProfileId
    version: Version
    sha256: Digest
    reason: Text = ""


class Task(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something to do once.

    Attributes:
        id: Names the task; comes back in its report.
        kind: ``backtest``: decode retained raw payloads with this version, report differences.
        profile: ``vendor/model``.
        version: Semantic version.
        sha256: Digest of the bundle.
        size: Bytes of the bundle.
        since_ns: Oldest receive time, nanoseconds since 1970.
        limit: Most payloads.
        key: As in `Entry`.
        signature: As in `Entry`.
    """

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    kind: Literal["backtest"]
    profile: ProfileId
    version: Version
    sha256: Digest
    size: Count
    since_ns: Count = 0
    limit: Annotated[int, Meta(ge=1, le=10_000_000)] = 100_000
    key: Annotated[bytes, Meta(max_length=32)] = b""
    signature: Annotated[bytes, Meta(max_length=64)] = b""


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that one edge shall do with profiles of one registry.

    Attributes:
        registry: Id of the registry's key.
        edge: For whom; another edge refuses it.
        serial: Grows with every change; an edge refuses a smaller one than it has seen.
        issued_ns: When, nanoseconds since 1970.
        entries: What to use.
        withdrawn: What not to use any more.
        tasks: What to do once.
    """

    registry: Annotated[str, Meta(max_length=64)]
    edge: EdgeId
    serial: Count
    issued_ns: Count
    entries: Annotated[tuple[Entry, ...], Meta(max_length=MAX_ENTRIES)] = ()
    withdrawn: Annotated[tuple[Withdrawn, ...], Meta(max_length=MAX_ENTRIES)] = ()
    tasks: Annotated[tuple[Task, ...], Meta(max_length=MAX_TASKS)] = ()


class Signed(msgspec.Struct, frozen=True):
    """A plan on its way.

    Attributes:
        body: The plan, encoded.
        signature: The registry's, over the body.
    """

    body: Annotated[bytes, Meta(max_length=MAX_PLAN_BYTES)]
    signature: Annotated[bytes, Meta(max_length=64)]


Change = Literal["refused", "read", "lost", "added", "changed", "flags", "alarms", "device", "time"]
"""How two versions differ on a message: only the new one refuses it, only the old one did, a field
is lost, added or has another value, other flags, other alarms, another device, another time."""


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One way in which two versions differ, counted.

    Attributes:
        change: What differs.
        subject: The field, flag, alarm or rejection code; may be empty.
        count: Messages.
        before: An example of the old version; only of fields that may leave the site raw.
        after: The same of the new one.
    """

    change: Change
    subject: Name = ""
    count: Count = 1
    before: Text | None = None
    after: Text | None = None


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an edge says about one version.

    Attributes:
        edge: Who says it.
        id: Names the report; the same one sent twice counts once.
        time_ns: When, nanoseconds since 1970.
        kind: ``applied``: it decodes from now on. ``failed``: it could not be used, why is in
            ``detail``. ``running``: how it does since it was applied. ``shadow``: how it compares
            on live traffic. ``backtest``: how it compares on retained payloads.
        profile: ``vendor/model``.
        version: Semantic version.
        sha256: Digest of the bundle.
        previous: The version that it is compared with or replaced; empty: none.
        task: Id of the task, for a backtest.
        detail: For people.
        messages: Messages that it was given.
        refused: Those of them that it refused.
        messages_before: Messages that ``previous`` was given: the same ones in a comparison, those
            of a time as long before the switch for ``running``.
        refused_before: Those of them that ``previous`` refused.
        differing: Messages with any difference.
        differences: Kinds of difference, the most frequent first.
    """

    edge: EdgeId
    id: Annotated[str, Meta(min_length=1, max_length=64)]
    time_ns: Count
    kind: Literal["applied", "failed", "running", "shadow", "backtest"]
    profile: ProfileId
    version: Version
    sha256: Digest
    previous: Annotated[str, Meta(max_length=64)] = ""
    task: Annotated[str, Meta(max_length=64)] = ""
    detail: Text = ""
    messages: Count = 0
    refused: Count = 0
    messages_before: Count = 0
    refused_before: Count = 0
    differing: Count = 0
    differences: Annotated[tuple[Difference, ...], Meta(max_length=MAX_DIFFERENCES)] = ()


def seal_plan(plan: Plan, signer: Signer) -> bytes:
    """Return a plan, signed, as it is sent."""
    body = msgspec.msgpack.encode(plan)
    return msgspec.msgpack.encode(Signed(body, signer.sign("plan", body)))


def open_plan(data: bytes, registry: PublicKey, edge: str, seen: int = 0) -> Plan:
    """Read a plan that this registry signed for this edge.

    Args:
        data: As it was sent.
        registry: The registry's key, as the edge was given it.
        edge: Who reads.
        seen: The largest serial seen of this registry.

    Raises:
        PayloadError: ``bad_plan bad_signature wrong_edge old_plan``.
    """
    if len(data) > MAX_PLAN_BYTES:
        raise PayloadError("bad_plan", f"larger than {MAX_PLAN_BYTES} bytes")
    try:
        signed = msgspec.msgpack.decode(data, type=Signed)
        registry.verify("plan", signed.body, signed.signature)
        plan = msgspec.msgpack.decode(signed.body, type=Plan)
    except msgspec.MsgspecError as exc:
        raise PayloadError("bad_plan", str(exc)) from exc
    if plan.edge != edge or plan.registry != registry.id:
        raise PayloadError("wrong_edge", f"the plan is for edge {plan.edge} of {plan.registry}")
    if plan.serial < seen:
        detail = f"serial {plan.serial} is older than {seen}, which was seen before"
        raise PayloadError("old_plan", detail)
    return plan


def encode_report(report: Report) -> bytes:
    """Return a report as it is sent."""
    return msgspec.msgpack.encode(report)


def decode_report(data: bytes) -> Report:
    """Read a report.

    Raises:
        PayloadError: ``bad_report``, ``too_large``.
    """
    if len(data) > MAX_REPORT_BYTES:
        raise PayloadError("too_large", f"a report has at most {MAX_REPORT_BYTES} bytes")
    try:
        return msgspec.msgpack.decode(data, type=Report)
    except msgspec.MsgspecError as exc:
        raise PayloadError("bad_report", str(exc)) from exc
