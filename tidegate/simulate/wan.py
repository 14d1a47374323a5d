"""``tidegate simulate wan``."""

from __future__ import annotations

from gateway_core.units import Address, parse_address, parse_size
from tidegate.simulate.running import For, run, run_for
from tidegate.simulate.usage import seconds_of, wrong_usage


def wan(
    *,
    to: str,
    listen: str = "127.0.0.1:8091",
    delay: str = "0ms",
    rate: str | None = None,
    cut_every: str = "0s",
    cut_for: str = "5s",
    seed: int = 1,
    for_: For = None,
) -> int:
    """Put a bad way between two programs: slow, narrow, and gone from time to time.

        tidegate simulate wan --to 127.0.0.1:8090 --delay 150ms --rate 256KiB --cut-every 1m

    Name its address as the uplink's url, and the edge reaches its collector only through it.

    Args:
        to: Where to pass on to, host:port.
        listen: Where to listen, host:port.
        delay: Added in each direction.
        rate: Bytes a second in each direction, such as 256KiB; left out: any number.
        cut_every: How often, on average, the way is cut; 0s for never.
        cut_for: How long, on average, it stays cut.
        seed: The same seed cuts at the same times.
    """
    from simulators.wan.relay import Relay, WanOptions

    options = WanOptions(
        delay_s=seconds_of("--delay", delay),
        bytes_per_s=_bytes(rate),
        cut_every_s=seconds_of("--cut-every", cut_every),
        cut_for_s=seconds_of("--cut-for", cut_for),
        seed=seed,
    )
    here, there = _address("--listen", listen), _address("--to", to)

    async def serve() -> None:
        async with Relay(here, there, options) as relay:
            print(f"{relay.address} leads to {there}", flush=True)
            await relay.run(lambda whole: print("mended" if whole else "cut", flush=True))

    run(run_for(serve(), seconds_of("--for", for_) if for_ else None))
    return 0


def _address(option: str, text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as exc:
        raise wrong_usage(option, str(exc)) from exc


def _bytes(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        size = parse_size(text)
    except ValueError as exc:
        raise wrong_usage("--rate", str(exc)) from exc
    if size < 1:
        raise wrong_usage("--rate", "must be above 0")
    return float(size)
