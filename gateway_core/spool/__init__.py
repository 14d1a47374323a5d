"""A durable, append-only log in one SQLite file, with named consumers.

Invariants (tests/core/test_spool_model.py states each one as a property):

* `Spool.append` returns after an fsynced commit, and a record is visible only after it;
* a consumer sees records in ascending order, never one that it settled;
* `Spool.settle` is the only way a cursor moves, and it never moves back;
* what a sink rejects is in ``quarantine`` in the transaction that settles it;
* accepted = delivered + buffered + quarantined + dropped, for every consumer, at any instant.

The file is described to the byte in docs/reference/formats/spool.md.
"""

from __future__ import annotations

from gateway_core.spool.opening import open_spool
from gateway_core.spool.reader import SpoolReader, open_reader
from gateway_core.spool.schema import SpoolDamaged
from gateway_core.spool.shapes import Books, ConsumerBooks, Quarantined, Span, SpoolOptions
from gateway_core.spool.spool import Spool

__all__ = [
    "Books",
    "ConsumerBooks",
    "Quarantined",
    "Span",
    "Spool",
    "SpoolDamaged",
    "SpoolOptions",
    "SpoolReader",
    "open_reader",
    "open_spool",
]
