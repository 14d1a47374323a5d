"""``tidegate simulate wan``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from gateway_core.units import Address, parse_address, parse_size
from tidegate.simulate.running import For, run, run_for
from tidegate.simulate.usage import seconds_of, wrong_usage

if TYPE_CHECKING:
    from simulators.wan.options import WanOptions

T = TypeVar("T")


def wan(
    *,
    to: str,
    listen: str = "127.0.0.1:8091",
    protocol: Literal["tcp", "udp"] = "tcp",
    delay: str = "0ms",
    jitter: str = "0ms",
    rate: str | None = None,
    loss: str = "0%",
    duplicate: str = "0%",
    reorder: str = "0%",
    flip_every: str = "0",
    trickle: str = "0",
    reset_every: str = "0s",
    cut_every: str = "0s",
    cut_for: str = "5s",
    cut: Literal["reset", "silent"] = "reset",
    schedule: str | None = None,
    seed: int = 1,
    for_: For = None,
) -> int:
    """Put a bad way between two programs: slow, narrow, lossy, and gone from time to time.

        tidegate simulate wan --to 127.0.0.1:8090 --delay 150ms --rate 256KiB --cut-every 1m

    Name its address as the uplink's url, and the edge reaches its collector only through it. With
    --protocol udp it stands between CoAP devices and the edge.

    Args:
        to: Where to pass on to, host:port.
        listen: Where to listen, host:port.
        protocol: tcp (MQTT, HTTP, RTSP) or udp (CoAP).
        delay: Added in each direction.
        jitter: Up to this much more, drawn anew for each packet.
        rate: Bytes a second in each direction, such as 256KiB; left out: any number.
        loss: Share of packets lost. TCP sends them again, 200 ms later; datagrams are gone.
        duplicate: Share of datagrams that arrive twice.
        reorder: Share of datagrams that the next ones overtake.
        flip_every: One bit is wrong in this many bytes on average, such as 1MiB; 0 for never.
        trickle: Most bytes passed on at a time; 0 for any.
        reset_every: How often, on average, one open connection is reset; 0s for never.
        cut_every: How often, on average, the way is cut; 0s for never.
        cut_for: How long, on average, it stays cut.
        cut: reset breaks connections; silent lets nothing pass and tells nobody (half-open).
        schedule: Phases that go round, such as "30s; 10s cut; 20s silent; 15s delay=400ms loss=5%".
        seed: The same seed throws the same dice.
    """
    from simulators.wan.options import WanOptions
    from simulators.wan.weather import chance, follow, parse_rate, parse_schedule, parse_share

    options = WanOptions(
        delay_s=seconds_of("--delay", delay),
        jitter_s=seconds_of("--jitter", jitter),
        bytes_per_s=None if rate is None else _read("--rate", parse_rate, rate),
        loss=_read("--loss", parse_share, loss),
        duplicate=_read("--duplicate", parse_share, duplicate),
        reorder=_read("--reorder", parse_share, reorder),
        flip_every=_read("--flip-every", parse_size, flip_every),
        trickle=_read("--trickle", parse_size, trickle),
        reset_every_s=seconds_of("--reset-every", reset_every),
        cut_every_s=seconds_of("--cut-every", cut_every),
        cut_for_s=seconds_of("--cut-for", cut_for),
        cut=cut,
        seed=seed,
    )
    if schedule is not None and (options.cut_every_s or options.reset_every_s):
        raise wrong_usage("--schedule", "says when; leave --cut-every and --reset-every out")
    phases = None if schedule is None else _read("--schedule", parse_schedule, schedule)
    here, there = _read("--listen", parse_address, listen), _read("--to", parse_address, to)

    async def serve() -> None:
        async with _way(protocol, here, there, options) as way:
            print(f"{way.address} leads to {there} ({protocol}, seed {seed})", flush=True)
            if phases is None:
                await chance(way, options, _say)
            await follow(way, options, phases, _say)

    run(run_for(serve(), seconds_of("--for", for_) if for_ else None))
    return 0


def _way(
    protocol: str, here: Address, there: Address, options: WanOptions
) -> AbstractAsyncContextManager[Any]:
    from simulators.wan.datagrams import DatagramRelay
    from simulators.wan.relay import Relay

    if protocol == "udp":
        return DatagramRelay(here, there, options)
    return Relay(here, there, options)


def _say(text: str) -> None:
    print(text, flush=True)


def _read(option: str, reader: Callable[[str], T], text: str) -> T:
    try:
        return reader(text)
    except ValueError as exc:
        raise wrong_usage(option, str(exc)) from exc
