"""Finds profiles by words and by what they are for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from device_profiles.profile import Profile


def search(
    profiles: Iterable[Profile],
    words: Sequence[str] = (),
    *,
    vendor: str | None = None,
    measurement: str | None = None,
    via: str | None = None,
) -> list[Profile]:
    """Return the profiles that suit everything that is given.

    Args:
        profiles: Among which.
        words: Each must be part of id, vendor, model, a title in any language or a field's name;
            small and capital letters are the same.
        vendor: First part of the id, or the vendor's name.
        measurement: Where the readings go.
        via: What the messages come by.
    """
    return [
        profile
        for profile in profiles
        if all(word.casefold() in _text(profile) for word in words)
        and vendor in (None, profile.vendor, profile.id.split("/")[0])
        and measurement in (None, profile.measurement)
        and (via is None or any(entry.via == via for entry in profile.entries))
    ]


def _text(profile: Profile) -> str:
    words = (profile.id, profile.vendor, profile.model, *profile.title.values(), *profile.fields)
    return " ".join(words).casefold()
