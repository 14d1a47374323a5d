"""docs/reference/profiles.md: the catalogue that ships."""

# ruff: noqa: E501  # prose of a Markdown page

from __future__ import annotations

from device_profiles.catalogue import load_catalogue
from device_profiles.library import list_profiles
from device_profiles.profile import Profile
from pages.table import table

HEAD = """# Profiles that ship

Each was written from the device's public documentation, which its file names under `docs`, and proves itself
with its own tests: `tidegate profiles test`. The format: [profile-format.md](profile-format.md).
"""


def page() -> str:
    """Return the page."""
    catalogue = load_catalogue(())
    text = [HEAD]
    rows = list_profiles(catalogue)
    text.append(
        table(
            ("profile", "device", "comes by", "measurement", "tests"),
            (
                (
                    f"[`{r.id}`](#{_anchor(r.id)})",
                    r.title,
                    ", ".join(r.via),
                    f"`{r.measurement}`",
                    str(r.tests),
                )
                for r in rows
            ),
        )
    )
    text += [_section(catalogue.profiles[name]) for name in sorted(catalogue.profiles)]
    return "\n".join(text)


def _anchor(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum() or c in "-_")


def _section(profile: Profile) -> str:
    fields = table(
        ("field", "type", "unit", "kind"),
        (
            (f"`{name}`", s.type, f"`{s.unit}`" if s.unit else "", s.kind)
            for name, s in sorted(profile.fields.items())
        ),
    )
    return f"## {profile.id}\n\nVersion {profile.version}, measurement `{profile.measurement}`.\n\n{fields}"
