"""An edge whose JavaScript codecs answer when the test lets them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from device_profiles.catalogue import Catalogue, load_catalogue
from device_profiles.js.source import Source
from device_profiles.js.wire import Result
from edge_agent.foresight import Foresight
from tests.fakes.edge import ENV, Edge, open_edge, write_profile

CODEC = "function Decoder(bytes) { return {n: bytes[0]}; }"

PROFILE = """\
format: 1
id: test/NAME
version: 1.0.0
vendor: Test
model: NAME
match: [MATCH]
device: {id: "{device}"}
decode: [{js: {file: NAME.js, sha256: DIGEST}}]
measurements: {n: {type: int, unit: "1"}}
store: {measurement: NAME}
egress: {class: operational, default: none}
tests:
  - {name: a, recv: {topic: NAME/d1, hex: "01"}, expect: {points: [{n: 1}]}}
  - {name: b, recv: {topic: NAME/d1, hex: "02"}, expect: {points: [{n: 2}]}}
  - {name: c, recv: {topic: NAME/d1, hex: "03"}, expect: {points: [{n: 3}]}}
"""

UPLINK = '{{"deviceInfo": {{"devEui": "{}"}}, "fPort": 1, "data": "BQ=="}}'
"""Of a device that ChirpStack hears."""


class Held:
    """Stands for the workers: answers when the test lets it.

    Attributes:
        open: Cleared, answers wait for it.
        asked: How many messages were decoded.
        together: How many of them in each call.
    """

    def __init__(self, *, hangs: bool = False) -> None:
        self.open = threading.Event()
        if not hangs:
            self.open.set()
        self.asked = 0
        self.together: list[int] = []
        self.hangs = hangs

    def call(self, _source: Source, inputs: Sequence[str], _function: str) -> list[Result]:
        assert self.open.wait(60)
        self.asked += len(inputs)
        self.together.append(len(inputs))
        if self.hangs:
            return [("codec_timeout", "killed")] * len(inputs)
        return [("", f'{{"data": {{"n": {text[10:].split("]")[0]}}}}}') for text in inputs]


def catalogue(folder: Path, held: dict[str, Held], match: str = "") -> Catalogue:
    """Return a plain profile, and one with a codec for each of `held`."""
    write_profile(folder, ENV)
    for name in held:
        (folder / f"{name}.js").write_text(CODEC)
        own = match or f'{{via: mqtt, topic: "{name}/{{device}}", payload: bytes}}'
        text = PROFILE.replace("MATCH", own).replace("NAME", name)
        text = text.replace("DIGEST", hashlib.sha256(CODEC.encode()).hexdigest())
        write_profile(folder, text, f"{name}.yaml")
    found = load_catalogue([folder], shipped=False)
    for name, one in held.items():
        codec = found.profiles[f"test/{name}"].codec
        assert codec is not None
        codec._runtime = lambda one=one: one
    return found


@asynccontextmanager
async def opened(
    folder: Path, held: dict[str, Held], match: str = ""
) -> AsyncIterator[tuple[Edge, Foresight]]:
    async with open_edge(folder, catalogue=catalogue(folder / "profiles", held, match)) as edge:
        foresight = Foresight(edge.pipeline.ingest, edge.reader, edge.ways)
        edge.pipeline.foresee = foresight.answers
        try:
            yield edge, foresight
        finally:
            for one in held.values():
                one.open.set()
            await foresight.close()
