"""The site's egress file: what a site keeps to itself, beyond what the profiles keep.

A profile says what may leave of its devices; this file can only take away from that. An entry
that would add something is a mistake of its writer and is refused with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import translate
from functools import cached_property
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edge_agent.grant import FUNCTIONS, NONE, RAW, Coarseness, Function, Grant, Thin
from gateway_core.config import Duration

DataClass = Literal["public", "operational", "personal", "restricted"]
AlarmText = Literal["full", "code-only", "none"]
"""``code-only`` takes the text away and leaves device, rule, severity, state and time."""

_STRICTNESS: dict[AlarmText, int] = {"full": 0, "code-only": 1, "none": 2}
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Declared:
    """What one loaded profile lets out, before the site's file.

    Attributes:
        profile: The profile's id.
        measurement: Of its readings.
        data_class: The class of its data.
        alarms: What leaves of its alarms.
        tags: Tags that its readings may carry beyond edge, device and profile.
        grants: Every field of the profile and what may leave of it.
        thins: Fields of which not every value that may leave is worth sending.
    """

    profile: str
    measurement: str
    data_class: DataClass
    alarms: AlarmText
    tags: frozenset[str]
    grants: Mapping[str, Grant]
    thins: Mapping[str, Thin] = field(default_factory=dict)


class Coarsen(BaseModel):
    """How exact a number leaves.

    Attributes:
        decimals: Digits after the point; negative for tens, hundreds and so on.
        step: Only multiples of this leave.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decimals: int | None = Field(default=None, ge=-9, le=9)
    step: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Limit(BaseModel):
    """At most this leaves: aggregates, coarser values, or coarser aggregates.

    Attributes:
        every: Only aggregates leave, of windows of at least this length.
        fns: Only these functions of the window; left out: those that the profile names.
        coarsen: At least so coarse; left out: as the profile says.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Duration | None = Field(default=None, ge=1, le=604_800)
    fns: list[Function] | None = Field(default=None, min_length=1)
    coarsen: Coarsen | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.every is None and self.fns is not None:
            raise ValueError("fns needs every: name the window, for example every: 15m")
        if self.every is None and self.coarsen is None:
            raise ValueError("name every, coarsen or both")
        return self

    def grant(self, limit: Grant) -> Grant:
        """Return this as a grant; what it leaves out is as ``limit``, the profile's, says."""
        coarsen = limit.coarsen
        if self.coarsen is not None:
            step = coarsen.step if self.coarsen.step is None else self.coarsen.step
            told = coarsen.decimals if self.coarsen.decimals is None else self.coarsen.decimals
            coarsen = Coarseness(told, step)
        if self.every is None:
            return replace(limit if limit.rank == 1 else RAW, coarsen=coarsen)
        fns = limit.fns if limit.rank == 1 else frozenset(FUNCTIONS)
        return Grant(
            every_ns=round(self.every * 1e9),
            fns=fns if self.fns is None else frozenset(self.fns),
            coarsen=coarsen,
        )


class FieldRule(BaseModel):
    """One entry of ``fields:``: a limit for the fields that all of its globs match.

    Attributes:
        profile: Glob over profile ids.
        measurement: Glob over measurements.
        field: Glob over field names.
        device: Glob over device ids.
        egress: ``none``, or the most that may leave.
        reason: For the reader of the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: str = "*"
    measurement: str = "*"
    field: str = "*"
    device: str = "*"
    egress: Literal["none", "raw"] | Limit
    reason: str = ""

    @cached_property
    def _globs(self) -> tuple[re.Pattern[str], ...]:
        parts = (self.profile, self.measurement, self.field, self.device)
        return tuple(re.compile(translate(part)) for part in parts)

    def grant(self, limit: Grant) -> Grant:
        """Return the entry's limit, for a field whose profile says ``limit``."""
        if isinstance(self.egress, Limit):
            return self.egress.grant(limit)
        return replace(RAW, coarsen=limit.coarsen) if self.egress == "raw" else NONE

    def covers_profile(self, declared: Declared) -> bool:
        """Tell whether profile and measurement match."""
        profile, measurement, _, _ = self._globs
        return bool(profile.match(declared.profile) and measurement.match(declared.measurement))

    def covers(self, declared: Declared, field: str) -> bool:
        """Tell whether profile, measurement and field match; the device is another matter."""
        return self.covers_profile(declared) and self._globs[2].match(field) is not None

    def covers_device(self, device: str) -> bool:
        """Tell whether the device matches."""
        return self.device == "*" or self._globs[3].match(device) is not None


