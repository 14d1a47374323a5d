"""Fields as stores keep them: one type and one unit for each, whoever's profile fills them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from device_profiles.units import UnitFault, conversion, same_unit

if TYPE_CHECKING:
    from device_profiles.profile import Profile

_NUMBERS = ("float", "int")


class Field(msgspec.Struct, frozen=True):
    """A stored field that is known already.

    Attributes:
        measurement: Of the store.
        name: The field.
        type: As it is stored.
        unit: UCUM; may be empty.
        profile: Who stores it.
    """

    measurement: str
    name: str
    type: str
    unit: str
    profile: str


def fields_of(profile: Profile) -> tuple[Field, ...]:
    """Return what a profile stores."""
    return tuple(
        Field(
            profile.measurement,
            spec.name,
            "string" if spec.type == "enum" else spec.type,
            spec.unit,
            profile.id,
        )
        for spec in profile.fields.values()
    )


class FieldRegistry:
    """What is stored under each measurement and field; the first that says so counts.

    Args:
        known: Fields that are there already.
    """

    def __init__(self, known: Iterable[Field] = ()) -> None:
        self._fields: dict[tuple[str, str], Field] = {}
        for field in known:
            self.enter(field)

    def enter(self, field: Field) -> None:
        """Enter a field, unless it is known."""
        self._fields.setdefault((field.measurement, field.name), field)

    def find(self, measurement: str, name: str) -> Field | None:
        """Return the field of that name, or None."""
        return self._fields.get((measurement, name))

    def clash(self, mine: Field) -> Field | None:
        """Return the field that is stored in another type or unit under the same name, or None."""
        theirs = self.find(mine.measurement, mine.name)
        if theirs is None or (theirs.type == mine.type and same_unit(theirs.unit, mine.unit)):
            return None
        return theirs

    def __iter__(self) -> Iterator[Field]:
        """Return the fields by measurement and name."""
        return iter(field for _, field in sorted(self._fields.items()))


def field_conflict(mine: Field, theirs: Field) -> str:
    """Return in words how two fields of one name disagree, and what would end it."""
    return (
        f"{mine.measurement}.{mine.name} is {_kind(mine)} here and {_kind(theirs)} in "
        f"{theirs.profile}; a store keeps one type and unit: {_advice(mine, theirs)}"
    )


def _kind(field: Field) -> str:
    return f"{field.type} {field.unit or '(no unit)'}"


def _advice(mine: Field, theirs: Field) -> str:
    if mine.type not in _NUMBERS or theirs.type not in _NUMBERS:
        return f"store it as {theirs.type}, or under another name"
    take = []
    if mine.type != theirs.type:
        take.append(f"type: {theirs.type}")
    if not same_unit(mine.unit, theirs.unit):
        try:
            conversion(mine.unit, theirs.unit)
        except UnitFault:
            return f"{mine.unit} cannot become {theirs.unit}: take another name"
        take += [f'unit: "{theirs.unit}"', f'wire_unit: "{mine.unit}"']
    return f"write {', '.join(take)}, or take another name"
