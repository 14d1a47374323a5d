"""What leaves is what the policy released, entered first, and settled only on a receipt."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
import trustme

from edge_agent.audit import entries, verify
from edge_agent.egress import Declared
from edge_agent.grant import NONE, RAW
from edge_agent.ledger import Ledger
from edge_agent.ledger_entry import Head
from edge_agent.policy import Policy
from edge_agent.uplink import STATE_LEDGER, Uplink
from gateway_core.errors import Unavailable
from gateway_core.forward import forward
from gateway_core.link import Link, LinkOptions
from gateway_core.model import Batch, Reading, Record, Rejection
from gateway_core.spool import Spool, SpoolOptions, open_spool
from gateway_core.supervise import Patience, supervise
from gateway_core.wire import decode_upload
from tests.fakes.centre import FakeCentre, capture, fake_centre

SECRET = "13800138000"
DECLARED = {
    "acme/lock": Declared(
        profile="acme/lock",
        measurement="lock",
        data_class="operational",
        alarms="full",
        tags=frozenset(),
        grants={"battery": RAW, "owner_phone": NONE},
    )
}


def reading(time: int, **fields: float | str) -> Reading:
    given = fields or {"battery": 3.5}
    return Reading("e1", f"d{time}", "acme/lock", "lock", time, time, dict(given))


class Site:
    """An edge's uplink with everything around it."""

    def __init__(self, spool: Spool, ledger: Ledger, link: Link) -> None:
        self.now = 1_000_000_000_000
        self.ledger = ledger
        self.uplink = Uplink("e1", spool, Policy(DECLARED), ledger, link, lambda: self.now)


@contextlib.asynccontextmanager
async def site(folder: Path, url: str, **options: Path | float) -> AsyncIterator[Site]:
    fast = SpoolOptions(group_commit_s=0.001)
    async with (
        open_spool(folder / "spool.db", "e1", fast) as spool,
        Link(LinkOptions(url, **options)) as link,  # type: ignore[arg-type]
    ):
        ledger = Ledger(folder / "ledger")
        try:
            yield Site(spool, ledger, link)
        finally:
            ledger.close()


async def test_a_local_field_never_crosses_the_wire(tmp_path: Path) -> None:
    fast = SpoolOptions(group_commit_s=0.001)
    async with fake_centre() as centre:
        host, port = "127.0.0.1", int(centre.url.rpartition(":")[2])
        async with (
            capture(host, port) as wire,
            open_spool(tmp_path / "spool.db", "e1", fast) as spool,
            Link(LinkOptions(wire.url)) as link,
        ):
            ledger = Ledger(tmp_path / "ledger")
            uplink = Uplink("e1", spool, Policy(DECLARED), ledger, link)
            records: list[Record] = [
                reading(number, owner_phone=SECRET)
                if number % 3 == 0
                else reading(number, battery=float(number), owner_phone=SECRET)
                for number in range(1, 10_001)
            ]
            for start in range(0, len(records), 2500):
                await spool.append(records[start : start + 2500], source="mqtt:site")
            await _until_settled(spool, uplink, 10_000)
            books = (await spool.books()).consumers["uplink"]
            stored = await spool.state("uplink/")
            ledger.close()
        raw = bytes(wire.out)
    assert SECRET.encode() not in raw
    for body in centre.bodies:
        assert body in raw
        for record in decode_upload(body).records:
            assert isinstance(record, Reading)
            assert SECRET not in str(record)
            assert list(record.fields) == ["battery"]
    assert len(centre.records) == 6667
    assert (books.delivered, books.dropped, books.residual) == (6667, {"policy": 3333}, 0)
    audit = verify(tmp_path / "ledger", Head.parse(stored[STATE_LEDGER].decode()))
    assert audit.faults == []
    left = [entry for entry in entries(tmp_path / "ledger") if entry.kind == "batch"]
    assert [entry.sha256 for entry in left] == [sha256(body).hexdigest() for body in centre.bodies]
    assert sum(entry.records.get("Reading", 0) for entry in left) == 6667


