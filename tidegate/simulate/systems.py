"""``tidegate simulate systems``."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tidegate.simulate.running import For, run, run_for
from tidegate.simulate.usage import seconds_of, wrong_usage


def systems(
    *,
    count: int = 20,
    seed: int = 1,
    yaml: Path = Path("systems.yaml"),
    every: str = "10s",
    change_every: str = "5s",
    listen: str = "127.0.0.1",
    for_: For = None,
) -> int:
    """Simulate IT systems that answer over TCP and HTTP, go down and come back.

        tidegate simulate systems --count 20 --yaml systems.yaml

    Args:
        count: How many.
        seed: The same seed gives the same failures.
        yaml: Where to write the file that makes an edge watch them.
        every: How often the edge is to look at each.
        change_every: How often one goes down or comes back; 0s for never.
        listen: Address to listen on.
    """
    from simulators.systems.estate import Estate

    if count < 1:
        raise wrong_usage("--count", f"1 or more, found {count}")
    pause = seconds_of("--change-every", change_every)

    async def serve() -> None:
        async with Estate(count, seed, listen) as estate:
            await asyncio.to_thread(estate.write, yaml, every)
            print(f"{count} systems answer; {yaml} names them", flush=True)
            while True:
                await asyncio.sleep(pause or 3600)
                if pause:
                    system = await estate.flip()
                    print(f"{system.id} {'up' if system.up else 'down'}", flush=True)

    run(run_for(serve(), seconds_of("--for", for_) if for_ else None))
    return 0
