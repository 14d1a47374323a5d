"""What the loaded profiles declare about leaving, in the words of the policy."""

from __future__ import annotations

from typing import cast

from device_profiles.catalogue import Catalogue
from device_profiles.egress import Release
from device_profiles.profile import Profile
from edge_agent.egress import Declared
from edge_agent.grant import EXACT, NONE, RAW, Coarseness, Function, Grant, Thin


def declare(catalogue: Catalogue) -> dict[str, Declared]:
    """Return what each profile of a catalogue lets out, by profile id."""
    return {name: declared(profile) for name, profile in catalogue.profiles.items()}


def declared(profile: Profile) -> Declared:
    """Return what one profile lets out."""
    egress = profile.egress
    return Declared(
        profile=profile.id,
        measurement=profile.measurement,
        data_class=egress.data_class,
        alarms=egress.alarms,
        tags=frozenset(profile.tags),
        grants={name: _grant(rule) for name, rule in egress.rules.items()},
        thins={
            spec.name: Thin(spec.deadband or 0.0, spec.heartbeat_ns)
            for spec in profile.fields.values()
            if spec.heartbeat_ns
        },
    )


def _grant(release: Release) -> Grant:
    coarsen = EXACT
    if release.coarsen is not None:
        coarsen = Coarseness(release.coarsen.decimals, release.coarsen.step or 0.0)
    match release.kind:
        case "none":
            return NONE
        case "raw":
            return RAW if coarsen == EXACT else Grant(raw=True, coarsen=coarsen)
        case "aggregate":
            fns = frozenset(cast("tuple[Function, ...]", release.fns))
            return Grant(every_ns=release.every_ns, fns=fns, coarsen=coarsen, every=release.every)
