"""One device listened to: its pull point made, asked, renewed, made again when it is lost.

Invariants: at most one subscription and one question to a device at once; every wait is bounded; a
subscription that is no longer wanted is given back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from edge_agent.cameras.exchange import OnvifError
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.notifications import Notification, read_notifications
from edge_agent.cameras.onvif import Operation
from edge_agent.cameras.onvif_client import OnvifClient
from edge_agent.cameras.onvif_device import Device
from edge_agent.cameras.parse import Document
from edge_agent.cameras.pullpoint import (
    TERM_FORMS,
    Subscription,
    TermForm,
    create,
    pull,
    read_lifetime,
    read_subscription,
    renew,
    synchronise,
    unsubscribe,
)
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.standing import Standing
from gateway_core.clock import Clock, monotonic
from gateway_core.errors import PayloadError

MOST_RETRY_S = 300.0
SHORTEST_WAIT_S = 4.0
MOST_REFUSALS = 3
"""A device that refuses so many pull points in a row has none for us; it is asked again later."""
GIVE_BACK_S = 2.0

Told = Callable[[list[Notification]], Awaitable[None]]


@dataclass(slots=True)
class _Habits:
    """What was learned of a device's event service."""

    form: TermForm = "relative"
    addressed: bool = True
    renews: bool = True
    wait_s: float = 0.0


class Listener:
    """Listens to one device.

    Args:
        client: Asks; on connections of its own, since a question may be kept waiting.
        feed: Gives the host, the port and the credential.
        device: What is known about it.
        settings: Waits and pauses.
        clock: Wall clock.
        chance: Spreads the retries.
        told: Is given what was heard about faults, and nothing when time alone changed something.
    """

    def __init__(
        self,
        client: OnvifClient,
        feed: Feed,
        device: Device,
        *,
        settings: PatrolSettings,
        clock: Clock,
        chance: random.Random,
        told: Told,
    ) -> None:
        self._client = client
        self._feed = feed
        self.device = device
        self._settings = settings
        self._clock = clock
        self._chance = chance
        self._told = told
        self._habits = _Habits(wait_s=settings.event_wait_s)
        self.standing = Standing()
        self.heard = False

    async def run(self) -> OnvifError:
        """Listen until cancelled, or until the device is found not to let us: then say why."""
        refusals, pause = 0, self._settings.event_retry_s
        while True:
            self.heard = False
            try:
                subscription = await self._create()
                self.standing.subscribed(monotonic())
                await self._listen(subscription)
            except OnvifError as exc:
                refused = exc.fault in {"onvif_fault", "onvif_malformed"} and not self.heard
                refusals = refusals + 1 if refused else 0
                if exc.fault in {"onvif_auth_failed", "onvif_limit"} or refusals >= MOST_REFUSALS:
                    return exc
            self.standing.lost(monotonic())
            if self.heard:
                pause = self._settings.event_retry_s
            await self._rest(pause * self._chance.uniform(0.8, 1.2))
            pause = min(2 * pause, MOST_RETRY_S)

    async def _create(self) -> Subscription:
        """Make a pull point, asking for its end in the way that the device understands."""
        forms = list(dict.fromkeys((self._habits.form, *TERM_FORMS)))
        while True:
            form = forms.pop(0)
            try:
                document = await self._ask(create(form, self._device_ns()))
            except OnvifError as exc:
                if exc.fault != "onvif_fault" or not forms:
                    raise
                continue
            self._habits.form = form
            try:
                return read_subscription(document)
            except PayloadError as exc:
                raise OnvifError("onvif_malformed", str(exc)) from exc

    async def _listen(self, subscription: Subscription) -> None:
        """Ask for messages until the subscription is lost or it is time for another one."""
        try:
            await self._listen_on(subscription)
        finally:
            with suppress(OnvifError, TimeoutError):
                async with asyncio.timeout(GIVE_BACK_S):
                    await self._ask(unsubscribe(self._addressed(subscription)))

    async def _listen_on(self, subscription: Subscription) -> None:
        ends = monotonic() + subscription.lives_s
        while True:
            left = ends - monotonic()
            if left < subscription.lives_s / 2:
                lives_s = await self._renew(subscription)
                ends = monotonic() + lives_s if lives_s else ends
                if not lives_s and left < max(2 * SHORTEST_WAIT_S, subscription.lives_s / 10):
                    return
            document = await self._pull(subscription, ends - monotonic())
            await self._hear(document)
            if not self.heard:
                self.heard = True
                with suppress(OnvifError):
                    await self._ask(synchronise(self._addressed(subscription)))
            await self._rest(self._settings.event_gap_s)

    async def _pull(self, subscription: Subscription, left_s: float) -> Document:
        """Ask once, and once more in another way where that may have been what failed."""
        asked = monotonic()
        try:
            return await self._ask(pull(self._addressed(subscription), self._wait_s(left_s)))
        except OnvifError as exc:
            if exc.fault in {"onvif_timeout", "onvif_unreachable"}:
                # Some close what they keep waiting for too long; the subscription may live.
                if monotonic() - asked > 1:
                    self._habits.wait_s = max(SHORTEST_WAIT_S, self._habits.wait_s / 2)
            elif exc.fault == "onvif_fault" and not self.heard:
                self._habits.addressed = not self._habits.addressed
            else:
                raise
        return await self._ask(pull(self._addressed(subscription), SHORTEST_WAIT_S))

    def _addressed(self, subscription: Subscription) -> Subscription:
        return subscription if self._habits.addressed else subscription.plain()

    async def _renew(self, subscription: Subscription) -> float:
        """Return how long it lives from now on; 0 when the device does not renew."""
        if not self._habits.renews:
            return 0.0
        try:
            document = await self._ask(
                renew(self._addressed(subscription), self._habits.form, self._device_ns())
            )
        except OnvifError as exc:
            if exc.fault not in {"onvif_fault", "onvif_malformed"}:
                raise
            self._habits.renews = False
            return 0.0
        return read_lifetime(document)

    async def _hear(self, document: Document) -> None:
        now = monotonic()
        taken = self.standing.note(read_notifications(document), now)
        self.standing.expire(now)
        await self._told(taken)

    async def _rest(self, seconds: float) -> None:
        """Wait, and let go of what ends meanwhile."""
        until = monotonic() + seconds
        while True:
            now = monotonic()
            self.standing.expire(now)
            await self._told([])
            if now >= until:
                return
            ends = self.standing.next_end()
            await asyncio.sleep(max(0.0, min(until, ends if ends is not None else until) - now))

    async def _ask(self, operation: Operation) -> Document:
        return await self._client.call(self._feed, self.device, operation)

    def _wait_s(self, left_s: float) -> float:
        ends = self.standing.next_end()
        longest = min(self._habits.wait_s, max(1.0, left_s / 2))
        return longest if ends is None else max(1.0, min(longest, ends - monotonic()))

    def _device_ns(self) -> int:
        return self._clock() + (self.device.offset_ns or 0)
