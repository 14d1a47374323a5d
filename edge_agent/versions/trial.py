"""``python -m edge_agent.versions.trial``: try a version on the raw store, in a process of its own.

It is given a `Job` as one line of JSON and answers with lines of JSON, each a `Progress`. Being
another process, and a patient one, it can neither hold up the agent nor take it down with it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from device_profiles.profile import Profile, load_profile
from edge_agent.raw.reader import Damage, RawReader
from edge_agent.versions.compare import Comparison, Summary
from gateway_core.clock import monotonic
from gateway_core.errors import ConfigError

PATIENCE = 10
"""Niceness: what is left of the processor is enough."""
LOOK_S = 1.0
TELL_S = 2.0
_OFTEN = 256


class Job(msgspec.Struct, frozen=True):
    """What to try.

    Attributes:
        raw: The raw store's folder.
        new: File of the version that is tried.
        old: File of the version in use; empty: there is none.
        since: Oldest receive time, nanoseconds since 1970.
        limit: Most messages; 0: no limit.
        follow: Go on with what comes in, until the process is ended.
    """

    raw: str
    new: str
    old: str = ""
    since: int = 0
    limit: int = 0
    follow: bool = False


class Progress(msgspec.Struct, frozen=True):
    """One line of the answer.

    Attributes:
        share: Part of the raw store that has been read, 0 to 1.
        done: Whether this is the last line.
        summary: What was found so far.
        trouble: Why it could not be tried; empty when it could.
    """

    share: float
    done: bool
    summary: Summary
    trouble: str = ""


def compare(job: Job) -> Iterator[Progress]:
    """Do a job; the last line says so, unless the job follows what comes in.

    Raises:
        ConfigError: A version does not load.
    """
    new = load_profile(Path(job.new))
    old = _loaded(job.old)
    damage: list[Damage] = []
    reader = RawReader(Path(job.raw), damage.append)
    comparison = Comparison(old, new)
    ahead = max(1, reader.size_ahead())
    told, taken = monotonic(), 0
    while True:
        for number, message in enumerate(reader.read(job.since)):
            taken += comparison.take(message)
            if job.limit and taken >= job.limit:
                yield Progress(1.0, done=True, summary=comparison.summary(len(damage)))
                return
            if number % _OFTEN == 0 and monotonic() - told >= TELL_S:
                told = monotonic()
                share = 1.0 - min(1.0, reader.size_ahead() / ahead)
                yield Progress(share, done=False, summary=comparison.summary(len(damage)))
        yield Progress(1.0, done=not job.follow, summary=comparison.summary(len(damage)))
        if not job.follow:
            return
        time.sleep(LOOK_S)


def _loaded(file: str) -> Profile | None:
    return load_profile(Path(file)) if file else None


def main(read: Callable[[], bytes], write: Callable[[bytes], object], parent: int) -> int:
    """Do the job that ``read`` returns until it is done or ``parent`` is gone."""
    job = msgspec.json.decode(read(), type=Job)
    try:
        for progress in compare(job):
            write(msgspec.json.encode(progress) + b"\n")
            if os.getppid() != parent:
                return 1
    except ConfigError as exc:
        write(msgspec.json.encode(Progress(0.0, done=True, summary=Summary(), trouble=str(exc))))
        return 2
    return 0


if __name__ == "__main__":
    os.nice(PATIENCE)

    def _write(line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    sys.exit(main(sys.stdin.buffer.readline, _write, os.getppid()))
