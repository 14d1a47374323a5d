"""JavaScript codecs are asked before a batch is read, so that reading waits for nobody.

Reading a batch is one synchronous step (`pipeline`), and a codec's answer takes up to a quarter of
a second where the codec is bad. So the questions of a batch are found first, answered in worker
processes while the event loop goes on, and only then the batch is read. Questions of several
batches to one codec go together.

Order: what one codec decodes is read in the order in which it came in, across batches; other
messages do not wait for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakKeyDictionary

import structlog

from device_profiles.js.ahead import NOTHING, Answers, Key, known
from device_profiles.js.step import JsCodec
from device_profiles.js.wire import Result
from device_profiles.lint_js import messages_of
from device_profiles.profile import Profile
from edge_agent.arrival import Arrival, Ingest, Parts
from edge_agent.reader import Reader
from edge_agent.ways import Ways
from gateway_core.errors import PayloadError

log = structlog.get_logger()

PATIENCE_S = 0.01
"""How long a whole batch waits for its answers before what has none is read apart."""

MOST_AT_ONCE = 500
"""Questions to one codec that go together."""

THREADS = 32
"""Codecs that are waited for at once; each has one thread while it is asked."""

MOST_PROOFS = 8
"""Vectors by which a codec shows that it works."""

NO_STATE: Mapping[str, bytes | None] = {}


class _Line:
    """The questions to one codec, in order."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[dict[Key, str], asyncio.Future[dict[Key, Result]]]] = deque()
        self.last: asyncio.Future[None] | None = None  # of the group before the next one


