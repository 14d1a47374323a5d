"""The named points at which a program is ended in the middle, and what each of them is.

Nothing in the programs knows of them: `tests.faults.killed_at` wraps the functions that they name
before it runs the program, so they cost nothing where they are not wanted and nobody can switch
them on. A function that is renamed is missed at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Point:
    """One point.

    Attributes:
        name: Of the point.
        where: ``module:attribute`` or ``module:Class.attribute`` of a function.
        when: Whether before it is called or after it returned.
        nth: At which call, from 1.
        then: What has been done by then, for people.
        needs: What must be asked for so that the program comes there; empty for nothing.
        hurry: ``module:attribute`` of a pause in seconds that is made one second.
    """

    name: str
    where: str
    when: Literal["before", "after"]
    nth: int
    then: str
    needs: Literal["", "backup", "refill", "pin"] = ""
    hurry: str = ""


EDGE = (
    Point("edge-migration", "edge_agent.register:_table", "before", 5,
          "in the middle of a step of the registry's migration"),
    Point("edge-decoded", "gateway_core.spool.spool:Spool.append", "before", 20,
          "messages are decoded, nothing is stored"),
    Point("edge-in-commit", "gateway_core.spool.committer:Committer._end", "before", 20,
          "all is written, COMMIT is not"),
    Point("edge-committed", "edge_agent.pipeline:Pipeline.ingest", "after", 10,
          "committed, no PUBACK has left"),
    Point("edge-entered", "edge_agent.ledger:Ledger.enter", "after", 3,
          "entered in the egress ledger, nothing has left"),
    Point("edge-uploaded", "edge_agent.uplink:Uplink._post", "after", 3,
          "the collector has it, its receipt is not looked at"),
    Point("edge-receipt", "edge_agent.uplink:Uplink.send", "after", 3,
          "the receipt is known, the cursor has not moved"),
    Point("edge-archived", "edge_agent.archive:Archive.send", "after", 3,
          "the archive's files have their names, the cursor has not moved"),
    Point("edge-raw-file", "edge_agent.raw.shelf:RawShelf._begin", "after", 1,
          "the raw store begins another file"),
    Point("edge-expiry", "gateway_core.spool.room:expire", "after", 1,
          "old segments are removed, COMMIT is not",
          hurry="gateway_core.spool.committer:TIDY_S"),
    Point("edge-pin", "edge_agent.holdings.versions:write_lock", "after", 1,
          "a version of a profile is switched and on disk, nobody was told", "pin"),
    Point("edge-refill", "edge_agent.refill:Refill._send", "after", 1,
          "something is sent again, its receipt is known, nothing is noted", "refill"),
)  # fmt: skip
"""In the order in which an edge is ended at them."""

CENTRE = (
    Point("centre-migration", "collector.registry.database:_catch_up", "before", 1,
          "the registry's tables are made, its schema is not entered"),
    Point("centre-in-commit", "gateway_core.spool.committer:Committer._end", "before", 8,
          "an upload is written, COMMIT is not"),
    Point("centre-committed", "collector.reception:Reception.receive", "after", 3,
          "an upload is committed, no answer has left"),
    Point("centre-stored", "collector.sinks.timeseries:TimeSeriesSink.send", "after", 2,
          "the time-series store has it, the cursor has not moved"),
    Point("centre-registered", "collector.registry.sink:RegistrySink.send", "after", 2,
          "the registry has it, the cursor has not moved"),
    Point("centre-backup", "collector.timeseries.copying:StoreCopy.write", "after", 1,
          "one of the files of a backup is copied", "backup"),
)  # fmt: skip
"""Likewise a collector."""
