"""The catalogue: every profile that is loaded, and which of them reads a topic or path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from device_profiles.alternatives import gather
from device_profiles.fields import FieldRegistry, field_conflict, fields_of
from device_profiles.profile import Profile, load_profile
from device_profiles.route import Entry, Route
from device_profiles.topics import Tree
from gateway_core.errors import ConfigError, Fault

SHIPPED = Path(__file__).with_name("vendors")
"""The profiles that come with Tidegate."""

MOST_FILES = 10_000
"""Profile files that one catalogue takes."""

_Item = tuple[Profile, Entry]


class Catalogue:
    """Loaded profiles, by id and by what they match.

    Args:
        profiles: At most one for each id.
        faults: Mistakes in files that were left out.
        set_aside: Ids of profiles that store a field otherwise than one that goes before them.
    """

    def __init__(
        self,
        profiles: Iterable[Profile],
        faults: Sequence[Fault] = (),
        set_aside: Sequence[str] = (),
    ) -> None:
        self.set_aside: tuple[str, ...] = tuple(set_aside)
        self.profiles: Mapping[str, Profile] = {profile.id: profile for profile in profiles}
        self.faults: tuple[Fault, ...] = tuple(faults)
        self._mqtt: Tree[_Item] = Tree()
        self._coap: Tree[_Item] = Tree()
        for profile in self.profiles.values():
            for entry in profile.entries:
                tree = self._coap if entry.via == "coap" else self._mqtt
                tree.add(entry.template, (profile, entry))

    def without_shipped(self, via: str) -> Catalogue:
        """Return the same without the profiles that ship and take messages this way."""
        kept = [
            profile
            for profile in self.profiles.values()
            if not self.ships(profile) or all(entry.via != via for entry in profile.entries)
        ]
        return Catalogue(kept, self.faults, self.set_aside)

    def ships(self, profile: Profile) -> bool:
        """Return whether a profile came with Tidegate and not from a site's own folder."""
        return _is_shipped(profile.file)

    def topics(self) -> list[str]:
        """Return the MQTT subscription filters that bring data, sorted, each once."""
        return self._filters(answers=False)

    def answers(self) -> list[str]:
        """Return the filters that bring answers to commands: never to be shared among agents."""
        return self._filters(answers=True)

    def _filters(self, *, answers: bool) -> list[str]:
        return sorted(
            {
                entry.template.filter
                for profile in self.profiles.values()
                for entry in profile.entries
                if entry.via != "coap"
                and entry.role != "ignore"
                and (entry.role == "ack") is answers
            }
        )

    def mqtt(self, topic: str) -> list[Route]:
        """Return the routes of a topic, found anew: who asks often remembers them.

        Literal levels go before captures; several profiles may read one topic (a network
        server's), then the device's own profile is the one to take.
        """
        return _lookup(self._mqtt, topic)

    def coap(self, path: str, content_format: int | None = None) -> list[Route]:
        """Return the routes of a CoAP path that take this Content-Format.

        Args:
            path: With or without a slash in front.
            content_format: As sent; None (not said) suits every profile.
        """
        path = path.removeprefix("/")
        found = _lookup(self._coap, path)
        if content_format is None:
            return found
        exact = [route for route in found if content_format in (route.entry.formats or ())]
        return exact or [route for route in found if route.entry.formats is None]


def _lookup(tree: Tree[_Item], address: str) -> list[Route]:
    every = [profile.route(entry, captures) for (profile, entry), captures in tree.find(address)]
    return gather(_heeded(every))


def _heeded(found: list[Route]) -> list[Route]:
    """Return the routes that read an address: of profiles that ignore it none, if others do."""
    ignoring = {route.profile.id for route in found if route.role == "ignore"}
    heeded = [route for route in found if route.profile.id not in ignoring]
    return heeded or [route for route in found if route.role == "ignore"][:1]


def load_catalogue(
    folders: Sequence[Path],
    *,
    fetched: Sequence[Path] = (),
    shipped: bool = True,
    strict: bool = True,
) -> Catalogue:
    """Load every ``*.yaml`` and ``*.yml`` below the folders.

    Args:
        folders: Later ones win where an id is in several; all win over the shipped catalogue,
            whose profiles also give way where they store a field in another type or unit.
        fetched: Profile files that stand between: they give way to the folders, and what ships
            gives way to them.
        shipped: Whether to load the shipped catalogue as well.
        strict: False: leave a broken profile out and list its mistakes in ``catalogue.faults``.

    Raises:
        ConfigError: A folder is missing, or (strict) any profile has a mistake.
    """
    profiles: dict[str, Profile] = {}
    faults: list[Fault] = []
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(Fault(folder, 0, 0, "", "no such folder of profiles"))
        _load_folder(folder, profiles, faults, strict=True)
    faults.extend(conflicts(profiles.values()))
    aside: list[str] = []
    below: dict[str, Profile] = {}
    for file in fetched:
        _load_file(file, below, faults, strict=True)
    _add_below(profiles, below, aside)
    if shipped:
        ours: dict[str, Profile] = {}
        _load_folder(SHIPPED, ours, faults, strict=False)
        _add_below(profiles, ours, aside)
    if strict and faults:
        raise ConfigError(*faults)
    wrong = {fault.file for fault in faults}
    kept = [one for one in profiles.values() if one.file not in wrong]
    return Catalogue(kept, faults, aside)


def _add_below(profiles: dict[str, Profile], more: Mapping[str, Profile], aside: list[str]) -> None:
    """Add profiles that fit beside those that go before them; note the ids of the others."""
    away = {fault.file for fault in conflicts([*profiles.values(), *more.values()])}
    for profile in more.values():
        if profile.id in profiles:
            continue
        if profile.file in away:
            aside.append(profile.id)
            continue
        profiles[profile.id] = profile


def profile_files(folder: Path) -> list[Path]:
    """Return the profile files below a folder, sorted; raises `ConfigError` for too many."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".yaml", ".yml"))
    if len(files) > MOST_FILES:
        raise ConfigError(Fault(folder, 0, 0, "", f"more than {MOST_FILES} profile files"))
    return files


def _load_folder(
    folder: Path, profiles: dict[str, Profile], faults: list[Fault], *, strict: bool
) -> None:
    own: dict[str, Profile] = {}
    for path in profile_files(folder):
        _load_file(path, own, faults, strict=strict)
    profiles.update(own)


def _load_file(
    path: Path, profiles: dict[str, Profile], faults: list[Fault], *, strict: bool
) -> None:
    try:
        profile = load_profile(path, strict=strict)
    except ConfigError as exc:
        faults.extend(exc.faults)
        return
    other = profiles.get(profile.id)
    if other is not None:
        faults.append(profile.document.fault(("id",), f"{profile.id} is also in {other.file}"))
        return
    profiles[profile.id] = profile


def conflicts(profiles: Iterable[Profile]) -> list[Fault]:
    """Return a fault wherever two profiles disagree on type or unit of a stored field.

    A time-series store keeps one type for a field of a measurement, and a query must not mix
    units, whoever wrote the profiles.
    """
    known = FieldRegistry()
    faults = []
    for profile in profiles:
        for field in fields_of(profile):
            theirs = known.clash(field)
            if theirs is None:
                known.enter(field)
                continue
            place = ("measurements", field.name)
            faults.append(profile.document.fault(place, field_conflict(field, theirs)))
    return faults


@lru_cache(maxsize=MOST_FILES)
def _is_shipped(file: Path | str) -> bool:
    """Tell for a profile's file; asked for every new topic."""
    return SHIPPED in Path(file).parents
