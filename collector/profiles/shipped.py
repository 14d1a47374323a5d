"""The profiles that ship with Tidegate: the first versions that everything published must fit."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from device_profiles.catalogue import load_catalogue
from device_profiles.fields import Field, fields_of


@dataclass(frozen=True, slots=True)
class Document:
    """A profile's file.

    Attributes:
        id: ``vendor/model``.
        version: Semantic version.
        measurement: Where its readings go.
        title: Language to text.
        fields: What it stores.
        file: Where it is.
    """

    id: str
    version: str
    measurement: str
    title: dict[str, str]
    fields: tuple[Field, ...]
    file: Path


@functools.cache
def shipped() -> dict[str, Document]:
    """Return every profile that ships, by id; they do not change while the program runs."""
    found = {}
    for profile in load_catalogue([], strict=False).profiles.values():
        found[profile.id] = Document(
            profile.id,
            profile.version,
            profile.measurement,
            dict(profile.title),
            fields_of(profile),
            Path(profile.file),
        )
    return dict(sorted(found.items()))


@functools.cache
def shipped_fields() -> tuple[Field, ...]:
    """Return every field that a profile that ships stores."""
    return tuple(field for document in shipped().values() for field in document.fields)
