"""The promise: the book keeps every step of a command, and drops only old ones that have ended."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from edge_agent.commands.book import CommandBook
from edge_agent.commands.order import Order

ORDER = Order(
    id="01", device="d1", profile="p", name="open", args={"to": 1.5}, role="operator", by="me",
    via="mqtt:site", address="a", payload=b"\x00\xff", answer="", accepted=1, expires=2,
    state="accepted", changed=1,
)  # fmt: skip


def test_an_order_and_its_steps_are_found_again_by_another_process(tmp_path: Path) -> None:
    first = CommandBook(tmp_path / "commands.db")
    first.enter(ORDER)
    sent = replace(ORDER, state="sent", sent=5, changed=5)
    first.change(sent)
    first.close()
    again = CommandBook(tmp_path / "commands.db")
    assert again.find("01") == sent
    assert again.open_orders() == [sent]
    assert [step.state for step in again.transitions("01")] == ["accepted", "sent"]
    again.close()


def test_the_oldest_that_ended_goes_and_an_open_one_stays(tmp_path: Path) -> None:
    book = CommandBook(tmp_path / "commands.db", keep=2)
    book.enter(ORDER)
    ended = replace(ORDER, id="02", state="sent", ended=True)
    assert book.enter(ended) == 0
    assert book.enter(replace(ended, id="03")) == 1
    assert [order.id for order in book.latest(10)] == ["03", "01"]
    assert book.transitions("02") == []
    book.close()


def test_a_file_that_is_no_database_is_set_aside_and_made_anew(tmp_path: Path) -> None:
    (tmp_path / "commands.db").write_bytes(b"not a database at all, but long enough to be one")
    book = CommandBook(tmp_path / "commands.db")
    book.enter(ORDER)
    book.close()
    assert (tmp_path / "commands.db.damaged-1").read_bytes().startswith(b"not a database")
