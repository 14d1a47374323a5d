"""IT systems: two of three checks decide, and what is broken on our side says nothing of theirs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from edge_agent.systems.inventory import System, load_systems
from edge_agent.systems.probe import Outcome, new_session, probe
from edge_agent.systems.verdict import Verdict
from edge_agent.systems.watch import Watch
from gateway_core.clock import NS
from gateway_core.errors import ConfigError, SpoolFull
from gateway_core.model import Alarm, Listed, Record, SystemHealth
from tests.fakes.broker import free_port
from tests.fakes.running import running

GOOD = Outcome("good", "", 3.0)
SILENT = Outcome("silent", "timeout")
WRONG = Outcome("wrong", "status_500", 2.0)
BLIND = Outcome("blind", "no_route")


def follow(*outcomes: Outcome) -> list[tuple[str, bool] | None]:
    """Return state and hourly of what is recorded after each outcome, one minute apart."""
    verdict = Verdict("e1", "s1", 0)
    records = [verdict.step(each, (n + 1) * 60 * NS) for n, each in enumerate(outcomes)]
    return [(r.state, r.hourly) if r else None for r in records]


def test_a_first_good_answer_is_up_at_once() -> None:
    assert follow(GOOD) == [("up", False)]


def test_one_lost_check_is_not_down() -> None:
    assert follow(GOOD, SILENT, GOOD) == [("up", False), None, None]


def test_two_of_three_lost_checks_are_down_and_two_good_ones_up_again() -> None:
    assert follow(GOOD, SILENT, SILENT, GOOD, GOOD) == [
        ("up", False), None, ("down", False), None, ("up", False),
    ]  # fmt: skip


def test_an_answer_that_is_not_the_expected_one_is_degraded() -> None:
    assert follow(GOOD, WRONG, WRONG)[-1] == ("degraded", False)


def test_a_broken_way_on_our_side_is_unknown_and_not_down() -> None:
    assert follow(GOOD, BLIND, BLIND)[-1] == ("unknown", False)


def test_without_change_there_is_one_record_an_hour_with_its_sums() -> None:
    verdict = Verdict("e1", "s1", 0)
    verdict.step(GOOD, 60 * NS)
    told = [verdict.step(GOOD, (n + 2) * 60 * NS) for n in range(60)]
    hourly = [each for each in told if each is not None]
    assert hourly == [
        SystemHealth("e1", "s1", 61 * 60 * NS, "up", (), 60, 0, 3.0, 3600.0, hourly=True)
    ]


def system(name: str, target: str, kind: str = "tcp", /, **more: object) -> System:
    return System.model_validate({"id": name, "kind": kind, "target": target, **more})


async def test_a_port_that_accepts_is_good_over_ipv6_and_ipv4() -> None:
    for host, shown in (("::1", "[::1]"), ("127.0.0.1", "127.0.0.1")):
        server = await asyncio.start_server(lambda _r, w: w.close(), host, 0)
        port = server.sockets[0].getsockname()[1]
        async with server, new_session() as session:
            outcome = await probe(system("s", f"{shown}:{port}"), session)
        assert outcome.verdict == "good"
        assert outcome.rtt_ms is not None


async def test_a_closed_port_is_silent_and_says_refused() -> None:
    async with new_session() as session:
        outcome = await probe(system("s", f"127.0.0.1:{free_port()}"), session)
    assert (outcome.verdict, outcome.fault) == ("silent", "refused")


async def test_a_peer_that_never_answers_is_silent_after_the_timeout() -> None:
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _r, w: held.append(w), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, new_session() as session:
        target = f"http://127.0.0.1:{port}/"
        outcome = await probe(system("s", target, "http", timeout=0.05), session)
        for writer in held:
            writer.close()
    assert (outcome.verdict, outcome.fault) == ("silent", "timeout")


@pytest.mark.parametrize(
    ("path", "expect", "verdict", "fault"),
    [
        ("/ok", [200], "good", ""),
        ("/broken", [200], "wrong", "status_500"),
        ("/broken", [200, 500], "good", ""),
        ("/away", [200], "wrong", "status_302"),
    ],
)
async def test_an_http_status_is_held_against_what_is_expected(
    path: str, expect: list[int], verdict: str, fault: str
) -> None:
    application = web.Application()
    application.router.add_get("/ok", _answering(200))
    application.router.add_get("/broken", _answering(500))
    application.router.add_get("/away", _answering(302))
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "::1", 0).start()
    port = runner.addresses[0][1]
    async with new_session() as session:
        outcome = await probe(
            system("s", f"http://[::1]:{port}{path}", "http", expect=expect), session
        )
    await runner.cleanup()
    assert (outcome.verdict, outcome.fault) == (verdict, fault)


def _answering(status: int) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "/ok"})

    return answer


async def test_something_that_does_not_speak_http_is_wrong() -> None:
    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x01 not http\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, new_session() as session:
        outcome = await probe(system("s", f"http://127.0.0.1:{port}/", "http"), session)
    assert outcome.verdict == "wrong"


class Store:
    """Keeps what it is given; ``full`` refuses."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.full = False
        self.grew = asyncio.Event()

    async def __call__(self, source: str, records: Sequence[Record]) -> None:
        assert source == "systems"
        if self.full:
            raise SpoolFull("no room")
        self.records += records
        self.grew.set()


