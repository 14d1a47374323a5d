"""Clients that others wrote are served as by any broker, and acknowledged once it is stored."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import gmqtt
import paho.mqtt.client as paho
import pytest
import trustme

from edge_agent.downlink import Downlink, NotSent
from edge_agent.sources.listen.source import ListenSource
from edge_agent.sources.listen.users import hash_key, hash_password
from gateway_core.errors import SpoolFull
from tests.edge_agent.listen.conftest import listening
from tests.edge_agent.listen.test_listen_protocol import V5
from tests.fakes.ingest import FakeIngest

VERSIONS = pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])


async def mosquitto(
    program: str, source: ListenSource, *args: str, stdin: str = ""
) -> tuple[int, str]:
    """Run mosquitto_pub or mosquitto_sub; return exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        program, "-h", "127.0.0.1", "-p", str(source.ports[0]), *args,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(20):
        out, _ = await process.communicate(stdin.encode())
    return process.returncode or 0, out.decode()


async def test_a_connection_that_ended_is_gone_without_the_garbage_collector() -> None:
    async with listening(FakeIngest()) as source:
        _, writer = await asyncio.open_connection("127.0.0.1", source.ports[0])
        writer.write(V5)
        while not source.states()["connected"]:
            await asyncio.sleep(0.01)
        (visit,) = (weakref.ref(each) for each in source.visits)
        gc.disable()
        try:
            writer.close()
            async with asyncio.timeout(20):
                while visit() is not None:
                    await asyncio.sleep(0.01)
        finally:
            gc.enable()


@VERSIONS
@pytest.mark.parametrize("qos", ["0", "1", "2"])
async def test_mosquitto_publishes_with_each_qos(version: str, qos: str) -> None:
    ingest = FakeIngest()
    lines = "".join(f"{n}\n" for n in range(500))
    async with listening(ingest) as source:
        args = ("-V", version, "-t", "tg/a/up", "-q", qos, "-l")
        assert await mosquitto("mosquitto_pub", source, *args, stdin=lines) == (0, "")
        await ingest.until(500)
    assert ingest.payloads() == [str(n).encode() for n in range(500)]
    assert {each.source for each in ingest.stored} == {"mqtt_listen:devices"}


@VERSIONS
async def test_a_packet_that_is_too_large_ends_the_connection_and_stores_nothing(
    version: str,
) -> None:
    ingest = FakeIngest()
    async with listening(ingest) as source:
        args = ("-V", version, "-t", "tg/a/up", "-q", "1", "-m", "x" * 5000)
        await mosquitto("mosquitto_pub", source, *args)
        args = ("-V", version, "-t", "tg/a/up", "-q", "1", "-m", "x" * 3000)
        assert (await mosquitto("mosquitto_pub", source, *args))[0] == 0
    assert [len(payload) for payload in ingest.payloads()] == [3000]


async def test_a_device_that_goes_without_a_word_says_its_will() -> None:
    ingest = FakeIngest()
    async with listening(ingest) as source:
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="d1")
        client.will_set("tg/d1/online", "offline", qos=1)
        client.connect("127.0.0.1", source.ports[0])
        client.loop_start()
        await asyncio.to_thread(client.publish("tg/d1/up", "1", qos=1).wait_for_publish, 10)
        client._sock.close()
        client.loop_stop()
        await ingest.until(2)
    assert [(a.address, a.payload) for a in ingest.stored] == [
        ("tg/d1/up", b"1"),
        ("tg/d1/online", b"offline"),
    ]


async def test_paho_sends_again_what_was_stored_before_the_agent_died_and_it_is_known(
    tmp_path: Path,
) -> None:
    ingest = FakeIngest()
    async with listening(ingest) as source:
        port = source.ports[0]
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="d1", clean_session=False)
        client.reconnect_delay_set(1, 1)
        client.connect("127.0.0.1", port)
        client.loop_start()
        sent = [client.publish("tg/d1/up", "same words", qos=qos) for qos in (1, 2) * 10]
        ingest.on_commit = lambda: source._line.__dict__.update(
            on_acknowledged=lambda _words: None
        )  # stored, and nobody hears of it
        await ingest.until(1)
    ingest.on_commit = lambda: None
    async with listening(ingest, listen=f"127.0.0.1:{port}"):
        for each in sent:
            await asyncio.to_thread(each.wait_for_publish, 20)
        client.disconnect()
        client.loop_stop()
    assert ingest.payloads() == [b"same words"] * 20


async def test_while_the_disk_is_full_nobody_is_acknowledged_and_nothing_is_lost() -> None:
    ingest = FakeIngest()
    ingest.trouble = SpoolFull("full")
    async with (
        listening(ingest) as source,
        aiomqtt.Client("127.0.0.1", source.ports[0], identifier="d1") as client,
        asyncio.TaskGroup() as tasks,
    ):
        published = tasks.create_task(client.publish("tg/d1/up", "1", qos=1, timeout=30))
        await ingest.when(lambda: ingest.calls > 2)
        assert not published.done()
        ingest.trouble = None
    assert ingest.payloads() == [b"1"]