async def _until_settled(spool: Spool, uplink: Uplink, seq: int) -> None:
    async def go() -> None:
        await forward(spool, uplink, limit=1000)

    await spool.register(uplink.name)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        run = group.create_task(supervise("uplink", go, Patience(0.01, 0.05)))
        while spool.settled(uplink.name) < seq:
            await asyncio.sleep(0.01)
        run.cancel()


async def test_a_batch_is_in_the_ledger_before_the_collector_sees_it(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre.url) as one:
        seen: list[tuple[str, str]] = []
        whole = centre.handle

        def look(record: Record) -> bool:
            seen.extend((entry.kind, entry.outcome) for entry in entries(tmp_path / "ledger"))
            return False

        centre.poison = look
        receipt = await one.uplink.send(Batch(1, [reading(1)]))
        assert whole == centre.handle
        assert seen == [("batch", "")]
        assert receipt.rejected == ()
        outcomes = [entry.outcome for entry in entries(tmp_path / "ledger")]
        assert outcomes == ["", "accepted"]


async def test_a_batch_that_cannot_be_entered_does_not_leave(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre.url) as one:
        one.ledger.close()
        for file in (tmp_path / "ledger").iterdir():
            file.unlink()
        (tmp_path / "ledger").rmdir()
        with pytest.raises(Unavailable, match="egress ledger"):
            await one.uplink.send(Batch(1, [reading(1)]))
        assert centre.bodies == []


@pytest.mark.fault("F10")
async def test_one_bad_record_is_found_and_the_rest_delivered(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre.url) as one:
        centre.poison = lambda record: record.time == 37
        receipt = await one.uplink.send(Batch(1, [reading(time) for time in range(1, 65)]))
        assert receipt.rejected == (Rejection(37, "bad_record", "refused by the collector"),)
        assert len(centre.records) == 63
        assert len(centre.bodies) <= 2 * 6 + 3  # one alone is sent twice
        assert centre.received.missing(1, 64) == []
        assert centre.uploads[-1].withheld == {"rejected": 1}


async def test_a_collector_that_refuses_everything_costs_no_record(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre.url) as one:
        centre.poison = lambda _: True
        for count in (1, 500):
            with pytest.raises(Unavailable):
                await one.uplink.send(Batch(1, [reading(time) for time in range(count)]))
        assert len(centre.bodies) < 250


async def test_records_that_the_receipt_names_are_rejected(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre.url) as one:
        centre.picky = lambda record: record.time == 2
        receipt = await one.uplink.send(Batch(5, [reading(1), reading(2), reading(3)]))
        assert receipt.rejected == (Rejection(6, "bad_line", "refused by the collector"),)
        assert len(centre.records) == 2


async def test_an_upload_that_is_too_large_goes_in_parts(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre.url) as one:
        centre.most_records = 10
        records: list[Record] = [reading(time) for time in range(1, 41)]
        receipt = await one.uplink.send(Batch(1, records))
        assert receipt.rejected == ()
        assert [len(upload.records) for upload in centre.uploads] == [10, 10, 10, 10]
        assert centre.received.missing(1, 40) == []


@pytest.mark.parametrize("status", [301, 401, 403, 404, 409, 500, 502])
async def test_an_answer_that_is_no_records_fault_keeps_the_batch(
    tmp_path: Path, status: int
) -> None:
    async with fake_centre() as centre, site(tmp_path, centre.url) as one:
        centre.answers = [status]
        with pytest.raises(Unavailable, match=str(status)):
            await one.uplink.send(Batch(1, [reading(1)]))
        assert (await one.uplink.send(Batch(1, [reading(1)]))).rejected == ()


async def test_the_next_upload_waits_as_long_as_the_collector_asked(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre.url) as one:
        centre.answers, centre.retry_after = [503], "1"
        with pytest.raises(Unavailable):
            await one.uplink.send(Batch(1, [reading(1)]))
        centre.arrived.clear()
        began = asyncio.get_running_loop().time()
        await one.uplink.send(Batch(1, [reading(1)]))
        assert asyncio.get_running_loop().time() - began > 0.9


