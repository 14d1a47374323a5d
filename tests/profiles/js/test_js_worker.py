"""One worker that is confined, killed when it hangs, replaced, and never blamed on the innocent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_profiles.js.breaker import Breaker
from device_profiles.js.child import Child
from device_profiles.js.installed import why_not
from device_profiles.js.runtime import Runtime
from device_profiles.js.slots import Slots, Standing
from gateway_core.clock import monotonic
from gateway_core.errors import PayloadError
from tests.fakes.codecs_in_js import CONTEXT, GOOD, PAYLOAD, Shifted, codec, decoded

HANGS = """
function decodeUplink(i) {
  if (i.bytes[0] === 255) { var a = new Float64Array(1.5e6); for (;;) { a.sort(); a.reverse(); } }
  return {data: {n: i.bytes[0]}};
}
"""
"""Runs past the engine's own limit, because native code asks nobody for the time."""


@pytest.fixture
def clock() -> Shifted:
    return Shifted()


@pytest.fixture
def mended(clock: Shifted) -> Iterator[Runtime]:
    runtime = Runtime(clock)
    yield runtime
    runtime.close()


def _of(pid: int, file: str) -> str:
    return Path(f"/proc/{pid}/{file}").read_text()


def test_there_is_no_worker_before_the_first_message(mended: Runtime) -> None:
    one = codec(mended, GOOD)
    assert mended.workers == []
    one(PAYLOAD, CONTEXT)
    assert len(mended.workers) == 1


def test_the_worker_is_confined(runtime: Runtime) -> None:
    assert decoded(runtime, GOOD) == {"battery": 92, "port": 85}
    (pid,) = runtime.workers
    limits = {
        " ".join(words[:-3]): words[-3:-1]
        for line in _of(pid, "limits").splitlines()[1:]
        if (words := line.split())
    }
    assert limits["Max address space"] == ["536870912", "536870912"]
    assert limits["Max open files"] == ["16", "16"]
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max file size"] == ["0", "0"]
    assert "NoNewPrivs:\t1" in _of(pid, "status")
    assert os.getpgid(pid) == pid
    environment = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    assert {line.partition("=")[0] for line in environment if line} <= {
        "PYTHONPATH", "PYTHONUTF8", "TZ", "LC_CTYPE",
    }  # fmt: skip


def test_the_worker_dies_with_the_program_however_that_ends() -> None:
    program = (
        "import sys, threading\n"
        "from tests.fakes.codecs_in_js import GOOD, decoded\n"
        "from device_profiles.js.runtime import shared\n"
        "one = threading.Thread(target=decoded, args=(shared(), GOOD))\n"
        "one.start(); one.join()\n"
        "print(shared().workers[0], decoded(shared(), GOOD), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, _, values = parent.stdout.readline().strip().partition(" ")
        assert values == "{'battery': 92, 'port': 85}"
        worker = os.pidfd_open(int(pid))
        parent.kill()
        parent.wait()
    ended = threading.Event()

    def wait() -> None:
        import select

        select.select([worker], [], [])
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    assert ended.wait(30)
    os.close(worker)


def test_a_worker_that_died_while_idle_is_replaced_and_nobody_is_blamed(runtime: Runtime) -> None:
    assert decoded(runtime, GOOD) == {"battery": 92, "port": 85}
    (first,) = runtime.workers
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert decoded(runtime, GOOD) == {"battery": 92, "port": 85}
    assert runtime.workers != [first]


def test_a_codec_that_hangs_is_killed_then_quarantined_for_longer_each_time(
    mended: Runtime, clock: Shifted
) -> None:
    bad, good = b"\xff", b"\x05"
    seen = []
    for _ in range(4):
        seen.append(decoded(mended, HANGS, bad))
        if seen[-1] == "codec_quarantined":
            break
    assert set(seen[:-1]) == {"codec_timeout"}
    assert seen[-1] == "codec_quarantined"
    workers = mended.workers
    assert decoded(mended, HANGS, good) == "codec_quarantined"  # refused at once
    assert mended.workers == workers
    assert decoded(mended, GOOD) == {"battery": 92, "port": 85}
    clock.by += 31
    assert decoded(mended, HANGS, good) == {"n": 5}
    assert decoded(mended, HANGS, bad) == "codec_timeout"
    clock.by += 31  # the second time it is a minute
    assert decoded(mended, HANGS, good) == "codec_quarantined"
    clock.by += 31
    assert decoded(mended, HANGS, good) == {"n": 5}


def test_in_a_batch_only_the_message_that_hangs_is_refused(mended: Runtime) -> None:
    one = codec(mended, HANGS)
    found = one.decode_many([(bytes([n]), CONTEXT) for n in (1, 2, 255, 4)])
    assert [item.code if isinstance(item, PayloadError) else item for item in found] == [
        {"n": 1}, {"n": 2}, "codec_timeout", {"n": 4}
    ]  # fmt: skip


def test_a_batch_is_what_its_messages_are_one_by_one(runtime: Runtime) -> None:
    one = codec(runtime, GOOD)
    messages = [(bytes([1, 2, n % 256]), CONTEXT) for n in range(250)]
    assert one.decode_many(messages) == [one(*message) for message in messages]


def test_hidden_state_is_noticed_and_every_message_gets_a_context_of_its_own(
    mended: Runtime,
) -> None:
    text = "var n = 0; function Decoder() { n += 1; return {n: n}; }"
    one = codec(mended, text)
    assert [one(PAYLOAD, CONTEXT)["n"] for _ in range(5)] == [1, 1, 1, 1, 1]
    (pid,) = mended.workers
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert [one(PAYLOAD, CONTEXT)["n"] for _ in range(2)] == [1, 1]


def test_the_check_tells_hidden_state_from_the_clock(runtime: Runtime) -> None:
    messages = [(bytes([n]), CONTEXT) for n in range(4)]
    hidden = "var last; function Decoder(b) { var was = last; last = b[0]; return {was: was}; }"
    clock = "function Decoder() { return {now: Date.now(), chance: Math.random()}; }"
    assert codec(runtime, hidden).keeps_state(messages)
    assert not codec(runtime, clock).keeps_state(messages)
    assert not codec(runtime, GOOD).keeps_state(messages)


def test_a_fresh_codec_never_sees_what_it_left(runtime: Runtime) -> None:
    text = "var n = 0; function Decoder() { return {n: n++}; }"
    one = codec(runtime, text, fresh=True)
    assert [one(PAYLOAD, CONTEXT) for _ in range(3)] == [{"n": 0}] * 3


@pytest.mark.parametrize("many", [80, 300])
def test_many_codecs_take_turns_in_the_warm_contexts(mended: Runtime, many: int) -> None:
    texts = [f"function Decoder() {{ return {{n: {n}}}; }}" for n in range(many)]
    for _ in range(2):
        assert [decoded(mended, text) for text in texts] == [{"n": n} for n in range(many)]


def _liar(*frame: str) -> tuple[str, ...]:
    """Return a worker that greets, waits for a request and answers with these bytes."""
    program = (
        "import os, sys\n"
        "os.write(1, b'\\x00\\x00\\x00\\x08\\x92\\xa5hello\\xa0')\n"
        "os.read(0, 65536)\n"
        f"os.write(1, bytes.fromhex('{''.join(frame)}'))\n"
        "os.read(0, 65536)\n"
    )
    return (sys.executable, "-c", program)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("7fffffff", "codec_output"),
        ("00000001c1", "codec_crashed"),
        ("00000008" + "92a568656c6c6fa0", "codec_crashed"),
        ("0000000992a57265706c7990", "codec_timeout"),
        ("00000008" + "92a57265706c7990", "codec_crashed"),
        ("", "codec_timeout"),
    ],
)
def test_an_answer_that_is_none_ends_the_worker(frame: str, code: str) -> None:
    runtime = Runtime(start=lambda clock: Child(clock, _liar(frame)))
    assert decoded(runtime, GOOD) == code
    runtime.close()


