"""A gate: what one profile's readings may let out, compiled to sets. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edge_agent.egress import AlarmText, Declared, SiteEgress
from edge_agent.grant import EXACT, Coarseness, Grant, Thin, aggregate_names, tightest
from gateway_core.model import Reading
from gateway_core.spool.thinned import FUNCTIONS, SUFFIX
from gateway_core.time_marks import FLAGS

_CACHED_SHAPES = 4096
_NOTHING: Mapping[str, Coarseness] = {}


@dataclass(frozen=True, slots=True)
class Gate:
    """What the readings of one profile (or of one device of it) may let out.

    Attributes:
        profile: Its id.
        measurement: The only one that its readings may have.
        grants: Every declared field and what may leave of it.
        rules: Every declared field and the rule that decided: ``profile``, ``class`` or
            ``site:<n>``, the n-th entry of the site's file.
        released: Fields whose values leave, each with how exact it leaves.
        exact: The same, when all of them leave as they came; else nothing.
        whole: Those of them that leave as they came.
        tags: Tags that leave.
        derived: Measurement of an aggregate to the fields that it may carry, each with how
            exact it leaves.
        windows: Length of a window in nanoseconds to the fields that leave as its aggregates,
            each with whether that takes samples (``p95``) and the window before (``delta``).
        alarms: What leaves of an alarm.
        hidden: Nothing of this device leaves.
        thins: Fields whose values leave as they come, but not each of them.
    """

    profile: str
    measurement: str
    grants: Mapping[str, Grant]
    rules: Mapping[str, str]
    released: Mapping[str, Coarseness]
    exact: Mapping[str, Coarseness] | None
    whole: frozenset[str]
    tags: frozenset[str]
    derived: Mapping[str, Mapping[str, Coarseness]]
    windows: Mapping[int, tuple[tuple[str, bool, bool], ...]]
    alarms: AlarmText
    hidden: bool = False
    thins: Mapping[str, Thin] = field(default_factory=dict)
    _reasons: dict[tuple[str, ...], str] = field(default_factory=dict, repr=False, compare=False)

    def reading(self, reading: Reading) -> Reading | str:
        """Return what may leave of a reading, or the rule that withholds it."""
        if self.hidden:
            return "hidden"
        if reading.derived:
            allowed = self.derived.get(reading.measurement, _NOTHING)
        elif reading.measurement == self.measurement:
            allowed = self.released
        else:
            return "unknown_measurement"
        if allowed is self.exact:
            fields = {name: value for name, value in reading.fields.items() if name in allowed}
        else:
            fields = {
                name: allowed[name](value)
                for name, value in reading.fields.items()
                if name in allowed
            }
        if not fields:
            return self._reason(reading)
        flags = reading.flags
        if flags:
            flags = tuple(
                flag for flag in flags if flag in FLAGS or flag.partition(":")[0] in allowed
            )
        tags = reading.tags
        if not self.tags.issuperset(tags):
            tags = {name: value for name, value in tags.items() if name in self.tags}
        if fields == reading.fields and flags == reading.flags and tags is reading.tags:
            return reading
        return Reading(
            reading.edge,
            reading.device,
            reading.profile,
            reading.measurement,
            reading.time,
            reading.received,
            fields,
            tags,
            flags,
            reading.derived,
        )

    def _reason(self, reading: Reading) -> str:
        """Return the rule that withholds all fields of a reading: the one nearest to a release."""
        shape = tuple(reading.fields)
        found = self._reasons.get(shape)
        if found is None:
            if reading.derived:
                found = "stale_aggregate"
            elif any(self.grants[name].rank for name in shape if name in self.grants):
                found = "aggregated"
            else:
                found = max((self.rules.get(name, "undeclared") for name in shape), key=_nearness)
            if len(self._reasons) < _CACHED_SHAPES:
                self._reasons[shape] = found
        return found


def build_gate(declared: Declared, site: SiteEgress, *, device: str | None) -> Gate:
    """Compile what a profile declares under the site's file.

    Args:
        declared: The profile's own rules.
        site: The site's file.
        device: Also apply the rules that name devices, as for this one; None leaves them out.
    """
    hidden = device is not None and site.is_hidden(device)
    grants: dict[str, Grant] = {}
    rules: dict[str, str] = {}
    for name, limit in declared.grants.items():
        grants[name], rules[name] = limit, "profile"
        for rule, wish in site.limits(declared, name, device):
            tighter = tightest(grants[name], wish)
            if tighter != grants[name]:
                grants[name], rules[name] = tighter, rule
    released = {name: grant.coarsen for name, grant in grants.items() if grant.raw}
    derived: dict[str, dict[str, Coarseness]] = {}
    windows: dict[int, tuple[tuple[str, bool, bool], ...]] = {}
    labels: dict[int, str] = {}
    for name, grant in grants.items():
        if grant.rank == 1:  # fields of one window leave under one name, whoever wrote 60m or 1h
            label = labels.setdefault(grant.every_ns, grant.label)
            grants[name] = replace(grant, every=label)
            needs = (name, "p95" in grant.fns, "delta" in grant.fns)
            windows[grant.every_ns] = (*windows.get(grant.every_ns, ()), needs)
            measurement = f"{declared.measurement}_{label}"
            names = aggregate_names(name, grant.fns)
            derived.setdefault(measurement, {}).update(dict.fromkeys(names, grant.coarsen))
            if "count" in grant.fns:
                derived[measurement][f"{name}_count"] = EXACT
    for name, coarsen in released.items():  # what is left of readings that had to make room
        thinned = derived.setdefault(declared.measurement + SUFFIX, {})
        thinned |= {f"{name}_{each}": coarsen for each in FUNCTIONS} | {f"{name}_count": EXACT}
    local = grants.keys() - released.keys()
    return Gate(
        profile=declared.profile,
        measurement=declared.measurement,
        grants=grants,
        rules=rules,
        released=released,
        exact=released if all(one == EXACT for one in released.values()) else None,
        whole=frozenset(name for name, coarsen in released.items() if coarsen == EXACT),
        tags=frozenset(
            tag for tag in declared.tags if tag not in local and not site.is_local_tag(tag)
        ),
        derived=derived,
        windows=windows,
        alarms=site.alarm_text(declared.alarms),
        hidden=hidden,
        thins={name: thin for name, thin in declared.thins.items() if name in released},
    )


def _nearness(rule: str) -> int:
    if rule.startswith("site"):
        return 3
    return {"class": 2, "profile": 1}.get(rule, 0)