@pytest.mark.fault("F7")
async def test_a_collector_that_hangs_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, site(tmp_path, f"http://127.0.0.1:{port}", deadline_s=0.2) as one:
        with pytest.raises(Unavailable):
            await one.uplink.send(Batch(1, [reading(1)]))
        outcomes = [entry.outcome for entry in entries(tmp_path / "ledger")]
        assert outcomes == ["", "unavailable"]


async def test_the_uplink_works_over_ipv6(tmp_path: Path) -> None:
    async with fake_centre("::1") as centre, site(tmp_path, centre.url) as one:
        await one.uplink.send(Batch(1, [reading(1)]))
        assert len(centre.records) == 1


@pytest.mark.fault("F13")
async def test_the_edge_shows_its_certificate_and_its_token(tmp_path: Path) -> None:
    ca = trustme.CA()
    server, client = ca.issue_cert("localhost", "127.0.0.1"), ca.issue_cert("e1")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.configure_cert(tls)
    ca.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    client.private_key_and_cert_chain_pem.write_to_path(tmp_path / "edge.pem")
    (tmp_path / "token").write_text("abc\n")
    async with fake_centre("127.0.0.1", tls) as centre:
        async with site(
            tmp_path,
            centre.url,
            ca_file=tmp_path / "ca.pem",
            cert_file=tmp_path / "edge.pem",
            token_file=tmp_path / "token",
        ) as one:
            await one.uplink.send(Batch(1, [reading(1)]))
            assert centre.headers["Authorization"] == "Bearer abc"
            (tmp_path / "token").write_text("def\n")
            await one.uplink.send(Batch(2, [reading(2)]))
            assert centre.headers["Authorization"] == "Bearer def"
        async with site(tmp_path / "bare", centre.url, ca_file=tmp_path / "ca.pem") as one:
            with pytest.raises(Unavailable):
                await one.uplink.send(Batch(1, [reading(1)]))


@pytest.mark.fault("F6", "R5")
async def test_a_cut_connection_loses_and_doubles_nothing(tmp_path: Path) -> None:
    fast = SpoolOptions(group_commit_s=0.001)
    async with (
        fake_centre() as centre,
        open_spool(tmp_path / "spool.db", "e1", fast) as spool,
        Link(LinkOptions(centre.url)) as link,
    ):
        ledger = Ledger(tmp_path / "ledger")
        uplink = Uplink("e1", spool, Policy(DECLARED), ledger, link)
        await spool.append([reading(time) for time in range(1, 3001)], source="mqtt:site")
        centre.answers = [503, 500, 502]
        await _until_settled(spool, uplink, 3000)
        books = (await spool.books()).consumers["uplink"]
        assert (books.delivered, books.residual) == (3000, 0)
        ledger.close()
    assert sorted(seq for _, _, seq in centre.records) == list(range(1, 3001))
    assert isinstance(centre, FakeCentre)


async def test_every_upload_says_what_the_edge_still_holds(tmp_path: Path) -> None:
    began = time.time_ns()
    async with fake_centre() as centre, site(tmp_path, centre.url) as edge:
        spool = edge.uplink._spool
        await spool.register("uplink")
        await spool.append([reading(n) for n in range(1, 4)], source="test")
        await edge.uplink.send(await spool.read("uplink", 2))
    assert centre.headers["Tidegate-Backlog"] == "3"
    assert centre.headers["Tidegate-Oldest"] == "1"
    assert centre.headers["Tidegate-Residual"] == "0"
    assert began <= int(centre.headers["Tidegate-Clock"]) <= time.time_ns()


async def test_a_quiet_edge_says_that_it_is_there_and_nothing_else(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre.url) as edge:
        spool = edge.uplink._spool
        await spool.register("uplink")
        await edge.uplink.beat()
        assert centre.uploads == []
        await spool.append([reading(1)], source="test")
        batch = await spool.read("uplink", 1)
        await spool.settle("uplink", 1, 1, await edge.uplink.send(batch))
        await edge.uplink.beat()
    assert [(u.first, u.last, u.records) for u in centre.uploads[1:]] == [(1, 1, [])]
    assert centre.duplicates == 0
