"""A hostile document is refused or read in part; it fetches nothing, and costs what its length costs."""

from __future__ import annotations

import asyncio
import sys

import pytest

from edge_agent.cameras.parse import read_document
from edge_agent.cameras.sdp import parse_sdp
from gateway_core.errors import PayloadError
from tests.fakes.hostile import watched
from tests.fakes.hostile_documents import SDP, XML


def test_there_are_thirty_documents_and_more() -> None:
    assert len(XML) >= 30
    assert len(SDP) >= 20


@pytest.mark.parametrize("name", XML)
def test_a_hostile_answer_is_refused_by_name_or_read_without_fetching(name: str) -> None:
    data, code = XML[name]
    refused = ""
    with watched() as asked:
        try:
            document = read_document(data)
        except PayloadError as exc:
            refused = exc.code

    assert refused == code
    assert asked == []
    if not code:
        assert document.root.name == "Envelope"
        assert "root:" not in "".join(each.text for each in document.root.children())


@pytest.mark.parametrize("name", SDP)
def test_a_hostile_description_says_what_it_says_and_no_more(name: str) -> None:
    body, tracks = SDP[name]

    assert parse_sdp(body) == tracks


async def test_all_of_them_are_read_in_ten_seconds_and_a_hundred_megabytes() -> None:
    # The limits are the kernel's: a reader whose time grows with the square of the length needs minutes.
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", "from tests.fakes.hostile_documents import read_all_within as r; r(10, 100)"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()

    assert (process.returncode, out.decode().strip()) == (0, "read all"), err.decode()[-500:]
