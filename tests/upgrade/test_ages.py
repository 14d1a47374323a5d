"""An edge and a collector of different ages: what one of them does not know is kept, not lost."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import zstandard

from collector.config import IntakeSection
from collector.foreign import take_up
from edge_agent.ledger import Ledger
from edge_agent.policy import Policy
from edge_agent.uplink import Uplink
from gateway_core.errors import PayloadError, Unavailable
from gateway_core.link import Link, LinkOptions
from gateway_core.model import Listed, Refusal
from gateway_core.spool import SpoolOptions, open_spool
from gateway_core.units import Address
from gateway_core.wire import decode_upload, encode_upload
from tests.fakes.centre import fake_centre
from tests.fakes.edges import centre, readings, upload

SETTINGS = IntakeSection(listen=(Address("127.0.0.1", 0),))
NEW = ["z", "e1", "something new", 7]


def of_a_newer_edge() -> bytes:
    """Return an upload of numbers 1 to 4: two readings, a record of another kind, one withheld."""
    own = msgspec.msgpack.decode(msgspec.msgpack.encode(readings(1, 2)))
    body = ["e1", "ep1", 1, 4, [[1, 3]], {"policy": 1}, [*own, NEW], "an element to come"]
    packed = zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(body))
    return b"TGU\x01" + packed


@pytest.mark.fault("F20")
async def test_a_kind_of_record_that_only_a_newer_edge_knows_is_kept_and_read_later(
    tmp_path: Path,
) -> None:
    async with centre(tmp_path, SETTINGS) as here:
        for again in (False, True):
            status, answer, _ = await here.edge.post(of_a_newer_edge())
            assert status == 200
            assert answer["accepted"] == (0 if again else 2)
        assert await here.stored() == readings(1, 2)
        ((_, kept),) = await here.spool.refusals(10)
        assert (kept.source, kept.address, kept.reason) == ("edge:e1", "ep1/3", "unknown_kind")
        assert msgspec.msgpack.decode(kept.payload) == NEW
        book = here.reception.edges["e1"].epochs["ep1"]
        assert (book.stored, book.unexplained, book.missing()) == (2, 0, [])
        assert book.withheld == {"policy": 1, "unknown_kind": 1}
        assert await take_up(here.spool) == 0


@pytest.mark.fault("F20")
async def test_an_upgraded_collector_reads_what_the_older_one_had_to_keep(tmp_path: Path) -> None:
    listed = Listed("e1", "device", "d1", 5, "阀门")
    async with centre(tmp_path, SETTINGS) as here:
        kept = [
            Refusal("edge:e1", "ep1/3", msgspec.msgpack.encode(each), "unknown_kind", "", 1)
            for each in (NEW, listed)
        ]
        kept.append(Refusal("mqtt:x", "t", msgspec.msgpack.encode(listed), "bad_crc", "", 1))
        await here.spool.append((), kept, source="test")
        assert await take_up(here.spool) == 1
        assert await here.stored() == [listed]
        assert [r.reason for _, r in await here.spool.refusals(10)] == ["unknown_kind", "bad_crc"]
        assert (await here.spool.books()).accepted == {"edge:e1": 1}


async def test_an_upload_of_an_older_edge_is_taken_and_it_is_asked_nothing(tmp_path: Path) -> None:
    async with centre(tmp_path, SETTINGS) as here:
        status, answer, _ = await here.edge.post(encode_upload(upload(5, 9)))
        assert (status, answer) == (200, {"accepted": 5, "duplicate": 0, "refused": []})


@pytest.mark.parametrize("part", [["a", 1], [], [7], "text"])
def test_a_record_that_is_merely_wrong_is_no_record_of_a_newer_program(part: object) -> None:
    body = ["e1", "ep1", 1, 1, [[1, 1]], {}, [part]]
    packed = zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(body))
    with pytest.raises(PayloadError, match="wire_body"):
        decode_upload(b"TGU\x01" + packed)


@pytest.mark.fault("F20")
@pytest.mark.parametrize("code", ["wire_version", "wire_magic"])
async def test_an_older_collector_that_cannot_read_the_form_costs_no_record(
    tmp_path: Path, code: str
) -> None:
    options = SpoolOptions(group_commit_s=0.001)
    async with (
        fake_centre() as there,
        open_spool(tmp_path / "spool.db", "e1", options) as spool,
        Link(LinkOptions(there.url)) as link,
    ):
        await spool.register("uplink")
        ledger = Ledger(tmp_path / "ledger")
        uplink = Uplink("e1", spool, Policy({}), ledger, link)
        listed = [Listed("e1", "device", f"d{n}", n) for n in range(1, 6)]
        await spool.append(listed, source="test")
        first = await spool.read("uplink", 1)
        await spool.settle("uplink", 1, 1, await uplink.send(first))
        there.poison, there.poisoned = (lambda _: True), code
        with pytest.raises(Unavailable, match="upgrade it; all is kept until then"):
            await uplink.send(await spool.read("uplink", 10))
        there.poison = lambda _: False
        batch = await spool.read("uplink", 10)
        receipt = await uplink.send(batch)
        assert (batch.first, receipt.rejected) == (2, ())
        assert len(there.records) == 5
        ledger.close()
