"""docs/reference/fields.md: what the profiles that ship store, by measurement and field."""

# ruff: noqa: E501  # prose of a Markdown page

from __future__ import annotations

from itertools import groupby

from device_profiles.catalogue import load_catalogue
from device_profiles.fields import Field, fields_of
from pages.table import table

HEAD = """# Stored fields

A field of a measurement has one type and one unit in every store, whoever's profile fills it. These are the
fields of the [profiles that ship](profiles.md). `tidegate profiles lint` and the registry refuse a profile that
stores one of them otherwise, and say what to write: `unit` as here, and `wire_unit` for what the device sends.
"""


def page() -> str:
    """Return the page."""
    profiles = load_catalogue(()).profiles.values()
    every = sorted(
        (field for profile in profiles for field in fields_of(profile)),
        key=lambda field: (field.measurement, field.name, field.profile),
    )
    text = [HEAD]
    for measurement, fields in groupby(every, lambda field: field.measurement):
        text += [
            f"## `{measurement}`",
            "",
            table(("field", "type", "unit", "stored by"), _rows(list(fields))),
        ]
    return "\n".join(text)


def _rows(fields: list[Field]) -> list[tuple[str, str, str, str]]:
    rows = []
    for name, same in groupby(fields, lambda field: field.name):
        first, *others = same
        by = [first.profile, *(field.profile for field in others)]
        more = f" and {len(by) - 3} more" if len(by) > 3 else ""
        unit = f"`{first.unit}`" if first.unit else ""
        rows.append((f"`{name}`", first.type, unit, ", ".join(by[:3]) + more))
    return rows
