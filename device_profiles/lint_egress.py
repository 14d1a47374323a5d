"""Lint of egress: rules that let out too much, or numbers that mean nothing."""

from __future__ import annotations

from device_profiles.finding import Findings
from device_profiles.lint_evidence import Evidence
from device_profiles.profile import Profile

_POSITIONS = frozenset({"lat", "lon", "latitude", "longitude", "position"})
_MEANINGLESS = {"counter": frozenset({"mean", "sum", "p95"})}
_NARROW = ("personal", "restricted")


def lint_egress(profile: Profile, _evidence: Evidence, findings: Findings) -> None:
    """Enter rules that a reviewer would send back."""
    egress, spec = profile.egress, profile.document.data["egress"]
    narrow = egress.data_class in _NARROW
    if narrow and spec["default"] != "none":
        findings.warn(
            "egress-wide-default",
            ("egress", "default"),
            f"class {egress.data_class} lets out what is not listed: use 'default: none' and list "
            "the fields under 'allow'",
        )
    for name in spec.get("allow", {}):
        rule, field = egress.rules[name], profile.fields[name]
        place = ("egress", "allow", name)
        if narrow and name in _POSITIONS and rule.kind != "none" and rule.coarsen is None:
            findings.warn(
                "egress-exact-position",
                place,
                f"lets an exact position of class {egress.data_class} out: add "
                "'coarsen: {decimals: 2}' (about a kilometre)",
            )
        lost = sorted(_MEANINGLESS.get(field.kind, frozenset()) & set(rule.fns))
        if lost:
            findings.warn(
                "egress-sum-of-counter",
                (*place, "fns"),
                f"{lost[0]!r} of a counter says nothing; use 'last' or 'delta'",
            )
    if profile.alarms and egress.alarms == "none":
        findings.warn(
            "egress-alarms-stay",
            ("egress", "alarms") if "alarms" in spec else ("egress",),
            "the centre hears of no alarm of this profile: write 'alarms: full', 'code-only', or "
            "leave the alarms out",
        )
