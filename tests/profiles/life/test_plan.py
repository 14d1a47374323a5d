"""A plan is taken only from its registry, by its edge, and never an older one; reports are bounded."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.plan import (
    Difference,
    Entry,
    Plan,
    Report,
    Signed,
    Task,
    Withdrawn,
    decode_report,
    encode_report,
    open_plan,
    seal_plan,
)
from device_profiles.signing import Signer, make_key
from gateway_core.errors import PayloadError

SHA = "a" * 64


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return make_key(tmp_path / "registry.key")


def _plan(signer: Signer, **changes: object) -> Plan:
    entry = Entry("acme/room", "1.0.0", SHA, 100, "active", bytes(32), bytes(64))
    task = Task("bt-1", "backtest", "acme/room", "1.1.0", SHA, 100, since_ns=5)
    gone = Withdrawn("acme/room", "0.9.0", SHA, "wrong unit")
    plan = Plan(signer.public.id, "edge-1", 7, 1, (entry,), (gone,), (task,))
    return msgspec.structs.replace(plan, **changes)


def test_a_plan_comes_out_as_it_was_sealed(signer: Signer) -> None:
    plan = _plan(signer)
    assert open_plan(seal_plan(plan, signer), signer.public, "edge-1", seen=7) == plan


def test_a_plan_of_another_registry_edge_or_day_is_refused(signer: Signer, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other.key")
    sealed = seal_plan(_plan(signer), signer)
    body = msgspec.msgpack.decode(sealed, type=Signed).body
    forged = msgspec.msgpack.encode(Signed(body.replace(b"1.0.0", b"6.6.6"), bytes(64)))
    for data, key, edge, seen, code in (
        (sealed, other.public, "edge-1", 0, "bad_signature"),
        (forged, signer.public, "edge-1", 0, "bad_signature"),
        (sealed, signer.public, "edge-2", 0, "wrong_edge"),
        (sealed, signer.public, "edge-1", 8, "old_plan"),
        (b"junk", signer.public, "edge-1", 0, "bad_plan"),
        (seal_plan(_plan(signer, registry="x"), signer), signer.public, "edge-1", 0, "wrong_edge"),
    ):
        with pytest.raises(PayloadError) as caught:
            open_plan(data, key, edge, seen)
        assert caught.value.code == code


def test_a_plan_against_the_grammar_is_refused_although_it_is_signed(signer: Signer) -> None:
    bad = Entry("acme/../room", "1.0.0", SHA, 100)
    with pytest.raises(PayloadError, match="bad_plan"):
        open_plan(seal_plan(_plan(signer, entries=(bad,)), signer), signer.public, "edge-1")


def test_a_report_comes_out_as_it_was_sent() -> None:
    differences = (Difference("changed", "temperature", 3, "21.5", "215"),)
    report = Report(
        "edge-1", "r-1", 5, "shadow", "acme/room", "1.1.0", SHA, differences=differences
    )
    assert decode_report(encode_report(report)) == report


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_a_report_or_refused(data: bytes) -> None:
    with pytest.raises(PayloadError, match="bad_report"):
        decode_report(data)


def test_a_report_is_bounded() -> None:
    report = Report("edge-1", "r-1", 5, "shadow", "acme/room", "1.1.0", SHA)
    many = msgspec.structs.replace(report, differences=tuple([Difference("lost")] * 501))
    for bad in (many, msgspec.structs.replace(report, messages=-1)):
        with pytest.raises(PayloadError, match="bad_report"):
            decode_report(encode_report(bad))
    with pytest.raises(PayloadError, match="too_large"):
        decode_report(bytes(300_000))
