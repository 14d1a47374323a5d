"""Answers of codecs that were asked for before they are needed.

A codec's answer takes time in another process. Whoever must not wait asks ahead, elsewhere, and
lets what then decodes find the answers: the same input has the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from device_profiles.js.wire import Result

Key = tuple[int, bytes, int | None, str | int | None]
"""Which codec (its identity), the device's bytes, the port, and the time that the codec is told:
the network server's text, else the second in which the message came in, else None for any: a
message that is read late has a receive time that is a little later than when it was asked about."""

Answers = Mapping[Key, Result]

NOTHING: Answers = {}
_answers: ContextVar[Answers] = ContextVar("answers of codecs", default=NOTHING)


@contextmanager
def known(answers: Answers) -> Iterator[None]:
    """Let decoding within the ``with`` block, in this task, find these answers."""
    token = _answers.set(answers)
    try:
        yield
    finally:
        _answers.reset(token)


def known_answers() -> Answers:
    """Return the answers that are known here."""
    return _answers.get()