def watch(store: Store, *systems: System) -> Watch:
    return Watch("e1", "3716", systems, store, lambda: 5 * NS, random.Random(1))


def test_when_nothing_answers_anywhere_the_fault_is_ours() -> None:
    one, two = system("a", "10.0.0.1:1"), system("b", "10.0.0.2:1")
    judge = watch(Store(), one, two)
    for each in (one, two, one, two):
        judge.judge(each, SILENT)
    assert judge.states() == {"a": "unknown", "b": "unknown"}


def test_while_another_system_answers_silence_is_down_with_an_alarm() -> None:
    one, two = system("a", "10.0.0.1:1"), system("b", "10.0.0.2:1")
    judge = watch(Store(), one, two)
    judge.judge(two, GOOD)
    judge.judge(one, SILENT)
    down = judge.judge(one, SILENT)
    judge.judge(one, GOOD)
    up = judge.judge(one, GOOD)
    assert [r.state for r in (*down, *up) if isinstance(r, SystemHealth)] == ["down", "up"]
    alarms = [(r.rule, r.state) for r in (*down, *up) if isinstance(r, Alarm)]
    assert alarms == [("system_down", "raised"), ("system_down", "cleared")]


async def test_a_watch_announces_its_systems_and_records_their_first_state() -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), "::1", 0)
    port = server.sockets[0].getsockname()[1]
    store = Store()
    async with server, asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(
            watch(store, system("db", f"[::1]:{port}", every=1, name="数据库")).run()
        )
        while not any(isinstance(record, SystemHealth) for record in store.records):
            store.grew.clear()
            await store.grew.wait()
        running.cancel()
    assert store.records[0] == Listed("e1", "system", "db", 5 * NS, "数据库", area="3716")
    assert [r.state for r in store.records if isinstance(r, SystemHealth)] == ["up"]


def test_systems_yaml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "systems.yaml"
    path.write_text(
        "systems:\n"
        "  - {id: db, name: Database, kind: tcp, target: '[2001:db8::5]:5432', every: 30s}\n"
        "  - {id: web, kind: http, target: 'https://[2001:db8::6]/health', expect: [200, 204]}\n"
    )
    one, two = load_systems(path)
    assert one.address == ("2001:db8::5", 5432)
    assert two.address == ("2001:db8::6", 443)


@pytest.mark.parametrize(
    "line",
    [
        "{id: db, kind: tcp, target: nowhere}",
        "{id: db, kind: http, target: 'http://u:p@host/'}",
        "{id: db, kind: smtp, target: 'a:25'}",
        "{id: 'a b', kind: tcp, target: 'a:25'}",
    ],
)
def test_a_mistake_in_systems_yaml_is_told(tmp_path: Path, line: str) -> None:
    path = tmp_path / "systems.yaml"
    path.write_text(f"systems:\n  - {line}\n")
    with pytest.raises(ConfigError, match=r"systems\.yaml:2:"):
        load_systems(path)


async def test_a_list_without_systems_is_no_part_that_waits_for_ever(tmp_path: Path) -> None:
    (tmp_path / "systems.yaml").write_text("systems: []\n")
    file = tmp_path / "edge.yaml"
    file.write_text(
        "edge: {id: e1, data_dir: var}\n"
        "systems: {file: systems.yaml}\n"
        f"admin: {{listen: '127.0.0.1:{free_port()}'}}\n"
    )
    async with running(file) as agent:
        assert "systems" not in agent._parts.running