def test_a_worker_that_does_not_come_up_refuses_messages_and_is_left_alone_for_a_while() -> None:
    started = []

    def start(clock: object) -> Child:
        started.append(clock)
        return Child(monotonic, (sys.executable, "-c", "print('no')"))

    runtime = Runtime(start=start)
    assert [decoded(runtime, GOOD) for _ in range(3)] == ["codec_unavailable"] * 3
    assert len(started) == 1
    missing = Runtime(start=lambda clock: Child(clock, ("/no/such/program",)))
    assert decoded(missing, GOOD) == "codec_unavailable"


def test_the_breaker_opens_for_time_wasted_and_forgets_small_waste() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    assert [breaker.strike("a", 0.05) for _ in range(10)] == [0.0] * 10
    assert breaker.strike("a", 0.05) == 30.0
    assert (breaker.wait("a"), breaker.wait("b")) == (30.0, 0.0)
    now[0] = 30.0
    assert breaker.wait("a") == 0.0
    assert breaker.strike("a", 0.001) == 60.0  # still on trial
    now[0] = 90.0 + 61.0
    assert breaker.strike("a", 0.4) == 0.0
    now[0] += 60.0
    assert breaker.strike("a", 0.4) == 0.0  # a minute pays for half a second
    for _ in range(12):
        now[0] += breaker.wait("a")
        last = breaker.strike("a", 1.0)
    assert last == 3600.0
    now[0] += 2 * 3600.0 + 1
    assert breaker.strike("a", 1.0) == 30.0


def test_the_engine_must_be_there_and_alone() -> None:
    assert why_not("0.17", None) is None
    assert "pip install 'tidegate[js]'" in (why_not(None, None) or "")
    assert "'quickjs' 1.19.4 is installed and overwrites quickjs-ng" in (
        why_not("0.17", "1.19.4") or ""
    )


def test_a_codec_that_hangs_holds_one_worker_and_the_others_decode(mended: Runtime) -> None:
    mended.prepare()
    good = codec(mended, GOOD)
    assert good(PAYLOAD, CONTEXT) == {"battery": 92, "port": 85}
    seen: list[object] = []
    hanging = threading.Thread(
        target=lambda: seen.append(codec(mended, HANGS).decode_many([(b"\xff", CONTEXT)]))
    )
    hanging.start()
    while not mended.busy:
        time.sleep(0.001)
    for _ in range(20):
        assert good(PAYLOAD, CONTEXT) == {"battery": 92, "port": 85}
    assert seen == []
    hanging.join(30)
    assert len(seen) == 1


def test_bad_codecs_wait_for_one_another_and_leave_a_worker_to_the_proven() -> None:
    slots = Slots(monotonic, Child)
    with slots.lend("bad", Standing.STRUCK), slots.lend("new", Standing.NEW):
        waiting: list[str] = []
        for name, standing in (("worse", Standing.STRUCK), ("newer", Standing.NEW)):
            thread = threading.Thread(
                target=_borrow, args=(slots, name, standing, waiting), daemon=True
            )
            thread.start()
        with slots.lend("good", Standing.PROVEN):
            assert waiting == []
        with slots.lend("good", Standing.PROVEN):
            assert waiting == []
    while len(waiting) < 2:
        time.sleep(0.001)
    assert sorted(waiting) == ["newer", "worse"]


def _borrow(slots: Slots, name: str, standing: Standing, done: list[str]) -> None:
    with slots.lend(name, standing):
        done.append(name)
