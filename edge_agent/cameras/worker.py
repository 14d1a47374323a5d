"""The picture worker: a program of its own that measures one JPEG after the other.

The parent (`grader`) writes four lengths (4 bytes each, big-endian: the JPEG, its width and height,
the profile of the picture before), the profile and the JPEG, and reads a length and a MessagePack
`Measures`, or nothing where the picture is broken. A decoder that hangs, crashes or eats memory
takes only this process along.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from edge_agent.cameras.frame import measure, quieten

MAX_JPEG = 16 * 1024 * 1024
MAX_PROFILE = 1024
MEMORY = 768 * 1024 * 1024
"""Bytes that decoding may take on top of the loaded libraries."""


def confine() -> None:
    """Give up what decoding does not need: memory, files, core dumps, more CPU than its share."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    mapped = int(pages) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer one picture after the other until the parent closes the pipe."""
    while len(head := source.read(16)) == 16:
        numbers = (int.from_bytes(head[at : at + 4], "big") for at in (0, 4, 8, 12))
        length, width, height, profile = numbers
        if length > MAX_JPEG or profile > MAX_PROFILE:
            return
        before = source.read(profile)
        measures = measure(source.read(length), width, height, before)
        answer = msgspec.msgpack.encode(measures) if measures is not None else b""
        sink.write(len(answer).to_bytes(4, "big") + answer)
        sink.flush()


if __name__ == "__main__":
    quieten()
    confine()
    serve(sys.stdin.buffer, sys.stdout.buffer)
