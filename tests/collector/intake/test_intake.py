"""An upload is stored once, whole or not at all, and only from whom it claims to be."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
import zstandard

from collector.config import IntakeSection
from collector.reception import EdgeBook
from collector.status import edge_statuses
from gateway_core.model import Loss
from gateway_core.spool import SpoolOptions
from gateway_core.units import Address
from gateway_core.wire import MAGIC, Upload, encode_upload
from tests.fakes.edges import T, centre, readings, upload


def settings(host: str = "127.0.0.1", **more) -> IntakeSection:
    return IntakeSection(listen=(Address(host, 0),), **more)


@pytest.fixture
async def here(tmp_path: Path):
    async with centre(tmp_path, settings()) as opened:
        yield opened


async def test_a_receipt_counts_what_was_new(here) -> None:
    assert await here.edge.send(upload(1, 3)) == (
        200,
        {"accepted": 3, "duplicate": 0, "refused": []},
    )
    assert await here.edge.send(upload(2, 5)) == (
        200,
        {"accepted": 2, "duplicate": 2, "refused": []},
    )
    assert await here.stored() == readings(1, 5)


@pytest.mark.fault("F8")
async def test_the_same_upload_many_times_at_once_is_stored_once(here) -> None:
    body = encode_upload(upload(1, 500))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(here.edge.post(body)) for _ in range(8)]
    assert sorted(task.result()[1]["accepted"] for task in tasks) == [0] * 7 + [500]
    assert await here.stored() == readings(1, 500)


async def test_uploads_in_any_order_leave_no_gap_behind(here) -> None:
    await here.edge.send(upload(11, 20))
    assert here.reception.edges["e1"].epochs["ep1"].missing() == [(1, 10)]
    await here.edge.send(upload(1, 10))
    book = here.reception.edges["e1"].epochs["ep1"]
    assert (book.missing(), book.high_water, book.stored) == ([], 20, 20)


async def test_what_the_policy_withheld_is_accounted_for(here) -> None:
    some = Upload("e1", "ep1", 1, 10, [4], readings(4, 4), {"policy": 9})
    none = Upload("e1", "ep1", 11, 15, [], [], {"policy": 5})
    assert (await here.edge.send(some))[1]["accepted"] == 1
    assert (await here.edge.send(none))[1]["accepted"] == 0
    book = here.reception.edges["e1"].epochs["ep1"]
    assert (book.withheld, book.unexplained, book.missing()) == ({"policy": 14}, 0, [])


async def test_a_loss_record_closes_the_gap_it_names(here) -> None:
    await here.edge.send(upload(1, 10))
    lost = Upload("e1", "ep1", 21, 21, [21], [Loss("e1", T, "ep1", 11, 20, "damaged")])
    await here.edge.send(lost)
    assert here.reception.edges["e1"].epochs["ep1"].missing() == []


async def test_a_record_of_another_edge_stops_the_whole_upload(here) -> None:
    mixed = Upload("e1", "ep1", 1, 2, [1, 2], [*readings(1, 1), *readings(2, 2, "e2")])
    status, answer = await here.edge.send(mixed)
    assert (status, answer["type"]) == (403, "urn:tidegate:problem:wrong_edge")
    assert await here.stored() == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "wire_magic"),
        (b"nonsense", 400, "wire_magic"),
        (MAGIC + b"\x63rest", 400, "wire_version"),
        (MAGIC + b"\x01rest", 400, "wire_zstd"),
        (MAGIC + b"\x01" + zstandard.compress(b"\xc1"), 400, "wire_body"),
        (MAGIC + b"\x01" + zstandard.compress(b"\0" * (200 << 20)), 413, "too_large"),
        (encode_upload(upload(1, 2, edge="../etc")), 422, "bad_edge"),
        (encode_upload(upload(1, 2, epoch="a/b")), 422, "bad_epoch"),
        (encode_upload(Upload("e1", "ep1", 1, 2**62, [], [], {})), 422, "bad_range"),
        (encode_upload(Upload("e1", "ep1", 1, 2, [], [], {"policy": -2})), 422, "bad_withheld"),
    ],
)
async def test_a_body_that_is_no_upload_is_refused_by_name(here, body, status, code) -> None:
    found, answer, headers = await here.edge.post(body)
    assert (found, answer["type"]) == (status, f"urn:tidegate:problem:{code}")
    assert headers["Content-Type"] == "application/problem+json"
    assert await here.stored() == []
    assert f'result="{code}"' in here.meter.render().decode()


async def test_a_body_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    async with centre(tmp_path, settings(max_body=65_536)) as here:
        status, answer, _ = await here.edge.post(b"x" * 65_537)
    assert (status, answer["type"]) == (413, "urn:tidegate:problem:too_large")


@pytest.mark.fault("F2")
async def test_a_full_spool_says_when_to_come_back(tmp_path: Path) -> None:
    tight = SpoolOptions(max_bytes=262_144, group_commit_s=0)
    async with centre(tmp_path, settings(), tight) as here:
        for first in range(1, 200_000, 2000):
            status, answer, headers = await here.edge.post(
                encode_upload(upload(first, first + 1999))
            )
            if status != 200:
                break
        stored = len(await here.stored())
        book = here.reception.edges["e1"].epochs["ep1"]
    assert (status, answer["type"]) == (503, "urn:tidegate:problem:spool_full")
    assert headers["Retry-After"] == "5"
    assert stored == book.stored == first - 1


async def test_only_listed_edges_may_upload(tmp_path: Path) -> None:
    async with centre(tmp_path, settings(edges=("e1",))) as here:
        assert (await here.edge.send(upload(1, 1)))[0] == 200
        status, answer = await here.edge.send(upload(1, 1, "e2"))
    assert (status, answer["type"]) == (403, "urn:tidegate:problem:unknown_edge")


async def test_an_edge_shows_its_own_token(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text("e1: aaaaaaaaaaaaaaaaaaaa\ne2: bbbbbbbbbbbbbbbbbbbb\n")
    async with centre(tmp_path, settings(tokens_file=tokens)) as here:
        without = await here.edge.send(upload(1, 1))
        here.edge.headers["Authorization"] = "Bearer bbbbbbbbbbbbbbbbbbbb"
        stranger = await here.edge.send(upload(1, 1))
        here.edge.headers["Authorization"] = "Bearer aaaaaaaaaaaaaaaaaaaa"
        own = await here.edge.send(upload(1, 1))
    assert (without[0], stranger[0], own[0]) == (401, 401, 200)


async def test_the_books_outlive_a_restart(tmp_path: Path) -> None:
    async with centre(tmp_path, settings()) as here:
        await here.edge.send(upload(1, 10))
        await here.edge.send(upload(21, 30))
    async with centre(tmp_path, settings()) as here:
        assert here.reception.edges["e1"].current == "ep1"
        assert await here.edge.send(upload(1, 30)) == (
            200,
            {"accepted": 10, "duplicate": 20, "refused": []},
        )
        assert sorted(each.time for each in await here.stored()) == [T + n for n in range(1, 31)]


async def test_a_new_epoch_starts_its_own_numbers(here) -> None:
    await here.edge.send(upload(1, 3))
    assert (await here.edge.send(upload(1, 3, epoch="ep2")))[1]["accepted"] == 3
    assert here.reception.edges["e1"].current == "ep2"
    assert here.reception.edges["e1"].forked == 0


@pytest.mark.fault("F22")
async def test_two_epochs_that_alternate_are_noticed(here) -> None:
    for first, epoch in ((1, "ep1"), (1, "ep2"), (2, "ep1"), (2, "ep2")):
        await here.edge.send(upload(first, first, epoch=epoch))
    assert here.reception.edges["e1"].forked > 0


async def test_what_an_edge_says_of_itself_is_kept(here) -> None:
    headers = {"Tidegate-Backlog": "17", "Tidegate-Oldest": str(T), "Tidegate-Residual": "x"}
    await here.edge.post(encode_upload(upload(1, 1)), **headers)
    report = here.reception.edges["e1"].report
    assert (report.backlog, report.oldest, report.residual) == (17, T, None)


@pytest.mark.fault("F4")
async def test_how_far_an_edges_clock_is_off_shows_at_the_centre(here) -> None:
    hour = 3600 * 10**9
    for clock in (time.time_ns() + hour, time.time_ns() - 2 * hour):
        before = time.time_ns()
        await here.edge.post(encode_upload(upload(1, 1)), **{"Tidegate-Clock": str(clock)})
        (status,) = edge_statuses(here.reception.edges)
        assert clock - time.time_ns() <= status.ahead <= clock - before
    await here.edge.post(encode_upload(upload(2, 2)))  # an older agent does not say
    (status,) = edge_statuses(here.reception.edges)
    assert status.ahead is None


async def test_edges_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    async with centre(tmp_path, settings(max_edges=1)) as here:
        await here.edge.send(upload(1, 1))
        status, answer = await here.edge.send(upload(1, 1, "e2"))
        assert isinstance(here.reception.edges["e1"], EdgeBook)
    assert (status, answer["type"]) == (403, "urn:tidegate:problem:too_many_edges")


@pytest.mark.fault("F17")
async def test_edges_upload_over_ipv6(tmp_path: Path) -> None:
    async with centre(tmp_path, settings("::1")) as here:
        assert here.edge.url.startswith("http://[::1]:")
        assert (await here.edge.send(upload(1, 2)))[0] == 200


async def test_one_listener_on_the_unspecified_address_serves_both_families(tmp_path: Path) -> None:
    async with centre(tmp_path, settings("::")) as here:
        port = here.intake.addresses[0].port
        for host in ("127.0.0.1", "[::1]"):
            here.edge.url = f"http://{host}:{port}"
            assert (await here.edge.send(upload(1, 2)))[0] == 200
