"""What devices say to the listener, as a script: pieces of any size, commits, breaks, deaths.

A byte below 0xF0 is the length of a piece that follows; one from 0xF0 is a deed, see `_DEEDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import mqtt5

from edge_agent.downlink import NotSent, Undeliverable
from edge_agent.sources.listen.house import House
from edge_agent.sources.listen.packets import frame
from edge_agent.sources.listen.policy import Policy, wrong_topic
from edge_agent.sources.listen.sessions import Sessions
from edge_agent.sources.listen.settings import ListenSettings
from gateway_core.clock import NS
from tests.edge_agent.listen.conftest import NOW, Talk

_SETTINGS = ListenSettings(anonymous=True, max_packet=4096, receive_maximum=4096)
_FEW = ListenSettings(anonymous=True, max_packet=4096, receive_maximum=4)
_CONNECT = bytes.fromhex("100d 0004 4d515454 04 00 003c 0001 61")
_CONNECT5 = bytes.fromhex("1013 0004 4d515454 05 00 003c 05 11 00000e10 0001 61")
_SERVER_SAYS = {2, 3, 4, 5, 7, 9, 11, 13, 14}


class _Site:
    """An agent with one client after another, and its disk."""

    def __init__(self, settings: ListenSettings) -> None:
        self._settings = settings
        self.state: dict[str, bytes] = {}
        self._packet_id = 0
        self.die()

    def die(self) -> None:
        sessions = Sessions("l/", self._settings.receive_maximum, 3, dict(self.state), NOW)
        self.house = House(self._settings, sessions, Policy())
        self.begin()

    def begin(self) -> None:
        self.talk = Talk(self.house)

    def come_again(self) -> None:
        self.talk.leave()
        self.begin()

    def say(self, data: bytes) -> None:
        if not self.talk.ended:
            self._hear(self.talk.say(data))

    def commit(self) -> None:
        load, self.talk.held = self.talk.load, False
        sessions = self.house.sessions
        change = sessions.enter(load.marks, settled=True)
        sessions.stored(change)
        for key, value in change.items():
            self.state.pop(key, None) if value is None else self.state.update({key: value})
        load.marks.clear()
        self._hear(self.talk.commit())

    def hold(self) -> None:
        self.talk.held = True

    def wait(self) -> None:
        for will in self.house.sessions.due(NOW + 30 * NS):
            assert not wrong_topic(will.topic)

    def order(self) -> None:
        session = self.house.sessions.hearer("cmd/a")
        if session is None or session.line is not self.talk.talk:
            return
        self._packet_id = self._packet_id % 0xFFFF + 1
        try:
            self.talk.talk.deliver("cmd/a", b"on", self._packet_id, 5.0)
        except (NotSent, Undeliverable):
            return
        self._hear(self.talk.commit())

    def _hear(self, answer: bytes) -> None:
        """What is answered are whole packets that a server may send, in the client's version."""
        at, codec = 0, self.talk.talk.codec
        while at < len(answer):
            found = frame(memoryview(answer)[at:], 2**20)
            assert found is not None
            assert answer[at] >> 4 in _SERVER_SAYS
            assert codec is not None
            if codec.version == "5":
                _, used = mqtt5.read(memoryview(answer)[at:])
                assert used == found[1]
            at += found[1]


_DEEDS: list[Callable[[_Site], None]] = [
    lambda site: site.say(_CONNECT),
    lambda site: site.say(_CONNECT5),
    _Site.commit,
    _Site.hold,
    _Site.come_again,
    _Site.die,
    _Site.wait,
    _Site.order,
]


def _script(data: bytes) -> Iterator[bytes | int]:
    at = 0
    while at < len(data):
        head, at = data[at], at + 1
        if head < 0xF0:
            yield data[at : at + head]
            at += head
        else:
            yield (head - 0xF0) % len(_DEEDS)


def listener(data: bytes) -> None:
    """Play a script; then say the first connection's pieces whole, which must come to the same."""
    site = _Site(_FEW)
    for each in _script(data):
        if isinstance(each, int):
            _DEEDS[each](site)
        else:
            site.say(each)
        for topic, _ in site.talk.stored:
            assert not wrong_topic(topic)
            assert len(topic) <= 512
            assert "\0" not in topic
    site.commit()
    site.die()  # what is on the disk can be read
    pieces = [each for each in _script(data) if isinstance(each, bytes)]
    for first in (_CONNECT, _CONNECT5, b""):
        torn, whole = _Site(_SETTINGS), _Site(_SETTINGS)
        for each in (first, *pieces):
            torn.say(each)
        whole.say(first + b"".join(pieces))
        assert torn.talk.ended == whole.talk.ended
        assert torn.talk.stored == whole.talk.stored
