"""Clients that keep to the protocol, an agent that dies, a disk that commits in any order: once each."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_core.clock import NS
from tests.edge_agent.listen.conftest import NOW, Talk
from tests.edge_agent.listen.test_listen_qos2 import LASTING, State, apply, started


class Client:
    """A client that keeps to the protocol: few ids, few words, at most four unacknowledged.

    Attributes:
        begun: Each message that it ever began to send.
        over: Each that PUBCOMP (or PUBACK) ended.
    """

    def __init__(self, name: int) -> None:
        self.name = name
        self.begun: Counter[bytes] = Counter()
        self.over: Counter[bytes] = Counter()
        self.sent: dict[int, tuple[int, bytes, bool]] = {}  # id: QoS, words, whether PUBREC came
        self.last: dict[int, bytes] = {}  # packet id to the words that were over last
        self.fresh: set[tuple[int, bytes]] = set()  # over, and nobody knows that it is heard
        self._fill = 0

    def publish(self, packet_id: int, words: bytes) -> bytes | None:
        """Return a new PUBLISH of QoS 2; of QoS 1 with words of its own where there are none."""
        open_ = sum(not received for _, _, received in self.sent.values())
        if packet_id in self.sent or open_ == 4:
            return None
        if (packet_id, words) in self.fresh or self.last.get(packet_id) == words:
            return None  # these words may be taken for a repeat
        qos = 2 if words else 1
        if not words:
            self._fill += 1
            words = b"fill%d" % self._fill
        self.begun[words] += 1
        self.sent[packet_id] = qos, words, False
        return self._packet(packet_id, 0)

    def release(self, packet_id: int) -> bytes | None:
        """Return PUBREL, if its time has come."""
        ready = packet_id in self.sent and self.sent[packet_id][2]
        return bytes((0x62, 2, 0, packet_id)) if ready else None

    def hear(self, answer: bytes) -> None:
        for at in range(0, len(answer), 4):
            head, packet_id = answer[at], answer[at + 3]
            if packet_id not in self.sent:
                continue
            qos, words, _ = self.sent[packet_id]
            if head == 0x50:
                self.sent[packet_id] = qos, words, True
            elif head in (0x40, 0x70):
                self.over[words] += 1
                self.last[packet_id] = words
                del self.sent[packet_id]

    def repeats(self, *, badly: bool) -> list[bytes]:
        """Return what is sent again on a new connection; ``badly`` as paho does, PUBREL never."""
        self.fresh |= set(self.last.items())
        ready = {} if badly else {each: self.release(each) for each in self.sent}
        return [ready.get(each) or self._packet(each, 8) for each in self.sent]

    def heard(self) -> None:
        """Be there long enough after every PUBCOMP."""
        self.last.clear()

    def _packet(self, packet_id: int, again: int) -> bytes:
        qos, words, _ = self.sent[packet_id]
        topic = b"%d" % self.name
        body = bytes((0, 1)) + topic + bytes((0, packet_id)) + words
        return bytes((0x30 | qos << 1 | again, len(body))) + body


class World:
    """Clients at an agent whose commits happen in any order, and which dies."""

    def __init__(self, clients: int) -> None:
        self.state: State = {}
        self.clients = [Client(n) for n in range(clients)]
        self.stored: Counter[tuple[str, bytes]] = Counter()
        self._start()

    def _start(self) -> None:
        self.house = started(self.state)
        self.pending: list[tuple[Talk, dict[str, bytes | None], Any, bool]] = []
        self.talks = []
        for client in self.clients:
            talk = Talk(self.house)
            talk.held = True
            talk.say(LASTING[:-1] + b"%d" % client.name)
            self.talks.append(talk)
        apply(self.state, self.house.sessions.enter([], settled=True))  # the sessions are stored

    def say(self, name: int, packet: bytes | None) -> None:
        if packet is not None:
            assert self.talks[name].say(packet) == b""

    def close(self, name: int) -> None:
        """Let what a client said be a commit that is under way."""
        talk = self.talks[name]
        load, talk.load = talk.load, type(talk.load)()
        change = self.house.sessions.enter(load.marks, settled=not self.pending)
        self.pending.append((talk, dict(change), load, False))

    def commit(self, which: int) -> None:
        """Let one commit happen; acknowledgements leave when those before it have happened."""
        if not self.pending:
            return
        which %= len(self.pending)
        talk, change, load, done = self.pending[which]
        if not done:
            apply(self.state, change)
            self.house.sessions.stored(change)
            self.stored.update((each.address, each.payload) for each in load.arrivals)
            self.pending[which] = talk, change, load, True
        while self.pending and self.pending[0][3]:
            talk, _, load, _ = self.pending.pop(0)
            talk.talk.acknowledged(sum(count for _, _, count in load.words))
            answer = b"".join(answer for _, answer, _ in load.words)
            self.clients[self.talks.index(talk)].hear(answer)

    def rest(self) -> None:
        """Let everything end, and five seconds pass in which all are connected."""
        self.settle()
        for client in self.clients:
            self.house.end_heard(self.talks[client.name].load, NOW + 5 * NS)
            client.heard()
            self.close(client.name)
        while self.pending:
            self.commit(0)

    def die(self, *, badly: bool) -> None:
        self._start()
        for client in self.clients:
            for packet in client.repeats(badly=badly):
                self.say(client.name, packet)

    def settle(self) -> None:
        """Let every message come to its end."""
        for _ in range(3):
            for client in self.clients:
                for packet_id in list(client.sent):
                    self.say(client.name, client.release(packet_id))
                self.close(client.name)
            while self.pending:
                self.commit(0)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(
            ["publish", "whole", "release", "close", "commit", "rest", "die", "die badly"]
        ),
        st.integers(0, 1),
        st.integers(1, 3),
        st.sampled_from([b"on", b"on", b"off", b""]),
    ),
    max_size=60,
)


@settings(max_examples=200)
@given(MOVES)
def test_whenever_it_dies_each_message_of_qos_2_is_stored_once(
    moves: list[tuple[str, int, int, bytes]],
) -> None:
    world = World(2)
    for move, name, number, words in moves:
        client = world.clients[name]
        if move in ("publish", "whole"):
            world.say(name, client.publish(number, words))
            if move == "whole":
                world.settle()
        elif move == "release":
            world.say(name, client.release(number))
        elif move == "close":
            world.close(name)
        elif move == "commit":
            world.commit(number)
        elif move == "rest":
            world.rest()
        else:
            world.die(badly=move == "die badly")
    world.die(badly=False)
    world.settle()
    for client in world.clients:
        assert client.sent == {}
        assert client.over == client.begun
        found = {words: world.stored[str(client.name), words] for words in client.begun}
        assert found == client.begun
