"""With the resolver dead, a collector that was reached before is reached where it was."""

from __future__ import annotations

import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway_core.link import _LastGood

HERE = ResolveResult(
    hostname="collector.centre", host="fd00::2", port=8090, family=socket.AF_INET6, proto=0, flags=0
)


class Dying(AbstractResolver):
    """Answers until it is told to be dead."""

    def __init__(self) -> None:
        self.dead = False

    async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
        if self.dead or host != HERE["hostname"]:
            raise OSError("Temporary failure in name resolution")
        return [HERE]

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.fault("F17")
async def test_the_last_good_address_is_used_while_the_resolver_is_dead():
    resolver = _LastGood()
    resolver._asked = dying = Dying()
    assert await resolver.resolve("collector.centre", 8090) == [HERE]
    dying.dead = True
    assert await resolver.resolve("collector.centre", 8090) == [HERE]
    with pytest.raises(OSError, match=r"cannot resolve other\.centre"):
        await resolver.resolve("other.centre", 8090)
    assert await resolver.resolve("collector.centre", 8090) == [HERE]
