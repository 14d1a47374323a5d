"""One end of a connection in memory: an asyncio transport whose other side is another one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.simulation.loop import Life

if TYPE_CHECKING:
    from tests.simulation.network import Network

Place = tuple[str, int]


class End(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, network: Network, life: Life, peer: Place, *, client: bool) -> None:
        super().__init__({"peername": peer})
        self.network, self.life, self.client, self.peer = network, life, client, peer
        self.protocol: Any = None
        self.other: End = self
        self.lost = False  # the protocol was told, or will be
        self.held: list[bytes | None] = []  # came while reading was paused
        self.reading = True
        self.behind: list[tuple[bytes | None, int]] = []  # sent, and held back by a cut
        self.last = 0.0
        self.in_body = False

    # ---- the owner's side ----

    def write(self, data: Any) -> None:
        if not self.lost and self.life.alive and data:
            self.network.carry(self, bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(bytes(each) for each in list_of_data))

    def close(self) -> None:
        if not self.lost and self.life.alive:
            self.network.carry(self, None)
            self.fail(None)

    def abort(self) -> None:
        if not self.lost and self.life.alive:
            self.network.reset(self)
            self.fail(None)

    def is_closing(self) -> bool:
        return self.lost

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        if not self.reading:
            self.reading = True
            self.network.loop.call_soon(self._resume, context=self.life.context)

    def _resume(self) -> None:
        while self.held and self.reading and not self.lost:
            self._hand_on(self.held.pop(0))

    def is_reading(self) -> bool:
        return self.reading and not self.lost

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def get_protocol(self) -> Any:
        return self.protocol

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    # ---- the network's side ----

    def fail(self, exc: Exception | None) -> None:
        """End this side; its protocol hears of it in the next step."""
        if not self.lost:
            self.lost = True
            self.network.ends.discard(self)
            if self.protocol is not None:
                self.network.loop.call_soon(
                    self.protocol.connection_lost, exc, context=self.life.context
                )

    def take(self, data: bytes | None) -> None:
        """Something came: bytes, or None for the end."""
        if self.lost:
            if data is not None:
                self.network.reset(self)
            return
        if self.held or not self.reading:
            self.held.append(data)
        else:
            self._hand_on(data)

    def _hand_on(self, data: bytes | None) -> None:
        if data is None:
            if not self.protocol.eof_received():
                self.close()
        elif isinstance(self.protocol, asyncio.BufferedProtocol):
            view = memoryview(data)
            while view:
                buffer = self.protocol.get_buffer(len(view))
                n = min(len(buffer), len(view))
                buffer[:n] = view[:n]
                self.protocol.buffer_updated(n)
                view = view[n:]
        else:
            self.protocol.data_received(data)

    def __hash__(self) -> int:
        return id(self)
