"""Who is it that connects, and may they: logins, certificates, and who shows neither."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable

from edge_agent.sources.listen import packets as p
from edge_agent.sources.listen.packets import Broken
from edge_agent.sources.listen.settings import ListenSettings
from edge_agent.sources.listen.turnstile import Turnstile
from edge_agent.sources.listen.users import Users, read_users
from edge_agent.sources.listen.visit import Visit
from gateway_core.meter import Meter

LOGINS_AT_ONCE = 2
"""Threads that hash passwords; the machine has other work too."""

MOST_LOGINS = 512
"""Clients that wait for their password to be hashed, some milliseconds each; more are told to come
again."""

LONGEST_ID = 128


class Entrance:
    """Decides on each CONNECT.

    Args:
        settings: Of the listener.
        meter: Counts who is turned away.
        admitted: Is called when somebody was let in, before anything is read of it.
    """

    def __init__(
        self, settings: ListenSettings, meter: Meter, admitted: Callable[[Visit], None]
    ) -> None:
        self._admitted = admitted
        self._tasks: asyncio.TaskGroup | None = None
        self._line: Turnstile[Visit] = Turnstile(settings.connect_rate, self._decide)
        self._logins = 0
        self._settings = settings
        self._meter = meter
        self._users: Users | None = None
        self._hashing = asyncio.Semaphore(LOGINS_AT_ONCE)

    def read(self) -> Users | None:
        """Read the users file; blocks, and raises `ConfigError` for a wrong one."""
        file = self._settings.users_file
        return read_users(file) if file is not None else None

    def use(self, users: Users | None, visits: Iterable[Visit]) -> None:
        """Ask these users from now on; who is not let in any more as before is sent away."""
        before, self._users = self._users, users
        if before is None or users is None:
            return
        for visit in list(visits):
            if visit.login and not users.same(visit.login, before):
                visit.close(Broken(p.NOT_AUTHORIZED, "the login was changed or taken away"))

    @property
    def waiting(self) -> int:
        """Clients that wait for their turn."""
        return len(self._line)

    def left(self, visit: Visit) -> None:
        """Let a client that is gone wait no more."""
        self._line.leave(visit.address, visit)

    def receive(self, visit: Visit, tasks: asyncio.TaskGroup) -> None:
        """Let the client in that asked, or turn it away, when it is its turn."""
        self._tasks = tasks
        at_once = self._line.enter(visit.address, visit)
        self._meter.count(
            "tidegate_mqtt_listen_connects",
            source=self._settings.source,
            result="at_once" if at_once else "waited",
        )

    def _decide(self, visit: Visit) -> None:
        """Let a client in or turn it away; now, or when its password is hashed."""
        connect = visit.talk.asked
        if connect is None or visit.ended:
            return  # it gave up
        users, name, password = self._users, connect.username, connect.password or b""
        if users is None or name is None:
            self._answer(visit, known=False)
        elif users.costs(name, password):
            if self._logins >= MOST_LOGINS:
                self._turn_away(visit, p.BUSY, "too many log in at once; come again")
                return
            self._logins += 1
            assert self._tasks is not None
            self._tasks.create_task(self._slowly(visit, users, name, password))
        else:
            self._answer(visit, known=users.check(name, password))

    async def _slowly(self, visit: Visit, users: Users, name: str, password: bytes) -> None:
        try:
            async with self._hashing:
                if visit.talk.asked is None:
                    return  # it went away while others were looked at
                known = await asyncio.to_thread(users.check, name, password)
        finally:
            self._logins -= 1
        if visit.talk.asked is not None:
            self._answer(visit, known=known)

    def _answer(self, visit: Visit, *, known: bool) -> None:
        connect = visit.talk.asked
        assert connect is not None
        name = connect.username
        if name is not None and self._users is not None and not known:
            self._turn_away(visit, p.BAD_LOGIN, "wrong user name or password")
            return
        client = connect.client_id or f"auto-{secrets.token_hex(8)}"
        identity = visit.peer_name() if self._settings.tls else None
        if known and name is not None:
            identity = client if name.startswith("@") else name
            visit.login = name
            if identity is client and self._users is not None and client in self._users:
                self._turn_away(visit, p.NOT_AUTHORIZED, "the device has a key of its own")
                return
        if identity is None and not self._settings.anonymous:
            self._turn_away(visit, p.NOT_AUTHORIZED, "a login or a certificate is needed")
        elif len(client) > LONGEST_ID or not client.isprintable():
            self._turn_away(visit, p.BAD_CLIENT_ID, f"1 to {LONGEST_ID} printable characters")
        else:
            self._let_in(visit, client, identity)

    def _let_in(self, visit: Visit, client: str, identity: str | None) -> None:
        try:
            visit.talk.admit(client, identity)
        except Broken as why:
            self._turn_away(visit, why.code, why.detail)
            return
        self._admitted(visit)
        visit.flush()
        visit.resume()

    def _turn_away(self, visit: Visit, code: int, detail: str) -> None:
        name = self._settings.source
        self._meter.count("tidegate_mqtt_listen_refused", source=name, reason=f"0x{code:02x}")
        visit.close(Broken(code, detail))