class SiteEgress(BaseModel):
    """What one site keeps to itself (docs/reference/egress-file.md).

    Attributes:
        format: Of this file.
        classes: Class of data to the most that leaves of its profiles' fields.
        fields: Limits for single fields; all that match apply.
        tags: Globs of tags that stay on site.
        hide: Globs of devices, feeds and systems of which nothing leaves at all.
        alarms: The most that leaves of an alarm.
        losses: The most that leaves of the record of a gap; ``code-only`` keeps the detail.
        feeds: Whether verdicts on video feeds leave.
        systems: Whether verdicts on systems leave.
        inventory: How much of a registry entry leaves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    classes: dict[DataClass, Literal["none", "raw"] | Limit] = {}
    fields: list[FieldRule] = []
    tags: list[str] = []
    hide: list[str] = []
    alarms: AlarmText = "full"
    losses: AlarmText = "full"
    feeds: Literal["full", "none"] = "full"
    systems: Literal["full", "none"] = "full"
    inventory: Literal["full", "no-position", "id-only", "none"] = "full"

    @cached_property
    def _hidden(self) -> re.Pattern[str] | None:
        return re.compile("|".join(map(translate, self.hide))) if self.hide else None

    @cached_property
    def _local_tags(self) -> re.Pattern[str] | None:
        return re.compile("|".join(map(translate, self.tags))) if self.tags else None

    @cached_property
    def _device_rules(self) -> tuple[FieldRule, ...]:
        return tuple(rule for rule in self.fields if rule.device != "*")

    @property
    def names_devices(self) -> bool:
        """Whether devices of one profile can fare differently."""
        return bool(self.hide or self._device_rules)

    def traits(self, device: str) -> tuple[bool, ...]:
        """Return what sets a device apart; devices with equal traits fare alike."""
        matched = (rule.covers_device(device) for rule in self._device_rules)
        return (self.is_hidden(device), *matched)

    def is_hidden(self, name: str) -> bool:
        """Tell whether nothing of this device, feed or system leaves."""
        return self._hidden is not None and self._hidden.match(name) is not None

    def is_local_tag(self, tag: str) -> bool:
        """Tell whether a tag stays on site."""
        return self._local_tags is not None and self._local_tags.match(tag) is not None

    def alarm_text(self, declared: AlarmText) -> AlarmText:
        """Return the stricter of this file and the profile."""
        return max(self.alarms, declared, key=_STRICTNESS.__getitem__)

    def limits(
        self, declared: Declared, field: str, device: str | None
    ) -> Iterator[tuple[str, Grant]]:
        """Yield the name and the limit of each rule that applies to a field.

        Args:
            declared: The field's profile.
            field: Its name.
            device: Of which device; None passes over the rules that name devices.
        """
        limit = declared.grants[field]
        ceiling = self.classes.get(declared.data_class)
        if isinstance(ceiling, Limit):
            yield "class", ceiling.grant(limit)
        elif ceiling == "none":
            yield "class", NONE
        for number, rule in enumerate(self.fields, 1):
            if rule.device != "*" and (device is None or not rule.covers_device(device)):
                continue
            if rule.covers(declared, field):
                yield f"site:{number}", rule.grant(limit)


def has_glob(pattern: str) -> bool:
    """Tell whether a pattern can match more than itself."""
    return _GLOB.search(pattern) is not None
