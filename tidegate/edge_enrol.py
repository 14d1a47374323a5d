"""``tidegate edge enrol``: get a certificate from the centre with an invitation."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edge_agent.config import load_edge_config
from edge_agent.enrolment import Identity, enrol
from gateway_core.errors import GatewayError
from gateway_core.instant import to_rfc3339
from gateway_core.invitation import read_invitation
from tidegate.edge_history import CONFIG, Config
from tidegate.usage import WrongUsage


def enrol_edge(
    invitation: str | None = None,
    /,
    *,
    invitation_file: Path | None = None,
    config: Config = CONFIG,
) -> None:
    """Get this edge's certificate from the centre that invited it.

        tidegate edge enrol --invitation-file invitation.txt

    The key is made here and never leaves this machine. Without an argument or a file the
    invitation is read from standard input.

    Args:
        invitation: What `tidegate collector edges invite` printed; others on this machine may see
            it while the command runs, so a file is better.
        invitation_file: Holds it.
    """
    settings = load_edge_config(config)
    try:
        found = read_invitation(_text(invitation, invitation_file))
    except ValueError as exc:
        raise WrongUsage(str(exc)) from exc
    if found.edge != settings.edge.id:
        message = f"the invitation is for {found.edge!r}, and this edge is {settings.edge.id!r}"
        raise WrongUsage(f"{message}: ask for another, or mend edge.id in {config}")
    uplink, secrets = settings.uplink, config.parent / "secrets"
    identity = Identity(
        (uplink and uplink.ca_file) or secrets / "ca.pem",
        (uplink and uplink.cert_file) or secrets / "edge.pem",
        (uplink and uplink.key_file) or secrets / "edge.key",
    )
    admission = asyncio.run(enrol(found, identity))
    print(f"{found.edge} is enrolled until {to_rfc3339(admission.not_after)}; in {config}:\n")
    print("uplink:")
    print(f"  url: {admission.uplink}")
    for name in ("ca_file", "cert_file", "key_file"):
        print(f"  {name}: {_relative(getattr(identity, name), config.parent)}")


def _text(invitation: str | None, file: Path | None) -> str:
    if invitation is not None:
        return invitation
    try:
        if file is not None:
            with file.open(encoding="utf-8") as opened:
                return opened.read(4096)
        return sys.stdin.read(4096)
    except (OSError, UnicodeDecodeError) as exc:
        raise GatewayError(f"{file or 'standard input'} cannot be read: {exc}") from exc


def _relative(file: Path, folder: Path) -> Path:
    return file.relative_to(folder) if file.is_relative_to(folder) else file
