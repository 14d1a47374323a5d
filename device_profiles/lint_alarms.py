"""Lint of alarms: a rule that no vector raises and clears is a guess."""

from __future__ import annotations

from device_profiles.finding import Findings
from device_profiles.lint_evidence import Evidence
from device_profiles.profile import Profile

_MOST_NAMED = 3


def lint_alarms(profile: Profile, evidence: Evidence, findings: Findings) -> None:
    """Enter rules without proof, without an end of their own, and texts in one language only."""
    for name, rule in profile.alarms.items():
        place = ("alarms", name)
        spec = profile.document.data["alarms"][name]
        raised, cleared = name in evidence.raised, name in evidence.cleared
        inputs = ", ".join(sorted(rule.inputs)[:_MOST_NAMED])
        if not raised:
            findings.warn(
                "alarm-never-raised",
                place,
                f"no vector raises it: add one that sends {inputs} so that {spec['raise']!r} "
                f"holds and expects [+{name}]",
            )
        elif not cleared and not rule.latch:
            end = spec.get("clear", f"not ({spec['raise']})")
            findings.warn(
                "alarm-never-cleared",
                place,
                f"no vector clears it: add a step after the one that raises it in which {end!r} "
                f"holds and that expects [-{name}]",
            )
        if "clear" in spec and spec["clear"].strip() == spec["raise"].strip():
            findings.error(
                "alarm-flaps",
                (*place, "clear"),
                "is the same as 'raise', so the rule would end with the next message; "
                "leave it out to end when 'raise' no longer holds",
            )