@VERSIONS
async def test_a_command_reaches_the_device_that_subscribed_and_no_other(version: str) -> None:
    async with listening(FakeIngest()) as source:
        with pytest.raises(NotSent):
            await source.publish(Downlink("cmd/d1", b"on"))
        args = ("-V", version, "-i", "d1", "-q", "1", "-t", "cmd/d1", "-C", "1")
        async with asyncio.TaskGroup() as tasks:
            heard = tasks.create_task(mosquitto("mosquitto_sub", source, *args))
            while not source.house.sessions._hearers:
                await asyncio.sleep(0.01)
            await source.publish(Downlink("cmd/d1", b"on", expiry_s=30))
        assert heard.result() == (0, "on\n")
        status, said = await mosquitto("mosquitto_sub", source, "-V", version, "-t", "#", "-C", "1")
        assert "denied" in said.lower() or status != 0


async def test_a_login_is_needed_and_names_the_topics_that_a_device_has(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"d1:{hash_key('key-1')}\nd2:{hash_password('word')}\n@all:{hash_key('k')}\n")
    ingest = FakeIngest()
    async with listening(ingest, anonymous=False, users_file=str(users)) as source:

        async def publish(*args: str, topic: str = "tg/d1/up") -> str:
            args = ("-V", "mqttv5", "-q", "1", "-m", "x", "-t", topic, *args)
            return (await mosquitto("mosquitto_pub", source, *args))[1]

        assert await publish("-u", "d1", "-P", "key-1") == ""
        assert await publish("-u", "d2", "-P", "word", topic="tg/d2/up") == ""
        assert await publish("-u", "@all", "-P", "k", "-i", "d3", topic="tg/d3/up") == ""
        assert "ot authori" in await publish("-u", "d1", "-P", "key-1", topic="tg/d2/up")
        assert "bad user" in (await publish("-u", "d1", "-P", "wrong")).lower()
        assert "bad user" in (await publish("-u", "nobody", "-P", "x")).lower()
        assert "ot authori" in await publish()
    assert [each.address for each in ingest.stored] == ["tg/d1/up", "tg/d2/up", "tg/d3/up"]


@contextlib.asynccontextmanager
async def encrypted(
    tmp_path: Path, ingest: FakeIngest
) -> AsyncIterator[tuple[ListenSource, list[str]]]:
    authority = trustme.CA()
    server, device = authority.issue_cert("127.0.0.1"), authority.issue_cert(common_name="d1")
    (tmp_path / "key").write_bytes(server.private_key_pem.bytes())
    (tmp_path / "cert").write_bytes(b"".join(each.bytes() for each in server.cert_chain_pems))
    (tmp_path / "device-key").write_bytes(device.private_key_pem.bytes())
    (tmp_path / "device-cert").write_bytes(device.cert_chain_pems[0].bytes())
    authority.cert_pem.write_to_path(tmp_path / "ca")
    tls = {
        "cert_file": tmp_path / "cert",
        "key_file": tmp_path / "key",
        "client_ca_file": tmp_path / "ca",
    }
    async with listening(ingest, anonymous=False, tls=tls) as source:
        yield source, ["--cafile", str(tmp_path / "ca")]


@VERSIONS
async def test_a_certificate_is_a_login(version: str, tmp_path: Path) -> None:
    ingest = FakeIngest()
    async with encrypted(tmp_path, ingest) as (source, authority):
        own = ["--cert", str(tmp_path / "device-cert"), "--key", str(tmp_path / "device-key")]
        args = ["-V", version, "-q", "1", "-m", "x", *authority]
        assert (await mosquitto("mosquitto_pub", source, *args, *own, "-t", "tg/d1/up"))[0] == 0
        await mosquitto("mosquitto_pub", source, *args, *own, "-t", "tg/d2/up")
        assert (await mosquitto("mosquitto_pub", source, *args, "-t", "tg/d1/up"))[0] != 0
    assert [each.address for each in ingest.stored] == ["tg/d1/up"]


async def test_slow_and_silent_connections_are_closed_and_harm_nobody() -> None:
    ingest = FakeIngest()
    async with listening(ingest, handshake="0.5s") as source:
        silent = [await asyncio.open_connection("127.0.0.1", source.ports[0]) for _ in range(50)]
        _, dribbling = await asyncio.open_connection("127.0.0.1", source.ports[0])
        dribbling.write(b"\x10")
        args = ("-t", "tg/a/up", "-q", "1", "-m", "x")
        assert (await mosquitto("mosquitto_pub", source, *args))[0] == 0
        async with asyncio.timeout(10):
            assert [await reader.read() for reader, _ in silent] == [b""] * 50
            while source.visits:
                await asyncio.sleep(0.05)
        for _, writer in silent:
            writer.close()
        dribbling.close()
    assert ingest.payloads() == [b"x"]


@pytest.mark.parametrize("version", [4, 5])
async def test_gmqtt_publishes_comes_back_to_its_session_and_hears_its_commands(
    version: int,
) -> None:
    ingest = FakeIngest()
    heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def on_message(_: object, topic: str, payload: bytes, *_more: object) -> int:
        heard.put_nowait((topic, payload))
        return 0

    async with listening(ingest) as source:
        for first in (0, 50):
            client = gmqtt.Client("d1", clean_session=False, session_expiry_interval=3600)
            client.on_message = on_message
            await client.connect("127.0.0.1", source.ports[0], version=version)
            if not first:
                client.subscribe("cmd/d1", qos=1)
            for n in range(first, first + 50):
                client.publish("tg/d1/up", str(n), qos=1 + n % 2)
            await ingest.until(first + 50)
            await source.publish(Downlink("cmd/d1", b"on"))
            assert await asyncio.wait_for(heard.get(), 10) == ("cmd/d1", b"on")
            await client.disconnect()
    assert sorted(map(int, ingest.payloads())) == list(range(100))
