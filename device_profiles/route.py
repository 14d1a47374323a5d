"""Routes: how one topic or path is read by one profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from device_profiles.codecs import Context, Decode, Held, unwrap
from device_profiles.codecs.envelope import OPENERS
from device_profiles.codecs.radio import RADIO, SERVER, radio_of
from device_profiles.decoded import Decoded, Point
from device_profiles.dedup import Dedup
from device_profiles.fastjson import FastJson
from device_profiles.identity import Identity
from device_profiles.js.ahead import Key
from device_profiles.js.step import JsCodec
from device_profiles.memory import Memory
from device_profiles.online import Presence
from device_profiles.opened import Open, Opened
from device_profiles.predicates import Predicate
from device_profiles.reader import Reader
from device_profiles.topics import Template
from gateway_core.errors import PayloadError

if TYPE_CHECKING:
    from device_profiles.profile import Profile

Role = Literal["data", "availability", "ack", "ignore"]
Via = Literal[
    "mqtt",
    "coap",
    "chirpstack-v4",
    "ttn-v3",
    "milesight-gateway",
    "zigbee2mqtt",
    "sparkplug-b",
    "homeassistant",
]

NO_TAGS: dict[str, str] = {}
"""Never altered: one for all the routes that have none."""
FAST_FORMATS = (None, 50)
"""Content-Formats that the short way reads: none said, and application/json."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One element of ``match``, compiled.

    Attributes:
        via: What carries the messages.
        role: What they are.
        template: Of the topic or path.
        formats: Content-Formats that it takes, or None for any.
        open: Opens the envelope, if there is one.
        decode: The codec.
        where: Whether the message is for this profile at all, or None.
        reader: Makes points.
        fast: The short way, or None.
        extra: Names of the values that the short way returns beside the fields.
        time_at: Which of them is the time; None where there is none.
        presence: Reads availability messages; None where these are others.
        dedup: Recognises what a device has said already, or None.
        remembers: Whether reading a message may need earlier ones: then it is given a memory.
        beside: Whether the profile reads what stands around the device's own message.
        steps: The decoder as written.
    """

    via: Via
    role: Role
    template: Template
    formats: frozenset[int] | None
    open: Open
    decode: Decode
    where: Predicate | None
    reader: Reader
    fast: FastJson | None = None
    extra: tuple[str, ...] = ()
    time_at: int | None = None
    presence: Presence | None = None
    dedup: Dedup | None = None
    remembers: bool = False
    beside: bool = False
    steps: Sequence[dict[str, Any]] = ()


@dataclass(slots=True)
class Route:
    """A profile that reads one topic or path.

    Attributes:
        profile: The profile.
        said: What the template's ``{names}`` stood for, in their order.
        entry: The matching element of its ``match``.
    """

    profile: Profile
    said: tuple[str, ...]
    entry: Entry
    _device: str | None = field(default=None, repr=False)
    _tags: dict[str, str] | None = field(default=None, repr=False)

    @property
    def captures(self) -> dict[str, str]:
        """What the template's ``{names}`` stood for.

        Made anew each time: every device has a route, and a dict takes four times the tuple.
        """
        return dict(zip(self.entry.template.names, self.said, strict=True))

    @property
    def parts(self) -> tuple[Route, ...]:
        """What it is made of: itself, unless several elements of ``match`` read the address."""
        return (self,)

    @property
    def role(self) -> Role:
        """What messages on it are."""
        return self.entry.role

    @property
    def device(self) -> str | None:
        """The device's id where topic or path alone name it; None where the payload does.

        Raises:
            PayloadError: ``bad_device_id``.
        """
        if self._device is None:
            identity = self.entry.reader.identity
            if all(name in self.captures for name in identity.names):
                self._device = identity.make(self.captures, None)
        return self._device

    def decode(
        self,
        payload: bytes,
        received: int,
        content_format: int | None = None,
        memory: Memory | None = None,
    ) -> Decoded:
        """Return what the message says.

        Args:
            payload: As it came.
            received: When the edge took it in, nanoseconds since 1970; 0 means "not known": then
                any device time counts.
            content_format: CoAP Content-Format, or None.
            memory: Of earlier messages, where the entry `remembers`; None reads the message alone.

        Raises:
            PayloadError: The message cannot be read; ``code`` says why.
        """
        entry = self.entry
        if entry.fast is not None and content_format in FAST_FORMATS:
            found = entry.fast(payload)
            if found is not None:
                return self._short(entry, found, received)
        return self._long(entry, payload, received, content_format, memory)

    def time(self, extra: tuple[Any, ...], received: int) -> int:
        """Return the time of a message that the short way read; ``extra`` as it returned it."""
        entry = self.entry
        if entry.time_at is None:
            return received
        clock, raw = entry.reader.clock, extra[entry.time_at]
        if raw is None:
            raw = self.captures.get(clock.source)
        return received if raw is None else clock.instant(raw, received)

    @property
    def tags(self) -> dict[str, str]:
        """The tags that the profile names beyond edge, device and profile, as the address has them.

        Only for an entry that has the short way.
        """
        if self._tags is None:
            self._tags = self.entry.reader.tagged(self.captures) or NO_TAGS
        return self._tags

    @property
    def codec(self) -> JsCodec | None:
        """The JavaScript that decodes its messages, or None."""
        decode = self.entry.decode
        return decode if isinstance(decode, JsCodec) and self.entry.role == "data" else None

    def question(
        self, codec: JsCodec, payload: bytes, received: int, content_format: int | None
    ) -> tuple[Key, str]:
        """Return what `codec`, this route's own, will be asked about a message.

        Raises:
            PayloadError: It will not be asked: the message is refused before.
        """
        opened = self.entry.open(payload, self.captures, content_format)
        if not self.suits(opened):
            raise PayloadError("not_applicable")
        if not isinstance(opened.body, bytes):
            raise PayloadError("not_bytes")
        context = Context(opened.captures, received, content_format, opened.fport)
        return codec.question(opened.body, context)

    def named(self, payload: bytes) -> str | None:
        """Return the device that a network server's message is about; None where it is not clear.

        What the device itself says is not decoded for that.
        """
        entry = self.entry
        if entry.via not in OPENERS or entry.role != "data":
            return None
        try:
            return entry.reader.identity.make(entry.open(payload, self.captures, None).captures, {})
        except PayloadError:
            return None

    def kind(self, payload: bytes) -> str | None:
        """Return what a network server calls this kind of device; None where nobody says."""
        if self.entry.via not in OPENERS:
            return None
        try:
            return unwrap(self.entry.via, payload).captures.get("device_profile")
        except PayloadError:
            return None

    def _short(
        self, entry: Entry, found: tuple[dict[str, Any], tuple[Any, ...]], received: int
    ) -> Decoded:
        fields, extra = found
        reader = entry.reader
        device = self._device or self.device or self._named(reader.identity, extra)
        if not fields:
            return Decoded(device, [])
        time = self.time(extra, received)
        return Decoded(device, [Point(time, fields, self.tags)])

    def _named(self, identity: Identity, extra: tuple[Any, ...]) -> str:
        found = dict(zip(self.entry.extra, extra, strict=True))
        return identity.join({n: self.captures.get(n, found.get(n)) for n in identity.names})

    @property
    def remembers(self) -> bool:
        """Whether reading a message on it may need earlier ones."""
        return self.entry.remembers

    def open(self, payload: bytes, content_format: int | None) -> Opened | None:
        """Return the message without its envelope, for `suits`; None where nothing is asked.

        Raises:
            PayloadError: It is no message of this kind.
        """
        entry = self.entry
        return None if entry.where is None else entry.open(payload, self.captures, content_format)

    def suits(self, opened: Opened) -> bool:
        """Return whether the entry's ``where`` holds for a message."""
        where = self.entry.where
        return where is None or where(opened.asked)

    def read(
        self,
        opened: Opened,
        payload: bytes,
        received: int,
        content_format: int | None,
        memory: Memory | None,
    ) -> Decoded:
        """Return what an opened message says; see `decode`."""
        entry = self.entry
        if entry.role != "data":
            return self._aside(entry, payload)
        captures = opened.captures
        context = Context(captures, received, content_format, opened.fport, memory, self.profile.id)
        try:
            found = entry.decode(opened.body, context)
        except Held:
            return Decoded("", [], held=True)
        if entry.beside and isinstance(found, dict) and opened.message is not None:
            found = {**found, SERVER: opened.message, RADIO: radio_of(entry.via, opened.message)}
        decoded = entry.reader.read(found, captures, received)
        if entry.dedup is not None and memory is not None:
            owner = f"{self.profile.id}/{decoded.device}"
            entry.dedup.check(owner, found, captures, received, memory)
        return decoded

    def _long(
        self,
        entry: Entry,
        payload: bytes,
        received: int,
        content_format: int | None,
        memory: Memory | None = None,
    ) -> Decoded:
        if entry.role != "data" and entry.where is None:
            return self._aside(entry, payload)
        opened = entry.open(payload, self.captures, content_format)
        if entry.where is not None and not entry.where(opened.asked):
            raise PayloadError(
                "not_applicable", "the profile's 'where' does not hold for this message"
            )
        return self.read(opened, payload, received, content_format, memory)

    def _aside(self, entry: Entry, payload: bytes) -> Decoded:
        """Return what a message about presence, or an acknowledgement, says."""
        if entry.presence is not None:
            return entry.presence.read(payload, self.captures, entry.reader.identity)
        if entry.role == "ignore":
            return Decoded("", [])
        # whoever sent a command judges the answer; its topic may name no device
        return Decoded(self.device or "", [])
