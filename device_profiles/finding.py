"""What lint finds: a mistake or a doubt, with its place in the file and the rule that found it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from device_profiles.faults import Place
from gateway_core.config import YamlDocument
from gateway_core.errors import Fault

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that lint found.

    Attributes:
        level: ``error``: the profile means something else than it says, or can never be right;
            ``warning``: it works, and is worse than it could be.
        rule: The rule's name (docs/reference/lint.md).
        fault: Its place, what is wrong and what to write instead.
    """

    level: Level
    rule: str
    fault: Fault

    def __str__(self) -> str:
        """Return ``file:line:col: path: message [rule]``, the message of a doubt named as one."""
        fault = self.fault
        if self.level == "warning":
            words = f"warning: {fault.message}"
            fault = Fault(fault.file, fault.line, fault.col, fault.path, words)
        return f"{fault} [{self.rule}]"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        fault = self.fault
        return {
            "level": self.level,
            "rule": self.rule,
            "file": str(fault.file),
            "line": fault.line,
            "col": fault.col,
            "path": fault.path,
            "message": fault.message,
        }


class Findings:
    """Collects what the rules find in one document.

    Attributes:
        found: In the order in which the rules looked.
    """

    def __init__(self, document: YamlDocument) -> None:
        self._document = document
        self.found: list[Finding] = []

    def error(self, rule: str, path: Place, message: str) -> None:
        """Enter a mistake."""
        self.found.append(Finding("error", rule, self._document.fault(path, message)))

    def warn(self, rule: str, path: Place, message: str) -> None:
        """Enter a doubt."""
        self.found.append(Finding("warning", rule, self._document.fault(path, message)))

    def sorted(self) -> list[Finding]:
        """Return what was found in the order of the file."""
        return sorted(self.found, key=lambda one: (one.fault.line, one.fault.col, one.rule))


def errors(findings: Iterable[Finding]) -> list[Fault]:
    """Return the mistakes alone."""
    return [one.fault for one in findings if one.level == "error"]
