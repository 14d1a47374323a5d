"""What may leave the site: the one function that stands between the spool and the uplink.

Nothing leaves unless a loaded profile says that it may and the site's file does not say
otherwise. A `Policy` never changes: another one takes its place when a file changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msgspec import structs

from edge_agent.egress import Declared, SiteEgress
from edge_agent.gate import Gate, build_gate
from gateway_core.model import (
    Alarm,
    Batch,
    FeedHealth,
    Listed,
    Loss,
    ProfileUse,
    Reading,
    Record,
    SystemHealth,
)

_CACHED_DEVICES = 100_000
_Other = Alarm | FeedHealth | SystemHealth | Listed | Loss | ProfileUse


@dataclass(slots=True)
class Released:
    """What of a batch may leave.

    Attributes:
        first: First sequence number of the batch.
        last: Last one, inclusive.
        seqs: Sequence numbers of ``records``, ascending.
        records: What may leave, already without what may not.
        withheld: Rule to count of records that stay on site.
        trimmed: How many of ``records`` left something behind: a field, a flag, a text.
    """

    first: int
    last: int
    seqs: list[int]
    records: list[Record]
    withheld: dict[str, int]
    trimmed: int = 0

    @property
    def withheld_count(self) -> int:
        """Records that stay on site."""
        return sum(self.withheld.values())


class Policy:
    """The egress rules of all loaded profiles under the site's own file, compiled.

    Args:
        declared: What each loaded profile lets out, by profile id.
        site: The site's file, already checked against ``declared``.

    Attributes:
        gathering: The profiles of whose readings aggregates may leave.
    """

    def __init__(self, declared: Mapping[str, Declared], site: SiteEgress | None = None) -> None:
        self._site = site or SiteEgress()
        self._declared = dict(declared)
        self._gates = {
            name: build_gate(one, self._site, device=None) for name, one in self._declared.items()
        }
        self._by_device = self._site.names_devices
        self.gathering = frozenset(
            name for name, gate in self._gates.items() if self._by_device or gate.windows
        )
        self._cache: dict[tuple[str, str], Gate] = {}
        self._kinds: dict[tuple[str, tuple[bool, ...]], Gate] = {}

    def gate(self, profile: str, device: str) -> Gate | None:
        """Return what one device may let out; None when its profile is not loaded."""
        if not self._by_device:
            return self._gates.get(profile)
        found = self._cache.get((profile, device))
        if found is None and profile in self._declared:
            traits = (profile, self._site.traits(device))
            found = self._kinds.get(traits)
            if found is None:
                found = build_gate(self._declared[profile], self._site, device=device)
                self._kinds[traits] = found
            if len(self._cache) >= _CACHED_DEVICES:
                self._cache.clear()
                self._kinds.clear()
            self._cache[profile, device] = found
        return found

    @property
    def thins(self) -> bool:
        """Whether not every value that may leave is worth sending."""
        return any(gate.thins for gate in self._gates.values())

    def gates(self) -> Iterable[Gate]:
        """Return what each loaded profile lets out, without the rules for single devices."""
        return self._gates.values()

    def release(self, batch: Batch) -> Released:
        """Return what of ``batch`` may leave; pure, and safe to call from any thread."""
        seqs: list[int] = []
        records: list[Record] = []
        withheld: dict[str, int] = {}
        trimmed = 0
        plain = None if self._by_device else self._gates
        for seq, record in enumerate(batch.records, batch.first):
            left: Record | str
            if isinstance(record, Reading):
                gate = (
                    self.gate(record.profile, record.device)
                    if plain is None
                    else plain.get(record.profile)
                )
                if (
                    gate is not None
                    and record.measurement == gate.measurement
                    and gate.whole.issuperset(record.fields)
                    and not record.flags
                    and (not record.tags or gate.tags.issuperset(record.tags))
                    and not record.derived
                    and not gate.hidden
                ):  # the common case passes as it is
                    seqs.append(seq)
                    records.append(record)
                    continue
                left = "unknown_profile" if gate is None else gate.reading(record)
            else:
                left = self._pass(record)
            if isinstance(left, str):
                withheld[left] = withheld.get(left, 0) + 1
                continue
            trimmed += left is not record
            seqs.append(seq)
            records.append(left)
        return Released(batch.first, batch.last, seqs, records, withheld, trimmed)

    def _pass(self, record: _Other) -> Record | str:
        """Return what may leave of a record, or the rule that withholds it."""
        site = self._site
        match record:
            case Alarm():
                return self._alarm(record)
            case FeedHealth():
                if site.is_hidden(record.feed):
                    return "hidden"
                return record if site.feeds == "full" else "feeds"
            case SystemHealth():
                if site.is_hidden(record.system):
                    return "hidden"
                return record if site.systems == "full" else "systems"
            case Listed():
                return self._listed(record)
            case Loss():
                if site.losses == "none":
                    return "losses"
                if site.losses == "full" or not record.detail:
                    return record
                return structs.replace(record, detail="")
            case ProfileUse():
                return "inventory" if site.inventory == "none" else record

    def _alarm(self, alarm: Alarm) -> Record | str:
        if self._site.is_hidden(alarm.device):
            return "hidden"
        told = self._site.alarms
        if alarm.profile not in {"camera", "system"}:
            gate = self.gate(alarm.profile, alarm.device)
            if gate is None:
                return "unknown_profile"
            told = gate.alarms
        if told == "none":
            return "alarms"
        if told == "full" or not alarm.text:
            return alarm
        return structs.replace(alarm, text={})

    def _listed(self, listed: Listed) -> Record | str:
        if self._site.is_hidden(listed.id):
            return "hidden"
        told = self._site.inventory
        if told == "full":
            return listed
        if told == "none":
            return "inventory"
        name = listed.name if told == "no-position" else ""
        group = listed.group if told == "no-position" else ""  # people name it, as they do a thing
        bare = structs.replace(listed, lat=None, lon=None, name=name, group=group)
        return listed if bare == listed else bare