class _Group:
    """Arrivals of one batch that the same codecs decode."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.questions: dict[JsCodec, dict[Key, str]] = {}
        self.answers: list[asyncio.Future[dict[Key, Result]]] = []
        self.before: list[asyncio.Future[None]] = []
        self.passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ready(self) -> bool:
        return all(one.done() for one in self.answers) and all(one.done() for one in self.before)

    async def turn(self) -> Answers:
        """Return the answers once all are there and those before were read."""
        found: dict[Key, Result] = {}
        for answer in self.answers:
            found |= await asyncio.shield(answer)
        for earlier in self.before:
            await asyncio.shield(earlier)
        return found

    def go_on(self) -> None:
        """Let the next group be read."""
        if not self.passed.done():
            self.passed.set_result(None)


class Foresight:
    """Stands before the pipeline.

    Args:
        ingest: The pipeline's.
        reader: Knows which route is a device's own.
        ways: Knows which profiles read an address.
    """

    def __init__(self, ingest: Ingest, reader: Reader, ways: Ways) -> None:
        self._ingest = ingest
        self._reader = reader
        self._ways = ways
        self._lines: WeakKeyDictionary[JsCodec, _Line] = WeakKeyDictionary()
        self._asked: dict[int, _Group] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads: ThreadPoolExecutor | None = None

    async def ingest(
        self, arrivals: Sequence[Arrival], state: Mapping[str, bytes | None] = NO_STATE
    ) -> Sequence[str | None]:
        """Take arrivals in as `Ingest` does, once codecs have answered about them."""
        groups = self._groups(arrivals) if self._ways.scripted or self._asked else ()
        if not groups:
            return await self._ingest(arrivals, state)
        try:
            answers: dict[Key, Result] = {}
            for group in groups:
                answers.update(await group.turn())
        finally:
            # The next ones are read in a later step of the loop, and we are read in this one.
            for group in groups:
                group.go_on()
        with known(answers):
            return await self._ingest(arrivals, state)

    async def apart(self, arrivals: Sequence[Arrival]) -> Parts:
        """Return what can be read now, and apart from it what each slow codec decodes.

        Waits a moment, because most codecs answer at once; the parts are then ingested, what can
        be read now before what came later.
        """
        groups = self._ask(arrivals) if self._ways.scripted else []
        if not groups:
            return arrivals, []
        pending = [answer for group in groups for answer in group.answers if not answer.done()]
        if pending:
            await asyncio.wait(pending, timeout=PATIENCE_S)
        late = [group for group in groups if not group.ready()]
        slow = {id(arrival) for group in late for arrival in group.arrivals}
        now = [arrival for arrival in arrivals if id(arrival) not in slow]
        return now, [group.arrivals for group in late]

    async def answers(self, arrivals: Sequence[Arrival]) -> Answers:
        """Return the answers to everything that codecs will be asked about these arrivals."""
        if not self._ways.scripted:
            return NOTHING
        found: dict[Key, Result] = {}
        for at in range(0, len(arrivals), MOST_AT_ONCE):
            wanted: dict[JsCodec, dict[Key, str]] = {}
            for arrival in arrivals[at : at + MOST_AT_ONCE]:
                for codec, key, text in self._questions(arrival):
                    wanted.setdefault(codec, {})[key] = text
            for codec, questions in wanted.items():
                found |= await self._put(codec, questions)
        return found

    async def run(self, profiles: Iterable[Profile]) -> None:
        """Let codecs prove themselves, then stay until cancelled."""
        await self.prove(profiles)
        await asyncio.Event().wait()

    async def prove(self, profiles: Iterable[Profile]) -> None:
        """Let codecs decode their profiles' own vectors, before their devices speak.

        A codec that is known to work does not stand in line with those of which nothing is known.
        """
        loop, asked = asyncio.get_running_loop(), []
        for profile in profiles:
            codec = profile.codec
            if codec is None:
                continue
            inputs = [codec.input_of(*one) for one in messages_of(profile, codec)[:MOST_PROOFS]]
            if inputs:
                asked.append(loop.run_in_executor(self._pool(), codec.ask, inputs))
        for one in asked:
            try:
                await one
            except Exception:
                log.exception("codec_not_proven")

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="codec")
        return self._threads

    async def close(self) -> None:
        """Give up what is being asked."""
        for task in self._tasks:
            task.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _groups(self, arrivals: Sequence[Arrival]) -> list[_Group]:
        """Return the groups of these arrivals, asked for before or now, each once."""
        self._ask(arrivals)
        found: dict[int, _Group] = {}
        for arrival in arrivals:
            group = self._asked.pop(id(arrival), None)
            if group is not None:
                found[id(group)] = group
        return list(found.values())

    def _ask(self, arrivals: Sequence[Arrival]) -> list[_Group]:
        """Put the questions of a batch; return its groups."""
        groups: dict[frozenset[int], _Group] = {}
        for arrival in arrivals:
            if id(arrival) in self._asked:
                continue
            questions = list(self._questions(arrival))
            if not questions:
                continue
            kind = frozenset(id(codec) for codec, _, _ in questions)
            group = groups.get(kind)
            if group is None:
                group = groups[kind] = _Group()
            group.arrivals.append(arrival)
            self._asked[id(arrival)] = group
            for codec, key, text in questions:
                group.questions.setdefault(codec, {})[key] = text
        for group in groups.values():
            for codec, wanted in group.questions.items():
                group.answers.append(self._put(codec, wanted))
                line = self._lines[codec]
                if line.last is not None and not line.last.done():
                    group.before.append(line.last)
                line.last = group.passed
        return list(groups.values())

    def _questions(self, arrival: Arrival) -> Iterator[tuple[JsCodec, Key, str]]:
        """Yield what codecs will be asked about an arrival."""
        way = self._ways.find(arrival.via, arrival.address, arrival.content_format)
        if not way.scripted or arrival.cut:
            return
        routes = way.routes
        if len(routes) > 1:
            own = self._reader.own_place(way, arrival)
            routes = routes if own is None else (routes[own],)
        for part in (part for route in routes for part in route.parts):
            codec = part.codec
            if codec is None:
                continue
            form = arrival.content_format
            try:
                key, text = part.question(codec, arrival.payload, arrival.received, form)
            except PayloadError:
                continue  # refused before the codec is asked
            yield codec, key, text

    def _put(self, codec: JsCodec, questions: dict[Key, str]) -> asyncio.Future[dict[Key, Result]]:
        """Put questions into a codec's line."""
        answer: asyncio.Future[dict[Key, Result]] = asyncio.get_running_loop().create_future()
        line = self._lines.get(codec)
        if line is None:
            line = self._lines[codec] = _Line()
        idle = not line.waiting
        line.waiting.append((questions, answer))
        if idle:
            task = asyncio.get_running_loop().create_task(self._serve(codec, line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return answer

    async def _serve(self, codec: JsCodec, line: _Line) -> None:
        """Answer what waits in a line, as much as possible at once, until nothing does."""
        loop, threads = asyncio.get_running_loop(), self._pool()
        while line.waiting:
            wanted: dict[Key, str] = {}
            served = 0
            for questions, _ in line.waiting:
                if served and len(wanted) + len(questions) > MOST_AT_ONCE:
                    break
                wanted |= questions
                served += 1
            found: dict[Key, Result] = {}
            try:
                texts = list(wanted.values())
                results = await loop.run_in_executor(threads, codec.ask, texts)
                found = dict(zip(wanted, results, strict=True))
            except Exception:
                log.exception("codec_not_asked", codec=codec.source.digest)
            for _ in range(served):
                questions, answer = line.waiting.popleft()
                if not answer.done():
                    answer.set_result(_with_any_time(questions, found))


def _with_any_time(questions: dict[Key, str], found: dict[Key, Result]) -> dict[Key, Result]:
    """Return the answers to these questions, to be found also where the receive time moved on."""
    answers: dict[Key, Result] = {}
    for key in questions:
        if key in found:
            answers[key] = found[key]
            if isinstance(key[3], int):
                answers.setdefault((*key[:3], None), found[key])
    return answers
